"""Is this a photo one can learn a face from? And what of it is kept.

One face, large, sharp and lit well enough. The thresholds stand beside their measurements. Knows
nothing of the other photos (see `similarity.py`), of files, sessions or the vault.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from errors import BadPhoto
from pipeline.imaging import Face, align
from pipeline.photos.crop import kept_frame
from pipeline.photos.detection import Faces
from pipeline.photos.record import FaceNumbers
from pipeline.photos.similarity import miniature

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
shake of 7 to 9 px, 75 to 98 % below, depending on its direction. Shake of 14 px and more looks
sharper again and may pass, unless the detector no longer finds a face."""

DARK, BRIGHT = 40.0, 235.0
"""See `brightness`. The same portraits, of people of every colour, measured 94 to 214."""

MIN_FACE_SCORE = 0.75
"""How sure the detector must be of the surest face. Leaves, wood grain and noise scored 0.6 to 0.8;
of 204 people all but 5 scored 0.76 and more, and one of those 5 hides the face under a cap."""

TWO_TONES, MAX_GRAIN = 0.95, 0.75
"""Share of pixels that are nearly black or white, and `grain`, above which a face is a scan in two
tones. Of 998 portraits, some of them printed a century ago, none had more than 0.76 and 0.72. Of 19
dithered ones all had 1.0 and 0.81; saved as a JPEG and then shrunk, 0.33 and 0.63 to 0.98."""

_EACH_TONE = 0.01
"""Share of each of the two tones; a black picture is too dark, not a scan."""

UPRIGHT_SCORE, TURNED_GAIN = 0.93, 0.01
"""The detector finds faces that lie on a side or hang upside down too, with landmarks as if they
stood, but is less sure of them. 144 photos of people, 64 with hats, profiles and hard light: on a
side they scored 0.88 at most, upside down 0.92, so one above `UPRIGHT_SCORE` (84 % of them) stands.
Of the others each turn is tried. The best was the upright one in 143, and by 0.02 or more in 142;
of two profiles that hang or stand the scores are equal, and they are left as they came."""

_NIGHT = 40
"""Median luma of a picture in which no face was found, below which that is no wonder."""

FACE_SIDE = 160
_INNER = (slice(36, 132), slice(40, 120))
"""Rows and columns of an aligned face of `FACE_SIDE` px that show skin, eyes, nose and mouth."""

_FINE, _COARSE = 1, 6
_DIRECTIONS = ((0, 1), (1, 0), (1, 1), (1, -1))
"""Steps in pixels and directions (rows, columns) in which `sharpness` compares neighbours."""


@dataclass(frozen=True)
class CheckedPhoto:
    """A good photo.

    image: uint8 RGB [H, W, 3], head to mid-chest, still with its room. face: where it is in
    `image`. numbers: what was measured.
    """

    image: NDArray[np.uint8]
    face: Face
    numbers: FaceNumbers


def check_photo(image: NDArray[np.uint8], faces: Faces, kept_px: int) -> CheckedPhoto:
    """Judge one photo, uint8 RGB [H, W, 3], and crop it; the crop's longer side is <= `kept_px`.

    A photo that lies on its side or hangs upside down, whose file does not say so, is set upright.

    Raises:
        BadPhoto: code "two_tones", "no_face", "several_faces", "face_too_small", "too_dark",
            "too_bright" or "blurred", with a sentence that says what to do.
    """
    image, found = _upright(image, faces)
    if _two_tones(image, found):
        raise _fault("two_tones")
    if _best_score(found) < MIN_FACE_SCORE:
        found = []
    if not found and np.median(_luma(image)) < _NIGHT:
        raise _fault("too_dark")
    if not found:
        raise _fault("no_face")
    face, others = found[0], found[1:]
    if any(_counts(other, face) for other in others):
        raise _fault("several_faces")
    if face.box[2] < MIN_FACE_PX:
        raise _fault("face_too_small")
    aligned = align(image, face.landmarks, FACE_SIDE)
    light, sharp = brightness(aligned), sharpness(aligned)
    if light < DARK:
        raise _fault("too_dark")
    if light > BRIGHT:
        raise _fault("too_bright")
    if sharp < MIN_SHARPNESS:
        raise _fault("blurred")
    crop, kept = kept_frame(image, face, others, kept_px)
    numbers = FaceNumbers(kept.landmarks, None, miniature(image, face), sharp, light)
    return CheckedPhoto(crop, kept, numbers)


def _upright(image: NDArray[np.uint8], faces: Faces) -> tuple[NDArray[np.uint8], list[Face]]:
    """The picture in that of its four turns in which a face is surest, and the faces in it."""
    found = faces.detect(image)
    stands = _best_score(found)
    best, best_score = (image, found), stands + TURNED_GAIN
    if stands < UPRIGHT_SCORE:
        for quarters in (1, 2, 3):
            turned = np.ascontiguousarray(np.rot90(image, quarters))
            others = faces.detect(turned)
            if _best_score(others) > best_score:
                best, best_score = (turned, others), _best_score(others)
    return best


def _two_tones(image: NDArray[np.uint8], found: list[Face]) -> bool:
    """Whether the face, or the picture where there is none, is made of black and white dots."""
    luma = _luma(image)
    if found:
        left, top, width, height = (round(side) for side in found[0].box)
        luma = luma[max(0, top) : top + height, max(0, left) : left + width]
    dark, light = (float(tone.mean()) if luma.size else 0.0 for tone in (luma < 32, luma > 223))
    extreme = dark + light > TWO_TONES and min(dark, light) > _EACH_TONE
    return extreme or (bool(found) and grain(luma) > MAX_GRAIN)


def grain(luma: NDArray[np.uint8]) -> float:
    """How unlike neighbouring pixels [H, W] are, by how unlike all are: about 0.03 to 1.5."""
    values = luma.astype(np.float32)
    if min(values.shape) < 2:
        return 0.0
    steps = [float(np.abs(np.diff(values, axis=axis)).mean()) for axis in (0, 1)]
    return sum(steps) / 2 / max(float(values.std()), 1.0)


def _best_score(found: list[Face]) -> float:
    return max((face.score for face in found), default=0.0)


def _fault(code: str) -> BadPhoto:
    return BadPhoto(f"verdict.{code}")


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
    behind the sharpest. (The usual variance of the Laplacian missed most shaken photos.)
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
