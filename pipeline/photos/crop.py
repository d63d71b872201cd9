"""Head and shoulders out of a photo, so that room and bystanders are not kept.

Pure geometry on pixels: is given the faces, does not find them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.imaging import TEMPLATE_SIZE, Face, align_transform

CROP_MARGIN = 1.3
"""Side of a training crop, in sides of the square that alignment (`imaging.align`) cuts out."""

KEPT_MARGIN = 2.2
"""Side of what is kept of a photo, likewise: head to mid-chest, with room for hair."""

KEPT_BELOW = 0.35
"""Further sides below: a portrait ends at the chest, not at the collar."""

_FACE_MARGIN = 1.3
"""The detector's box ends at the forehead and the ears; a bystander's whole head is left out."""


_SURE = 0.8
"""The detector's score from which another face is one beyond doubt."""

_HAIR = (0.25, 0.5)
"""How far hair may reach beyond the detector's box, in its widths and heights."""


class Box(NamedTuple):
    """A rectangle in pixels: left, top inside; right, bottom outside."""

    left: float
    top: float
    right: float
    bottom: float


def kept_frame(
    image: NDArray[np.uint8], face: Face, others: Sequence[Face], kept_px: int
) -> tuple[NDArray[np.uint8], Face]:
    """Crop head to mid-chest, without the `others`: uint8 RGB [h, w, 3], h and w <= `kept_px`.

    Returns the crop and `face` in its pixels. The crop holds the square that alignment will cut,
    with a margin; the margin is given up where another face would be in it, and a face that cannot
    be left out is blurred beyond recognition.
    """
    needed = aligned_square(face.landmarks)
    box = _enlarged(needed, KEPT_MARGIN)
    box = box._replace(bottom=box.bottom + KEPT_BELOW * (needed.bottom - needed.top))
    for other in others:
        box = _without(box, needed, other)
    left, top, right, bottom = _inside(box, image)
    crop = image[top:bottom, left:right].copy()
    for other in others:
        _blur_face(crop, face, other, left, top)
    crop, scale = _shrunk(crop, kept_px)
    x, y, width, height = face.box
    moved = ((x - left) * scale[0], (y - top) * scale[1], width * scale[0], height * scale[1])
    landmarks = (face.landmarks - np.array([left, top], np.float32)) * scale
    return crop, Face(moved, landmarks, face.score)


def head_and_shoulders(
    image: NDArray[np.uint8], landmarks: NDArray[np.float32], photo_px: int
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Crop for training out of a kept frame: uint8 RGB [h, w, 3], h and w <= `photo_px`.

    landmarks: float32 [5, 2] in pixels of `image`. Returns the crop, and them in its pixels.
    """
    box = _enlarged(aligned_square(landmarks), CROP_MARGIN)
    left, top, right, bottom = _inside(box, image)
    crop, scale = _shrunk(image[top:bottom, left:right].copy(), photo_px)
    return crop, (landmarks - np.array([left, top], np.float32)) * scale


def _inside(box: Box, image: NDArray[np.uint8]) -> tuple[int, int, int, int]:
    """Left, top, right, bottom of the part of `box` that lies in the picture."""
    height, width = image.shape[:2]
    left, top = max(0, round(box.left)), max(0, round(box.top))
    return left, top, min(width, round(box.right)), min(height, round(box.bottom))


def _shrunk(crop: NDArray[np.uint8], most_px: int) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """The crop with its longer side at most `most_px`, and the factors of x and y."""
    height, width = crop.shape[:2]
    scale = min(1.0, most_px / max(height, width))
    if scale == 1:
        return crop, np.ones(2, np.float32)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = np.asarray(cv2.resize(crop, size, interpolation=cv2.INTER_AREA), np.uint8)
    return small, np.array([size[0] / width, size[1] / height], np.float32)


def aligned_square(landmarks: NDArray[np.float32]) -> Box:
    """The upright rectangle around what alignment cuts out of the picture."""
    inverse = cv2.invertAffineTransform(align_transform(landmarks, TEMPLATE_SIZE))
    corners = np.array([[0, 0, 1], [0, 1, 1], [1, 0, 1], [1, 1, 1]], float)
    corners[:, :2] *= TEMPLATE_SIZE
    corners = corners @ inverse.T
    return Box(*corners.min(axis=0), *corners.max(axis=0))


def _enlarged(box: Box, factor: float) -> Box:
    x, y = (factor - 1) / 2 * (box.right - box.left), (factor - 1) / 2 * (box.bottom - box.top)
    return Box(box.left - x, box.top - y, box.right + x, box.bottom + y)


def _face_box(face: Face) -> Box:
    x, y, width, height = face.box
    return _enlarged(Box(x, y, x + width, y + height), _FACE_MARGIN)


def _without(box: Box, needed: Box, other: Face) -> Box:
    """`box` with one side moved in so that the other face is outside, if `needed` stays inside."""
    out = _face_box(other)
    if out.right <= needed.left:
        return box._replace(left=max(box.left, out.right))
    if out.left >= needed.right:
        return box._replace(right=min(box.right, out.left))
    if out.bottom <= needed.top:
        return box._replace(top=max(box.top, out.bottom))
    if out.top >= needed.bottom:
        return box._replace(bottom=min(box.bottom, out.top))
    return box


def _blur_face(crop: NDArray[np.uint8], face: Face, other: Face, left: int, top: int) -> None:
    """Replace what of the other face lies in the crop by 3 x 3 patches of colour, in place.

    `left`, `top`: where the crop lies in the picture. `face` itself is left as it is, and its hair
    too where the other may be no face at all.
    """
    area = crop[_slices(_face_box(other), left, top)]
    if area.size == 0:
        return
    x, y, width, height = face.box
    aside, above = (0.0, 0.0) if other.score >= _SURE else (_HAIR[0] * width, _HAIR[1] * height)
    head = Box(x - aside, y - above, x + width + aside, y + height)
    own = crop[_slices(head, left, top)]
    kept = own.copy()
    tiny = cv2.resize(area, (3, 3), interpolation=cv2.INTER_AREA)
    area[:] = cv2.resize(tiny, (area.shape[1], area.shape[0]), interpolation=cv2.INTER_LINEAR)
    own[:] = kept


def _slices(box: Box, left: int, top: int) -> tuple[slice, slice]:
    """Rows and columns of a box of the picture, in a crop of it that lies at `left`, `top`."""
    rows = slice(max(0, round(box.top) - top), max(0, round(box.bottom) - top))
    columns = slice(max(0, round(box.left) - left), max(0, round(box.right) - left))
    return rows, columns
