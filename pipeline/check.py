"""Is this a photo one can learn a face from? And what of it is kept.

Two questions. Of one photo: is there one face, large, sharp and lit well enough? Then it is
cropped to head and shoulders, so that room and bystanders are not kept. Of several photos: are
two of them nearly the same picture, and is one of somebody else?

Pure functions of pixels and vectors: knows nothing of files, sessions or the vault.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from errors import BadPhoto
from pipeline.align import align, align_transform
from pipeline.faces import Face, Faces

SECOND_FACE_SCORE = 0.8
SECOND_FACE_AREA = 0.2
"""Another face counts if the detector is this sure and its box has this share of the first's."""

MIN_FACE_PX = 80
"""Width of the face box in pixels. The embedded base draws a face 74 px wide; from a smaller one
it would learn the blur of enlargement."""

MIN_SHARPNESS = 0.01
DARK, BRIGHT = 30.0, 235.0

CROP_MARGIN = 1.3
"""Side of the crop, in sides of the square that the alignment of `align.py` cuts out."""

FACE_SIDE = 160
_INNER = (slice(36, 132), slice(40, 120))
"""Rows and columns of an aligned face of `FACE_SIDE` px that show skin, eyes, nose and mouth."""

_FINGERPRINT_SIDE = 16

SAME_PICTURE_DISTANCE = 6.0
SAME_PICTURE_COSINE = 0.9
SAME_GROUP = 0.3


@dataclass(frozen=True)
class CheckedPhoto:
    """What is kept of a good photo.

    image: uint8 RGB [H, W, 3], head and shoulders. landmarks: float32 [5, 2] in pixels of `image`.
    embedding: float32 [128], unit length. fingerprint: uint8 [16, 16]. sharpness, brightness: see
    `sharpness` and `brightness`.
    """

    image: NDArray[np.uint8]
    landmarks: NDArray[np.float32]
    embedding: NDArray[np.float32]
    fingerprint: NDArray[np.uint8]
    sharpness: float
    brightness: float


def check_photo(image: NDArray[np.uint8], faces: Faces, photo_px: int) -> CheckedPhoto:
    """Judge one photo, uint8 RGB [H, W, 3], and crop it; the crop's longer side is <= `photo_px`.

    Raises:
        BadPhoto: code "no_face", "several_faces", "face_too_small", "too_dark", "too_bright" or
            "blurred", with a sentence that says what to do.
    """
    found = faces.detect(image)
    if not found:
        raise BadPhoto("We see no face here. Please use a photo of your face from the front.", "no_face")
    face, others = found[0], found[1:]
    if any(_counts(other, face) for other in others):
        raise BadPhoto(
            "There is more than one face here. Please use a photo of you alone, or crop it.",
            "several_faces",
        )
    if face.box[2] < MIN_FACE_PX:
        raise BadPhoto("Your face is too small here. Please come closer.", "face_too_small")
    aligned = align(image, face.landmarks, FACE_SIDE)
    light, sharp = brightness(aligned), sharpness(aligned)
    if light < DARK:
        raise BadPhoto("This photo is too dark. Please face a window or a lamp.", "too_dark")
    if light > BRIGHT:
        raise BadPhoto("Your face is washed out by light here. Please use softer light.", "too_bright")
    if sharp < MIN_SHARPNESS:
        raise BadPhoto(
            "Your face is blurred here. Please hold the camera still and use a sharper photo.",
            "blurred",
        )
    crop, landmarks = head_and_shoulders(image, face, others, photo_px)
    return CheckedPhoto(
        crop, landmarks, faces.embed(image, face), fingerprint(image, face), sharp, light
    )


def _counts(other: Face, main: Face) -> bool:
    """A second person in the photo, not a passer-by far behind."""
    area = other.box[2] * other.box[3]
    main_area = main.box[2] * main.box[3]
    return other.score >= SECOND_FACE_SCORE and area >= SECOND_FACE_AREA * main_area


def brightness(aligned: NDArray[np.uint8]) -> float:
    """Upper-quartile luma, 0 to 255, of an aligned face uint8 RGB [160, 160, 3].

    The brighter part of a face is lit skin and the whites of the eyes, so dark skin in good light
    is far from "too dark".
    """
    return float(np.percentile(_luma(aligned)[_INNER], 75))


def sharpness(aligned: NDArray[np.uint8]) -> float:
    """Variance of the Laplacian over variance of the luma, of an aligned face [160, 160, 3].

    The quotient does not change with exposure or contrast.
    """
    luma = _luma(aligned).astype(np.float32)
    edges = cv2.Laplacian(luma, cv2.CV_32F)[_INNER]
    return float(edges.var() / max(float(luma[_INNER].var()), 1.0))


def _luma(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)


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
        _blur_face(crop, other, left, top)
    landmarks = face.landmarks - np.array([left, top], np.float32)
    scale = min(1.0, photo_px / max(crop.shape[:2]))
    if scale < 1:
        size = (max(1, round(crop.shape[1] * scale)), max(1, round(crop.shape[0] * scale)))
        landmarks = landmarks * np.array(
            [size[0] / crop.shape[1], size[1] / crop.shape[0]], np.float32
        )
        crop = cv2.resize(crop, size, interpolation=cv2.INTER_AREA)
    return crop, landmarks


def _aligned_square(face: Face) -> Box:
    """The upright rectangle around what alignment cuts out of the picture."""
    inverse = cv2.invertAffineTransform(align_transform(face.landmarks, FACE_SIDE))
    corners = np.array([[0, 0, 1], [0, 1, 1], [1, 0, 1], [1, 1, 1]], float)
    corners[:, :2] *= FACE_SIDE
    corners = corners @ inverse.T
    return Box(*corners.min(axis=0), *corners.max(axis=0))


def _enlarged(box: Box, factor: float) -> Box:
    x, y = (factor - 1) / 2 * (box.right - box.left), (factor - 1) / 2 * (box.bottom - box.top)
    return Box(box.left - x, box.top - y, box.right + x, box.bottom + y)


def _face_box(face: Face) -> Box:
    x, y, width, height = face.box
    return _enlarged(Box(x, y, x + width, y + height), 1.3)


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


def _blur_face(crop: NDArray[np.uint8], other: Face, left: int, top: int) -> None:
    """Replace what of the other face lies in the crop by 3 x 3 patches of colour, in place."""
    out = _face_box(other)
    rows = slice(max(0, round(out.top) - top), max(0, round(out.bottom) - top))
    columns = slice(max(0, round(out.left) - left), max(0, round(out.right) - left))
    area = crop[rows, columns]
    if area.size:
        tiny = cv2.resize(area, (3, 3), interpolation=cv2.INTER_AREA)
        size = (area.shape[1], area.shape[0])
        crop[rows, columns] = cv2.resize(tiny, size, interpolation=cv2.INTER_LINEAR)


def fingerprint(image: NDArray[np.uint8], face: Face) -> NDArray[np.uint8]:
    """Luma of the surroundings of the face at 16 x 16: uint8 [16, 16]."""
    x, y, width, height = face.box
    side = 1.6 * max(width, height)
    scale = _FINGERPRINT_SIDE * 8 / side
    to = np.array(
        [
            [scale, 0, -scale * (x + width / 2 - side / 2)],
            [0, scale, -scale * (y + height / 2 - side / 2)],
        ]
    )
    big = cv2.warpAffine(
        image, to, (_FINGERPRINT_SIDE * 8,) * 2, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    return cv2.resize(_luma(big), (_FINGERPRINT_SIDE,) * 2, interpolation=cv2.INTER_AREA)


def same_picture(first: CheckedPhoto, second: CheckedPhoto) -> bool:
    distance = np.abs(first.fingerprint.astype(int) - second.fingerprint.astype(int)).mean()
    return bool(
        distance <= SAME_PICTURE_DISTANCE
        and first.embedding @ second.embedding >= SAME_PICTURE_COSINE
    )


def strangers(embeddings: Sequence[NDArray[np.float32]]) -> list[bool]:
    return [False] * len(embeddings)
