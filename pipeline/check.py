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
from pipeline.face_record import FINGERPRINT_SIDE, FaceNumbers
from pipeline.faces import SAME_PERSON, Face, Faces

SECOND_FACE_SCORE = 0.8
SECOND_FACE_AREA = 0.2
"""Another face counts if the detector is this sure and its box has this share of the first's."""

MIN_FACE_PX = 80
"""Width of the face box in pixels. The embedded base draws a face 74 px wide; from a smaller one
it would learn the blur of enlargement."""

MIN_SHARPNESS = 0.06
"""See `sharpness`. 110 press portraits measured 0.10 and more, 56 made-up selfies 0.16 and more,
faces dreamt up by the embedded base 0.06 to 0.10 (it is that soft). The same portraits blurred by
a Gaussian of sigma 2 px, on a face 74 px wide: 0.07 and less, 97 % below the threshold; by camera
shake of 7 to 9 px, 75 to 98 % below, depending on its direction."""

DARK, BRIGHT = 40.0, 235.0
"""See `brightness`. The same portraits, of people of every colour, measured 94 to 214."""

SAME_PICTURE = 5.5
"""Largest distance of two fingerprints of nearly the same picture, in grey levels. Against the
original, saving again at quality 50 measured up to 2.4, turning by one degree 4.7, brightening by
4 % 5.6, halving the size and cropping 1 to 10, of which three quarters lie below. Other pictures
of the same face start higher: turned by 8 degrees 7.3, lit from the side 6.1, 8 % darker 7.8;
made-up selfies among each other 8.3. Only a turn by 4 degrees and nothing else (3.8 to 7.8) may
count as the same picture, as it should."""

SAME_PICTURE_LIKENESS = 0.9
"""Cosine below which two faces are not in the same picture, whatever their fingerprints."""

SAME_GROUP = SAME_PERSON - 0.03
"""Cosine to the mean of the others above which a photo is of the person most photos show.

A stranger's is above this for 0.6 % of 2,700 portraits' pairs. Photos of one person that agree
by 0.4 on average, pair by pair, fall below it in fewer than 1 of 100 cases; two press portraits
of one person years apart agree by 0.63 and more."""

CROP_MARGIN = 1.3
"""Side of the crop, in sides of the square that the alignment of `align.py` cuts out."""

FACE_SIDE = 160
_INNER = (slice(36, 132), slice(40, 120))
"""Rows and columns of an aligned face of `FACE_SIDE` px that show skin, eyes, nose and mouth."""

_FINE, _COARSE = 1, 6
_DIRECTIONS = ((0, 1), (1, 0), (1, 1), (1, -1))
"""Steps in pixels and directions (rows, columns) in which `sharpness` compares neighbours."""


@dataclass(frozen=True)
class CheckedPhoto:
    """A good photo. image: uint8 RGB [H, W, 3], head and shoulders; face: what was measured."""

    image: NDArray[np.uint8]
    face: FaceNumbers


def check_photo(image: NDArray[np.uint8], faces: Faces, photo_px: int) -> CheckedPhoto:
    """Judge one photo, uint8 RGB [H, W, 3], and crop it; the crop's longer side is <= `photo_px`.

    Raises:
        BadPhoto: code "no_face", "several_faces", "face_too_small", "too_dark", "too_bright" or
            "blurred", with a sentence that says what to do.
    """
    found = faces.detect(image)
    if not found:
        raise BadPhoto(
            "We see no face here. Please use a photo of your face from the front.", "no_face"
        )
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
        raise BadPhoto(
            "Your face is washed out by light here. Please use softer light.", "too_bright"
        )
    if sharp < MIN_SHARPNESS:
        raise BadPhoto(
            "Your face is blurred here. Please hold the camera still and use a sharper photo.",
            "blurred",
        )
    crop, landmarks = head_and_shoulders(image, face, others, photo_px)
    embedding = faces.embed(image, face)
    numbers = FaceNumbers(landmarks, embedding, fingerprint(image, face), sharp, light)
    return CheckedPhoto(crop, numbers)


def _counts(other: Face, main: Face) -> bool:
    """A second person in the photo, not a passer-by far behind."""
    area = other.box[2] * other.box[3]
    main_area = main.box[2] * main.box[3]
    return other.score >= SECOND_FACE_SCORE and area >= SECOND_FACE_AREA * main_area


def brightness(aligned: NDArray[np.uint8]) -> float:
    """Median luma, 0 to 255, of an aligned face uint8 RGB [160, 160, 3]."""
    return float(np.median(_luma(aligned)[_INNER]))


def sharpness(aligned: NDArray[np.uint8]) -> float:
    """How much fine detail an aligned face uint8 RGB [160, 160, 3] has: about 0.03 to 0.4.

    In four directions, the spread of the second difference over 1 px is divided by that over 6 px:
    blur takes fine detail and leaves coarse, while exposure and contrast change both alike. Camera
    shake blurs one direction only, so the least sharp one counts, the more the further it lags
    behind the sharpest. (The usual variance of the Laplacian missed two thirds of shaken photos.)
    """
    luma = _luma(aligned).astype(np.float32)
    ratios = []
    for direction in _DIRECTIONS:
        fine = _second_difference(luma, direction, _FINE).std()
        coarse = _second_difference(luma, direction, _COARSE).std()
        ratios.append(float(fine) / max(float(coarse), 1.0))
    ratios[2:] = [ratio / _DIAGONAL for ratio in ratios[2:]]
    return min(ratios) * float(np.sqrt(min(ratios) / max(*ratios, 1e-6)))


_DIAGONAL = 1.3
"""Diagonal neighbours are further apart and differ more; measured on the sharp portraits."""


def _second_difference(
    luma: NDArray[np.float32], direction: tuple[int, int], step: int
) -> NDArray[np.float32]:
    """2 a - b - c of each inner pixel and those `step` before and behind it."""

    def moved(by: int) -> NDArray[np.float32]:
        down, right = direction[0] * by, direction[1] * by
        rows, columns = _INNER
        return luma[
            rows.start + down : rows.stop + down, columns.start + right : columns.stop + right
        ]

    return 2 * moved(0) - moved(step) - moved(-step)


def _luma(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), np.uint8)


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
        crop = np.asarray(cv2.resize(crop, size, interpolation=cv2.INTER_AREA), np.uint8)
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
    """What two copies of a picture share: luma of the face and its surroundings, uint8 [16, 16].

    Centred and scaled by the landmarks, so that cropping and resizing change little; neither
    turned upright nor normalised in light, so that another angle or another lamp changes much.
    """
    centre = face.landmarks.mean(axis=0)
    radius = float(np.sqrt(((face.landmarks - centre) ** 2).sum(axis=1).mean()))
    side = FINGERPRINT_SIDE * 8  # drawn larger first: a warp alone would alias
    scale = side / (_FINGERPRINT_RADII * radius)
    move = np.array(
        [[scale, 0, side / 2 - scale * centre[0]], [0, scale, side / 2 - scale * centre[1]]]
    )
    smooth = cv2.GaussianBlur(image, (0, 0), max(0.01, 0.5 / scale))
    drawn = cv2.warpAffine(smooth, move, (side, side), borderMode=cv2.BORDER_REPLICATE)
    grey = cv2.GaussianBlur(cv2.cvtColor(drawn, cv2.COLOR_RGB2GRAY), (0, 0), 4)
    small = cv2.resize(grey, (FINGERPRINT_SIDE, FINGERPRINT_SIDE), interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.uint8)


_FINGERPRINT_RADII = 6
"""Side of the fingerprint's square, in mean distances of the landmarks from their centre."""


def near_duplicates(faces: Sequence[FaceNumbers]) -> list[int | None]:
    """For each photo, the index of an earlier one that is nearly the same picture, or None."""
    twins: list[int | None] = []
    for index, face in enumerate(faces):
        earlier = (i for i in range(index) if twins[i] is None and _same_picture(faces[i], face))
        twins.append(next(earlier, None))
    return twins


def _same_picture(first: FaceNumbers, second: FaceNumbers) -> bool:
    difference = first.fingerprint.astype(np.int16) - second.fingerprint.astype(np.int16)
    likeness = float(first.embedding @ second.embedding)
    return bool(abs(difference).mean() <= SAME_PICTURE and likeness >= SAME_PICTURE_LIKENESS)


def strangers(embeddings: Sequence[NDArray[np.float32]]) -> list[bool]:
    """Which photos show somebody else than most of them: one bool per unit vector [128].

    The photo that agrees with most others and those it agrees with are the person, the earlier
    where two are equal; then each photo is compared with the mean of the person's other photos.
    With fewer than three photos nobody can tell who the stranger is, so there is none.
    """
    if len(embeddings) < 3:
        return [False] * len(embeddings)
    vectors = np.stack(embeddings)
    agree = vectors @ vectors.T >= SAME_GROUP
    centre = int(agree.sum(axis=1).argmax())
    person = agree[centre]
    others = vectors[person].sum(axis=0) - vectors * person[:, None]
    lengths = np.maximum(np.linalg.norm(others, axis=1), 1e-12)
    cosines = (vectors * others).sum(axis=1) / lengths
    return [index != centre and bool(cos < SAME_GROUP) for index, cos in enumerate(cosines)]
