"""Cut a person out of a photo: colours and alpha, and nothing of the room.

Segmenter and a small network (`refine`), trimap (`trimap`), closed-form alpha in the unknown band
(`closed_form`), enlarged by a guided filter (`upsample`), the person's own colours (`foreground`),
and what may be wrong with it (`faults`, `covering`). pymatting and scipy are imported inside the
functions that use them: they compile at their first import and weigh 290 MB.
"""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.compositing.closed_form import solve_alpha
from pipeline.compositing.covering import measured
from pipeline.compositing.dispute import disputed, glasses, settled
from pipeline.compositing.face_mesh import FaceMesh
from pipeline.compositing.faults import confidence, faults
from pipeline.compositing.foreground import bounds, person_colours
from pipeline.compositing.refine import SIDE, Floats, Picture, coarse_matte, shrunk
from pipeline.compositing.segmenter import Segment
from pipeline.compositing.trimap import cleaned, make_trimap
from pipeline.compositing.upsample import enlarged
from pipeline.imaging import CutOut, Face

WORKING_SIDE = 768
"""Long side in pixels at which alpha is solved."""

_REACH = 0.015
"""How far about a pixel the colours of person and wall are compared, as a share of the side."""

_SAME, _DIFFERENT = 0.8, 1.6
"""Distance of the two colours, in standard deviations, below which it tells nothing, and above
which enough."""

_SEEN = 0.04
"""A distance (0 to 1) that counts as one standard deviation, however restless the two are."""

_NOISE = 0.02
"""Least standard deviation of a colour (0 to 1)."""

_STEEPER = 1.5
"""How much steeper the network's edge becomes where colours tell nothing."""

_CLEAR, _SOLID = 0.02, 0.98
"""Alpha at or below the first is none, at or above the second whole: a solver never quite ends."""


def cut_out(
    image: Picture, face: Face | None, segment: Segment, mesh: FaceMesh | None = None
) -> CutOut:
    """Separate the person of a face from the room.

    Args:
        image: uint8 RGB [H, W, 3], one person from the head to the chest or so.
        face: whom to cut out, in pixels of the image; None if no face was found.
        segment: gives uint8 [h, w], 255 = person, of uint8 RGB [h, w, 3] (`Segmenter.matte`).
        mesh: says whether the face can be seen; None if that is not asked.

    Raises:
        BaseUnavailable: the network's file is missing or altered.
    """
    coarse = coarse_matte(image, segment, None if face is None else face.box)
    small_face = _scaled(face, coarse.alpha.shape[0] / image.shape[0])
    clean = cleaned(coarse.alpha, small_face)
    glass = glasses(coarse, clean.alpha, small_face)
    clean.alpha[glass] = 1.0
    coarse = coarse._replace(alpha=clean.alpha)
    trimap = make_trimap(coarse, clean.alpha, small_face)
    zone = disputed(coarse, clean.alpha, small_face)
    trimap[zone] = 0.5
    trimap[glass] = 1.0
    guess = settled(shrunk(image, SIDE), coarse, clean.alpha, zone)
    alpha = _fine_alpha(image, guess, trimap)
    bytes_ = np.asarray(np.round(alpha * 255), np.uint8)
    height, width = clean.alpha.shape
    final = cv2.resize(alpha, (width, height), interpolation=cv2.INTER_AREA)
    sure = confidence(coarse, final)
    colours = person_colours(image, bytes_)
    seen, covered = _seen(image, face, mesh)
    wrong = faults(final, small_face, clean, sure, seen)
    return CutOut(colours, bytes_, sure, wrong, covered)


def _seen(image: Picture, face: Face | None, mesh: FaceMesh | None) -> tuple[float, str | None]:
    """How sure the mesh is of the face, 0 to 1, and what of it is covered; 1 if it is not asked."""
    if face is None or mesh is None:
        return 1.0, None
    try:
        found = mesh.find(image, face.landmarks)
    except ValueError:  # the landmarks fall on one point
        return 0.0, None
    return found.presence, measured(image, found, face.score).part


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
        alike = _alike(ink[cut], trimap[cut])
        near = np.clip((near[cut] - 0.5) * (1 + _STEEPER * alike) + 0.5, 0, 1)
        alpha[cut] = solve_alpha(ink[cut], trimap[cut], near, alike)
    if working.shape != image.shape:
        alpha = enlarged(alpha, ink.astype(np.float32), image)
    alpha -= np.float32(_CLEAR)
    alpha /= np.float32(_SOLID - _CLEAR)
    return np.asarray(np.clip(alpha, 0, 1, out=alpha), np.float32)


def _alike(ink: NDArray[np.float64], trimap: Floats) -> Floats:
    """How much alike person and wall are about each pixel: float32 [h, w], 1 is the same colour."""
    colour = ink.astype(np.float32)
    square = (colour * colour).sum(axis=-1)
    reach = _REACH * max(trimap.shape)
    means, spread = [], np.float32(_NOISE**2)
    for known in (trimap == 1, trimap == 0):
        weight = known.astype(np.float32)
        share = np.maximum(cv2.GaussianBlur(weight, (0, 0), reach), 1e-4)
        mean = cv2.GaussianBlur(colour * weight[..., None], (0, 0), reach) / share[..., None]
        means.append(mean)
        spread = spread + cv2.GaussianBlur(square * weight, (0, 0), reach) / share
        spread = spread - (mean * mean).sum(axis=-1)
    apart = np.linalg.norm(means[0] - means[1], axis=-1)
    apart = np.maximum(apart / np.sqrt(np.maximum(spread, 1e-6)), apart / _SEEN)
    return np.asarray(np.clip((_DIFFERENT - apart) / (_DIFFERENT - _SAME), 0, 1), np.float32)


def _scaled(face: Face | None, scale: float) -> Face | None:
    """The face in pixels of a picture `scale` times the size."""
    if face is None:
        return None
    left, top, width, height = (side * scale for side in face.box)
    points = np.asarray(face.landmarks * scale, np.float32)
    return replace(face, box=(left, top, width, height), landmarks=points)
