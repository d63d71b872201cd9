"""Shade normals by a light, and find out where the light of a photo stood."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.compositing.colour import Floats, linear, luminance
from pipeline.compositing.skin import LEFT_CHEEK, RIGHT_CHEEK

PHOTO_AMBIENT = 0.5
"""Share of even light in a photo as it was taken; the rest comes from one side of the camera."""

_PHOTO_ELEVATION = 12.0
"""Height in degrees of an ordinary photo's light. It cannot be measured: beards darken chins."""

_PHOTO_WRAP = 0.5

_AZIMUTHS = np.arange(-45.0, 46.0, 15.0)

_TRUST = 0.6
"""Share of the difference between the cheeks that is taken for light: a hard shadow is no smooth
field, and taking all of it back would leave its edge as a bright line."""


def direction(azimuth: float, elevation: float) -> Floats:
    """Unit vector x, y, z from the person to a light: degrees right of the camera, and above it."""
    a, e = np.radians(azimuth), np.radians(elevation)
    return np.array([np.sin(a) * np.cos(e), -np.sin(e), np.cos(a) * np.cos(e)], np.float32)


def lambert(normals: Floats, light: Floats, wrap: float) -> Floats:
    """Shade normals [..., 3] by a light that reaches round the body: float32 [...], 0 to 1.

    Lambert's cosine, wrapped by 0 to 1; the square joins light and shadow without a kink that
    would show as a line.
    """
    lit = np.maximum((normals @ light + np.float32(wrap)) / np.float32(1 + wrap), 0)
    return np.asarray(lit * lit, np.float32)


def photo_shading(normals: Floats, azimuth: float) -> Floats:
    """Shade normals [..., 3] as the photo's own light did, standing at `azimuth` degrees."""
    key = lambert(normals, direction(azimuth, _PHOTO_ELEVATION), _PHOTO_WRAP)
    return PHOTO_AMBIENT + (1 - PHOTO_AMBIENT) * key


def photo_azimuth(
    image: NDArray[np.uint8], alpha: Floats, mesh: NDArray[np.float32], normals: Floats
) -> float:
    """Find the azimuth, -45 to 45 degrees, that explains how the two cheeks differ.

    Cheeks are of one skin, so what they differ by is light. image: uint8 RGB [h, w, 3]; alpha:
    float32 [h, w]; mesh: float32 [468, 3]; normals: float32 [h, w, 3], all of one size.
    """
    radius = max(1.0, 0.04 * float(np.linalg.norm(mesh[152] - mesh[10])))
    weight = cv2.GaussianBlur(alpha, (0, 0), radius)
    light = cv2.GaussianBlur(luminance(linear(image)) * alpha, (0, 0), radius)
    light = np.asarray(light / np.maximum(weight, 1e-3), np.float32)
    measured = _difference(light, mesh)
    right, left = _values(normals, mesh, RIGHT_CHEEK), _values(normals, mesh, LEFT_CHEEK)
    expected = [
        float(np.log(photo_shading(left, a).mean() / photo_shading(right, a).mean()))
        for a in _AZIMUTHS
    ]
    expected = list(np.maximum.accumulate(expected))  # a profile's far cheek may bend it back
    straight = float(np.interp(0.0, _AZIMUTHS, expected))
    return float(np.interp(straight + (measured - straight) * _TRUST, expected, _AZIMUTHS))


def _difference(light: Floats, mesh: NDArray[np.float32]) -> float:
    """Logarithm of the left cheek's light divided by the right one's, of the person."""
    right, left = _values(light, mesh, RIGHT_CHEEK), _values(light, mesh, LEFT_CHEEK)
    return float(np.log((np.median(left) + 0.01) / (np.median(right) + 0.01)))


def _values(field: Floats, mesh: NDArray[np.float32], place: tuple[int, ...]) -> Floats:
    """Values of a field [h, w] or [h, w, c] at points of the mesh, held inside the picture."""
    height, width = field.shape[:2]
    x = np.clip(np.round(mesh[list(place), 0]).astype(int), 0, width - 1)
    y = np.clip(np.round(mesh[list(place), 1]).astype(int), 0, height - 1)
    return np.asarray(field[y, x], np.float32)
