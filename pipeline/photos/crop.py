"""Head and shoulders out of a photo, so that room and bystanders are not kept.

Pure geometry on pixels: is given the faces, does not find them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.imaging import TEMPLATE_SIZE, align_transform
from pipeline.photos.detection import Face

CROP_MARGIN = 1.3
"""Side of the crop, in sides of the square that the alignment of `align.py` cuts out."""

_FACE_MARGIN = 1.3
"""The detector's box ends at the forehead and the ears; a bystander's whole head is left out."""


class Box(NamedTuple):
    """A rectangle in pixels: left, top inside; right, bottom outside."""

    left: float
    top: float
    right: float
    bottom: float


def head_and_shoulders(
    image: NDArray[np.uint8], face: Face, others: Sequence[Face], photo_px: int
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Crop around `face`, without the `others`: uint8 RGB [h, w, 3], h and w <= `photo_px`.

    Returns the crop and the landmarks in its pixels. The crop holds the square that alignment
    will cut, with a margin; the margin is given up where another face would be in it, and a face
    that cannot be left out is blurred beyond recognition.
    """
    height, width = image.shape[:2]
    needed = _aligned_square(face)
    box = _enlarged(needed, CROP_MARGIN)
    for other in others:
        box = _without(box, needed, other)
    left, top = max(0, round(box.left)), max(0, round(box.top))
    right, bottom = min(width, round(box.right)), min(height, round(box.bottom))
    crop = image[top:bottom, left:right].copy()
    for other in others:
        _blur_face(crop, face, other, left, top)
    landmarks = face.landmarks - np.array([left, top], np.float32)
    scale = min(1.0, photo_px / max(crop.shape[:2]))
    if scale < 1:
        size = (max(1, round(crop.shape[1] * scale)), max(1, round(crop.shape[0] * scale)))
        landmarks = landmarks * np.array(
            [size[0] / crop.shape[1], size[1] / crop.shape[0]], np.float32
        )
        crop = np.asarray(cv2.resize(crop, size, interpolation=cv2.INTER_AREA), np.uint8)
    return crop, landmarks


def _aligned_square(face: Face) -> Box:
    """The upright rectangle around what alignment cuts out of the picture."""
    inverse = cv2.invertAffineTransform(align_transform(face.landmarks, TEMPLATE_SIZE))
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

    `left`, `top`: where the crop lies in the picture. `face` itself is left as it is.
    """
    area = crop[_slices(_face_box(other), left, top)]
    if area.size == 0:
        return
    x, y, width, height = face.box
    own = crop[_slices(Box(x, y, x + width, y + height), left, top)]
    kept = own.copy()
    tiny = cv2.resize(area, (3, 3), interpolation=cv2.INTER_AREA)
    area[:] = cv2.resize(tiny, (area.shape[1], area.shape[0]), interpolation=cv2.INTER_LINEAR)
    own[:] = kept


def _slices(box: Box, left: int, top: int) -> tuple[slice, slice]:
    """Rows and columns of a box of the picture, in a crop of it that lies at `left`, `top`."""
    rows = slice(max(0, round(box.top) - top), max(0, round(box.bottom) - top))
    columns = slice(max(0, round(box.left) - left), max(0, round(box.right) - left))
    return rows, columns
