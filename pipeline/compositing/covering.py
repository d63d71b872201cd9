"""Does something cover part of the face: a mask, dark glasses, a hand, a phone?

The detector finds such faces all the same, and the mesh draws over a mask the mouth that must be
there. What gives them away is the colour at points of the mesh: a mouth that is no redder than its
surroundings and has no lips, eyes without white, one cheek unlike the other. A hand has the colour
of the face; two nets find it (`hands`).
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.compositing.face_mesh import Mesh
from pipeline.compositing.hands import behind
from pipeline.compositing.shape import CHIN, FOREHEAD
from pipeline.compositing.skin import LEFT_EYE, RIGHT_EYE

MOUTH, EYES, HALF, HAND = "mouth", "eyes", "half", "hand"

_HEIGHT = 240
"""Pixels from forehead to chin at which colours are read; smaller faces stay as they are."""

_PATCH, _AROUND = 0.015, 0.04
"""Radius of a point, and of what is compared about it, in heights of the face."""

_BROW = (9, 151, 108, 337, 69, 299, 107, 336)
_BRIDGE = (6, 197, 195, 168)
_UNDER_EYES = (117, 118, 119, 100, 346, 347, 348, 329, 50, 280)
_NOSE = (1, 4, 2, 98, 327, 5, 45, 275)
_LIPS = (13, 14, 0, 17, 37, 267, 84, 314, 61, 291)
_JAW = (205, 425, 207, 427, 187, 411, 214, 434, 192, 416)
_CHIN = (152, 175, 199, 200, 148, 377)
_ORBITS = (
    *(*RIGHT_EYE, 110, 24, 23, 22, 26, 112, 27, 28, 29, 30, 56, 190, 247),
    *(*LEFT_EYE, 339, 254, 253, 252, 256, 341, 257, 258, 259, 260, 286, 414, 467),
)
_RIGHT = (50, 101, 36, 205, 187, 123, 147, 206, 117, 118, 111, 116)
_LEFT = (280, 330, 266, 425, 411, 352, 376, 426, 346, 347, 340, 345)

_SHOWING = sorted({*_BRIDGE, *_UNDER_EYES, *_NOSE, *_LIPS, *_ORBITS})
"""Eyes, nose, mouth and what lies between them; a hand at chin or cheek hides nothing."""

_HIDDEN = 0.05
"""Share of these points behind a hand from which it counts."""

_COLOURED = 6.0
"""Chroma of skin below which a photo is black and white, or nearly."""


@dataclass(frozen=True)
class Cover:
    """What was measured of a face; lightness and chroma as in CIELAB.

    apart: least distance in colour of nose, lips and jaw to the upper face. lips: spread of the
    lightness about the lips. chroma: of nose, lips and jaw, the strongest, by that of the upper
    face, 1 in black and white. eyes: lightness of the brightest tenth about the eyes by that of
    the cheeks. lids: spread of the lightness about the eyes. sides: how much lighter one cheek is.
    score: the detector's, 0 to 1.
    """

    apart: float
    lips: float
    chroma: float
    eyes: float
    lids: float
    sides: float
    score: float

    @property
    def part(self) -> str | None:
        """What is covered: `MOUTH`, `EYES`, `HALF` of the face, or None.

        Chosen on 627 faces that show, some with drawn glasses, of which none is called covered. Of
        557 others two are. Of about 150 each with something drawn over them: masks 62 to 96 %,
        black glasses 93 %, brown ones 80 %, phones 71 to 97 %; mirrored glasses hardly.
        """
        if (self.apart > 9 and self.lips < 6.5) or self.lips < 2.5 or self.chroma < 0.45:
            return MOUTH
        if (self.eyes < 0.62 and self.lids < 9.3) or (self.eyes < 0.5 and self.score < 0.93):
            return EYES
        if self.sides > 52 or (self.sides > 36 and self.score < 0.88):
            return HALF
        return None


def hides(hand: NDArray[np.float32], mesh: Mesh) -> bool:
    """Whether a hand, float32 [21, 2] in pixels, is before eyes, nose or mouth.

    Of 91 faces with a hand laid over them 69 were seen; of 365 real photos, nine of them with a
    hand near the face, none is called covered, nor 70 of them in four sizes and mirrored.
    """
    return float(behind(mesh.points[_SHOWING, :2], hand).mean()) > _HIDDEN


def measured(image: NDArray[np.uint8], mesh: Mesh, score: float) -> Cover:
    """Read the colours of a face in uint8 RGB [H, W, 3]; score: the detector's, of that face."""
    points = mesh.points[:, :2]
    height = max(1.0, float(np.linalg.norm(points[FOREHEAD] - points[CHIN])))
    scale = min(1.0, _HEIGHT / height)
    if scale < 1:
        size = (max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale)))
        image = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
    height, points = height * scale, points * np.float32(scale)
    lab = np.asarray(cv2.cvtColor(image.astype(np.float32) / 255, cv2.COLOR_RGB2LAB), np.float32)
    rows, columns = (
        np.clip(np.round(points[:, axis]).astype(int), 0, image.shape[1 - axis] - 1)
        for axis in (1, 0)
    )
    colours = cv2.GaussianBlur(lab, (0, 0), max(0.7, _PATCH * height))[rows, columns]
    spread = _spread(lab[..., 0], _AROUND * height)[rows, columns]

    def at(*places: int) -> NDArray[np.float32]:
        return np.asarray(np.median(colours[list(places)], axis=0), np.float32)

    upper, cheeks = at(*_BROW, *_BRIDGE, *_UNDER_EYES), at(*_UNDER_EYES, *_JAW)
    lower = [at(*_NOSE), at(*_LIPS), at(*_JAW, *_CHIN)]
    skin = _chroma(upper)
    return Cover(
        apart=min(float(np.linalg.norm((part - upper) * (0.5, 1, 1))) for part in lower),
        lips=float(np.median(spread[list(_LIPS)])),
        chroma=max(map(_chroma, lower)) / skin if skin > _COLOURED else 1.0,
        eyes=float(np.percentile(colours[list(_ORBITS), 0], 90)) / max(float(cheeks[0]), 1.0),
        lids=float(np.median(spread[list(_ORBITS)])),
        sides=abs(float(at(*_RIGHT)[0] - at(*_LEFT)[0])),
        score=score,
    )


def _spread(values: NDArray[np.float32], radius: float) -> NDArray[np.float32]:
    """Standard deviation of the values [H, W] about each pixel."""
    mean = cv2.GaussianBlur(values, (0, 0), radius)
    square = cv2.GaussianBlur(values * values, (0, 0), radius)
    return np.asarray(np.sqrt(np.maximum(square - mean * mean, 0)), np.float32)


def _chroma(lab: NDArray[np.float32]) -> float:
    return float(np.hypot(lab[1], lab[2]))
