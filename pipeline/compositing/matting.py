"""Cut a person out of a photo: colours and alpha, and nothing of the room.

Segmenter and a small network (`refine`), trimap (`trimap`), closed-form alpha in the unknown band
(`closed_form`), enlarged by a guided filter (`upsample`), the person's own colours (`foreground`),
and what may be wrong with it (`faults`, `covering`).
"""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from pipeline.compositing.closed_form import solve_alpha
from pipeline.compositing.covering import HAND, hides, measured
from pipeline.compositing.dispute import disputed, glasses, settled
from pipeline.compositing.face_mesh import FaceMesh
from pipeline.compositing.faults import confidence, faults
from pipeline.compositing.foreground import bounds, person_colours
from pipeline.compositing.hands import Hands
from pipeline.compositing.local_colour import local_colour
from pipeline.compositing.refine import SIDE, Floats, Picture, coarse_matte, shrunk
from pipeline.compositing.segmenter import Segment
from pipeline.compositing.trimap import cleaned, make_trimap
from pipeline.compositing.upsample import enlarged
from pipeline.imaging import CutOut, Face

WORKING_SIDE = 768
"""Long side in pixels at which alpha is solved."""

_STEEPER = 1.5
"""How much steeper the network's edge becomes where colours tell nothing."""

_PROFILE, _FEATURE = 0.3, 0.35
"""In widths of the face's box: eyes as near as this are a profile's; what is as near as the second
to eyes, nose or mouth is its contour."""

_COLOUR, _AGREED, _HELD = 0.7, 4, 0.3
"""There alpha is drawn to network and colour, which counts for this much; by this power of how far
the two are on one side; as strongly as this share of the pull where colours tell nothing."""

_CLEAR, _SOLID = 0.02, 0.98
"""Alpha at or below the first is none, at or above the second whole: a solver never quite ends."""


def cut_out(
    image: Picture,
    face: Face | None,
    segment: Segment,
    mesh: FaceMesh | None = None,
    hands: Hands | None = None,
) -> CutOut:
    """Separate the person of a face from the room.

    Args:
        image: uint8 RGB [H, W, 3], one person from the head to the chest or so.
        face: whom to cut out, in pixels of the image; None if no face was found.
        segment: gives uint8 [h, w], 255 = person, of uint8 RGB [h, w, 3] (`Segmenter.matte`).
        mesh: says whether the face can be seen; None if that is not asked.
        hands: says whether a hand is before it; None if that is not asked.

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
    guess = settled(shrunk(image, SIDE), coarse, clean.alpha, zone, small_face)
    alpha = fine_alpha(image, guess, trimap, profile_contour(trimap.shape, small_face))
    bytes_ = np.asarray(np.round(alpha * 255), np.uint8)
    height, width = clean.alpha.shape
    final = cv2.resize(alpha, (width, height), interpolation=cv2.INTER_AREA)
    sure = confidence(coarse, final)
    colours = person_colours(image, bytes_)
    seen, covered = _seen(image, face, mesh, hands)
    wrong = faults(final, small_face, clean, sure, seen)
    return CutOut(colours, bytes_, sure, wrong, covered)


def _seen(
    image: Picture, face: Face | None, mesh: FaceMesh | None, hands: Hands | None
) -> tuple[float, str | None]:
    """How sure the mesh is of the face, 0 to 1, and what of it is covered; 1 if it is not asked."""
    if face is None or mesh is None:
        return 1.0, None
    try:
        found = mesh.find(image, face.landmarks)
    except ValueError:  # the landmarks fall on one point
        return 0.0, None
    if hands is not None and any(hides(hand, found) for hand in hands.find(image, face.box)):
        return found.presence, HAND
    return found.presence, measured(image, found, face.score).part


def fine_alpha(
    image: Picture, coarse: Floats, trimap: Floats, contour: Floats | None = None
) -> Floats:
    """Alpha at the photo's size: float32 [H, W], 0 to 1, of a coarse matte and its trimap.

    contour: float32 [h, w], 0 to 1, where the edge is a face's and so a sharp one.
    """
    working = shrunk(image, WORKING_SIDE)
    size = (working.shape[1], working.shape[0])
    trimap = cv2.resize(trimap, size, interpolation=cv2.INTER_NEAREST)
    near = cv2.resize(coarse, size, interpolation=cv2.INTER_CUBIC)
    alpha = trimap.copy()
    unknown = (trimap > 0) & (trimap < 1)
    ink = working / 255.0
    if unknown.any():
        top, bottom, left, right = bounds(unknown, 3)
        cut = np.s_[top:bottom, left:right]
        colour = local_colour(ink[cut], trimap[cut])
        near = np.clip((near[cut] - 0.5) * (1 + _STEEPER * colour.alike) + 0.5, 0, 1)
        held = colour.alike
        if contour is not None:
            # A camera that sharpens draws a line along the edge; the solver makes a haze of it.
            sharp = cv2.resize(contour, size, interpolation=cv2.INTER_LINEAR)[cut]
            sharp = sharp * (1 - colour.alike)
            agreed = np.abs(near + colour.between - 1) ** _AGREED
            near = near + _COLOUR * sharp * (colour.between - near)
            held = np.maximum(held, _HELD * sharp * agreed)
        alpha[cut] = solve_alpha(ink[cut], trimap[cut], near, held)
    if working.shape != image.shape:
        alpha = enlarged(alpha, ink.astype(np.float32), image)
    alpha -= np.float32(_CLEAR)
    alpha /= np.float32(_SOLID - _CLEAR)
    return np.asarray(np.clip(alpha, 0, 1, out=alpha), np.float32)


def profile_contour(shape: tuple[int, ...], face: Face | None) -> Floats | None:
    """Find where the contour of a profile is: float32 [h, w], 1 about eyes, nose and mouth, else 0.

    None where no face is seen, or one whose eyes, nose and mouth are far from its contour.
    """
    if face is None:
        return None
    apart = float(np.linalg.norm(face.landmarks[0] - face.landmarks[1]))
    if apart > _PROFILE * face.box[2]:
        return None
    zone = np.zeros(shape[:2], np.float32)
    reach = max(1, round(_FEATURE * face.box[2]))
    for x, y in face.landmarks:
        cv2.circle(zone, (round(float(x)), round(float(y))), reach, 1.0, -1)
    return zone


def _scaled(face: Face | None, scale: float) -> Face | None:
    """The face in pixels of a picture `scale` times the size."""
    if face is None:
        return None
    left, top, width, height = (side * scale for side in face.box)
    points = np.asarray(face.landmarks * scale, np.float32)
    return replace(face, box=(left, top, width, height), landmarks=points)
