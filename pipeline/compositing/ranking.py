"""Rank a person's photos: which of them makes the best portrait.

Each property is measured by itself and kept, so that a page can say why a photo comes last; the
order follows from a weighted geometric mean, in which one bad property is not outweighed by many
good ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.compositing.face_mesh import Mesh
from pipeline.compositing.shape import CHIN, FOREHEAD, LEFT_SIDE, RIGHT_SIDE
from pipeline.compositing.skin import LEFT_EYE, RIGHT_EYE, Skin

WEIGHTS = {
    "eyes": 0.20,  # closed eyes spoil a portrait more than anything else
    "sharp": 0.20,
    "pose": 0.17,
    "light": 0.13,
    "resolution": 0.12,
    "gaze": 0.08,
    "mouth": 0.06,
    "presence": 0.04,
}
"""Share of each property in the score; what they add up to is made 1."""

_LEAST = 0.02
"""No property counts for less, or one failed measurement would hide all others."""

_FLAT_PITCH = 8.0
"""Pitch in degrees that the mesh shows for a face looking straight ahead: the median of 106
strangers' portraits."""


@dataclass(frozen=True)
class Merit:
    """What speaks for a photo.

    sharpness: of the face, about 0.03 to 0.4, see `photos/quality.py`; evenness: 0 to 1, the darker
    cheek's luminance divided by the brighter one's; clipped: share of the face that is burnt out
    or black, 0 to 1; eyes_open: height by width of the less open eye, about 0.1 closed to 0.35
    open; gaze: how far the irises stand aside, 0 to 1; yaw, pitch, roll: of the head in degrees,
    positive to the right of the picture, down, clockwise; smile: how far the corners of the mouth
    lie above its middle, in widths of the mouth; mouth_open: height of the opening in the same
    widths; face_px: width of the face in pixels; presence: of a face, 0 to 1.
    """

    sharpness: float
    evenness: float
    clipped: float
    eyes_open: float
    gaze: float
    yaw: float
    pitch: float
    roll: float
    smile: float
    mouth_open: float
    face_px: float
    presence: float

    @property
    def parts(self) -> dict[str, float]:
        """Each property of `WEIGHTS` as a mark of 0 to 1."""
        turned = (self.yaw / 32) ** 2 + (self.pitch / 28) ** 2 + (self.roll / 40) ** 2
        return {
            "eyes": _rising(self.eyes_open, 0.12, 0.24),
            "sharp": _rising(self.sharpness, 0.03, 0.2),
            "pose": float(np.exp(-turned)),
            "light": _rising(self.evenness, 0.1, 0.7) * (1 - min(1.0, self.clipped * 4)),
            "resolution": _rising(self.face_px, 60, 420),
            "gaze": 1 - min(1.0, self.gaze),
            "mouth": 1 - _rising(self.mouth_open, 0.25, 0.8),
            "presence": self.presence,
        }

    @property
    def score(self) -> float:
        """All properties together, 0 to 1, larger is better."""
        parts = self.parts
        logs = [weight * np.log(max(parts[key], _LEAST)) for key, weight in WEIGHTS.items()]
        return float(np.exp(sum(logs) / sum(WEIGHTS.values())))


def merit(image: NDArray[np.uint8], mesh: Mesh, skin: Skin, sharpness: float) -> Merit:
    """Judge one photo, uint8 RGB [H, W, 3], by its mesh, its skin and the face's sharpness."""
    points = mesh.points
    yaw, pitch, roll = pose(points)
    brighter = max(skin.left, skin.right, 1e-4)
    mouth = max(_apart(points, 61, 291), 1e-3)
    middle, corners = points[[0, 17]].mean(axis=0), points[[61, 291]].mean(axis=0)
    up = (points[FOREHEAD] - points[CHIN]) / max(_apart(points, FOREHEAD, CHIN), 1e-3)
    return Merit(
        sharpness=sharpness,
        evenness=min(skin.left, skin.right) / brighter,
        clipped=_clipped(image, points),
        eyes_open=eyes_open(points),
        gaze=_gaze(image, points),
        yaw=yaw,
        pitch=pitch,
        roll=roll,
        smile=float((corners - middle) @ up) / mouth,
        mouth_open=_apart(points, 13, 14) / mouth,
        face_px=_apart(points, RIGHT_SIDE, LEFT_SIDE),
        presence=mesh.presence,
    )


def rank(merits: Sequence[Merit]) -> list[int]:
    """Order photos, the best first: their places in `merits`; equal ones keep their order."""
    return sorted(range(len(merits)), key=lambda index: -merits[index].score)


def pose(points: NDArray[np.float32]) -> tuple[float, float, float]:
    """Read yaw, pitch and roll of the head, degrees, off the mesh, float32 [468, 3]."""
    across = points[LEFT_SIDE] - points[RIGHT_SIDE]
    down = points[CHIN] - points[FOREHEAD]
    yaw = np.degrees(np.arctan2(across[2], np.hypot(across[0], across[1])))
    pitch = np.degrees(np.arctan2(down[2], np.hypot(down[0], down[1])))
    roll = np.degrees(np.arctan2(across[1], across[0]))
    return float(yaw), float(pitch) - _FLAT_PITCH, float(roll)


# Corners of an eye, then two pairs of upper and lower lid.
_RIGHT_LIDS = (33, 133, 160, 144, 158, 153)
_LEFT_LIDS = (362, 263, 385, 380, 387, 373)


def eyes_open(points: NDArray[np.float32]) -> float:
    """Height by width of the less open eye of a mesh, float32 [468, 3]; see `Merit`."""
    return min(_openness(points, _RIGHT_LIDS), _openness(points, _LEFT_LIDS))


def _openness(points: NDArray[np.float32], lids: tuple[int, ...]) -> float:
    """Eye aspect ratio, in three dimensions so that a turned head does not open its eyes.

    Soukupová and Čech: Real-Time Eye Blink Detection using Facial Landmarks, 2016, equation 1.
    """
    outer, inner, upper1, lower1, upper2, lower2 = lids
    height = _apart(points, upper1, lower1) + _apart(points, upper2, lower2)
    return height / max(2 * _apart(points, outer, inner), 1e-3)


def _apart(points: NDArray[np.float32], one: int, other: int) -> float:
    return float(np.linalg.norm(points[one] - points[other]))


def _gaze(image: NDArray[np.uint8], points: NDArray[np.float32]) -> float:
    """How far the dark of the irises lies from the middle of the eyes: 0 centred, 1 in a corner.

    The mean of both eyes, with sign: a squint cancels, a look aside does not.
    """
    grey = np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), np.float32)
    aside = []
    for ring, ends in ((RIGHT_EYE, (33, 133)), (LEFT_EYE, (362, 263))):
        mask = np.zeros(grey.shape, np.uint8)
        flat = points[:, :2]
        cv2.fillConvexPoly(mask, cv2.convexHull(np.round(flat[list(ring)]).astype(np.int32)), 1)
        y, x = np.nonzero(mask)
        if len(x) < 12:
            continue
        values = grey[y, x]
        dark = np.clip(np.percentile(values, 60) - values, 0, None) ** 2
        along = flat[ends[1]] - flat[ends[0]]
        middle, half = flat[list(ends)].mean(axis=0), float(along @ along) / 2
        place = ((x - middle[0]) * along[0] + (y - middle[1]) * along[1]) / max(half, 1e-3)
        aside.append(float((place * dark).sum() / max(float(dark.sum()), 1e-3)))
    return min(1.0, abs(float(np.mean(aside))) * 2) if aside else 0.0


def _clipped(image: NDArray[np.uint8], points: NDArray[np.float32]) -> float:
    """Share of the face's pixels that are burnt out in all channels, or black in all."""
    mask = np.zeros(image.shape[:2], np.uint8)
    cv2.fillConvexPoly(mask, cv2.convexHull(np.round(points[:, :2]).astype(np.int32)), 1)
    face = image[mask == 1]
    if not len(face):
        return 1.0
    return float(((face.min(axis=1) >= 250) | (face.max(axis=1) <= 5)).mean())


def _rising(value: float, low: float, high: float) -> float:
    """0 at `low` and below, 1 at `high` and above, straight between."""
    return float(np.clip((value - low) / (high - low), 0, 1))
