"""Measure the light on a face where skin is bare: both cheeks and the forehead.

Places are named by points of the face mesh, so glasses, beards and hair are mostly missed, and
what a fringe or a cap covers is recognised by its colour and left out.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.compositing.colour import Floats, delta_e, lab, linear, luminance

# "Right" is the person's own right, which is on the left of the picture.
RIGHT_CHEEK = (50, 101, 36, 205, 187, 123, 147, 206, 203)
LEFT_CHEEK = (280, 330, 266, 425, 411, 352, 376, 426, 423)
FOREHEAD = (9, 67, 69, 108, 109, 151, 297, 299, 337, 338)
RIGHT_EYE = (33, 246, 161, 160, 159, 158, 157, 173, 133, 155, 154, 153, 145, 144, 163, 7)
LEFT_EYE = (263, 466, 388, 387, 386, 385, 384, 398, 362, 382, 381, 380, 374, 373, 390, 249)

_TOP, _CHIN = 10, 152

_SIDE = 640
"""Long side in pixels at which skin is measured; larger photos are shrunk first."""

_PATCH = 0.03
"""Radius of a place, in heights of the face."""

_SAME_SKIN = 14.0
"""CIEDE2000 between cheeks and a place on the forehead above which it is hair or a hat."""

_EYE_SHARE = 90
"""Percentile of the luminance between the lids that stands for the white of the eye."""


@dataclass(frozen=True)
class Skin:
    """Light on one face.

    colour: float32 [3], linear RGB of bare skin; right, left: luminance Y, 0 to 1, of the person's
    two cheeks; eyes: luminance of the whites of the eyes, 0 where none can be seen.
    """

    colour: Floats
    right: float
    left: float
    eyes: float

    @property
    def lab(self) -> Floats:
        """CIELAB [3] of the skin."""
        return lab(self.colour)


def read_skin(
    image: NDArray[np.uint8], alpha: NDArray[np.uint8], points: NDArray[np.float32]
) -> Skin:
    """Measure the skin of a cut-out: uint8 RGB [H, W, 3], uint8 [H, W], float32 [468, 3]."""
    scale = min(1.0, _SIDE / max(image.shape[:2]))
    if scale < 1:
        size = (max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale)))
        image = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
        alpha = np.asarray(cv2.resize(alpha, size, interpolation=cv2.INTER_AREA), np.uint8)
    flat = points[:, :2] * np.float32(scale)
    radius = max(1.0, _PATCH * float(np.linalg.norm(flat[_CHIN] - flat[_TOP])))
    light, known = linear(image), (alpha > 200).astype(np.float32)
    weight = cv2.GaussianBlur(known, (0, 0), radius)
    patches = cv2.GaussianBlur(light * known[..., None], (0, 0), radius)
    patches /= np.maximum(weight, 1e-3)[..., None]
    right = np.median(_at(patches, flat[list(RIGHT_CHEEK)]), axis=0)
    left = np.median(_at(patches, flat[list(LEFT_CHEEK)]), axis=0)
    cheeks = (right + left) / 2
    above = _at(patches, flat[list(FOREHEAD)])
    bare = above[delta_e(lab(above), lab(cheeks)) < _SAME_SKIN]
    if len(bare) >= 4:
        cheeks = cheeks * 0.7 + np.median(bare, axis=0) * 0.3
    return Skin(
        np.asarray(cheeks, np.float32),
        float(luminance(right)),
        float(luminance(left)),
        _eye_whites(light, flat),
    )


def _at(values: Floats, flat: NDArray[np.float32]) -> Floats:
    """Values [n, 3] of the pixels at points [n, 2], held inside the picture."""
    height, width = values.shape[:2]
    x = np.clip(np.round(flat[:, 0]).astype(int), 0, width - 1)
    y = np.clip(np.round(flat[:, 1]).astype(int), 0, height - 1)
    return np.asarray(values[y, x], np.float32)


def _eye_whites(light: Floats, flat: NDArray[np.float32]) -> float:
    """Luminance of the brightest part between the lids, the mean of both eyes; 0 if closed."""
    found = []
    for ring in (RIGHT_EYE, LEFT_EYE):
        mask = np.zeros(light.shape[:2], np.uint8)
        cv2.fillConvexPoly(mask, cv2.convexHull(np.round(flat[list(ring)]).astype(np.int32)), 1)
        values = luminance(light[mask == 1])
        if values.size >= 6:
            found.append(float(np.percentile(values, _EYE_SHARE)))
    return float(np.mean(found)) if found else 0.0
