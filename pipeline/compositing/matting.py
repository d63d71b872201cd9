"""Cut a person out of a photo: colours and alpha, and nothing of the room.

Segmenter and a small network (`refine`), trimap (`trimap`), closed-form alpha in the unknown band
(`closed_form`), enlarged by a guided filter (`upsample`), the person's own colours (`foreground`),
and what may be wrong with it (`faults`). pymatting and scipy are imported inside the functions that
use them: they compile at their first import and weigh 290 MB.
"""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.compositing.closed_form import solve_alpha
from pipeline.compositing.faults import confidence, faults
from pipeline.compositing.foreground import bounds, person_colours
from pipeline.compositing.refine import Coarse, Floats, Picture, coarse_matte, shrunk
from pipeline.compositing.segmenter import Segment
from pipeline.compositing.trimap import cleaned, make_trimap
from pipeline.compositing.upsample import enlarged
from pipeline.imaging import CutOut, Face

WORKING_SIDE = 768
"""Long side in pixels at which alpha is solved."""

_CLEAR, _SOLID = 0.02, 0.98
"""Alpha at or below the first is none, at or above the second whole: a solver never quite ends."""


def cut_out(image: Picture, face: Face | None, segment: Segment) -> CutOut:
    """Separate the person of a face from the room.

    Args:
        image: uint8 RGB [H, W, 3], one person from the head to the chest or so.
        face: whom to cut out, in pixels of the image; None if no face was found.
        segment: gives uint8 [h, w], 255 = person, of uint8 RGB [h, w, 3] (`Segmenter.matte`).

    Raises:
        BaseUnavailable: the network's file is missing or altered.
    """
    coarse = coarse_matte(image, segment)
    small_face = _scaled(face, coarse.alpha.shape[0] / image.shape[0])
    clean = cleaned(coarse.alpha, small_face)
    coarse = Coarse(clean.alpha, coarse.mask, coarse.doubt)
    trimap = make_trimap(coarse, clean.alpha, small_face)
    alpha = _fine_alpha(image, clean.alpha, trimap)
    bytes_ = np.asarray(np.round(alpha * 255), np.uint8)
    height, width = clean.alpha.shape
    final = cv2.resize(alpha, (width, height), interpolation=cv2.INTER_AREA)
    sure = confidence(coarse, final)
    colours = person_colours(image, bytes_)
    return CutOut(colours, bytes_, sure, faults(final, small_face, clean, sure))


def _fine_alpha(image: Picture, coarse: Floats, trimap: Floats) -> Floats:
    """Alpha at the photo's size: float32 [H, W], 0 to 1, of a coarse matte and its trimap."""
    working = shrunk(image, WORKING_SIDE)
    size = (working.shape[1], working.shape[0])
    trimap = cv2.resize(trimap, size, interpolation=cv2.INTER_NEAREST)
    near = cv2.resize(coarse, size, interpolation=cv2.INTER_CUBIC)
    alpha = trimap.copy()
    unknown = (trimap > 0) & (trimap < 1)
    ink: NDArray[np.float64] = working / 255.0
    if unknown.any():
        top, bottom, left, right = bounds(unknown, 3)
        cut = np.s_[top:bottom, left:right]
        alpha[cut] = solve_alpha(ink[cut], trimap[cut], np.clip(near[cut], 0, 1))
    if working.shape != image.shape:
        alpha = enlarged(alpha, ink.astype(np.float32), image)
    alpha = (alpha - _CLEAR) / (_SOLID - _CLEAR)
    return np.asarray(np.clip(alpha, 0, 1), np.float32)


def _scaled(face: Face | None, scale: float) -> Face | None:
    """The face in pixels of a picture `scale` times the size."""
    if face is None:
        return None
    left, top, width, height = (side * scale for side in face.box)
    points = np.asarray(face.landmarks * scale, np.float32)
    return replace(face, box=(left, top, width, height), landmarks=points)
