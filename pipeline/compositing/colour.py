"""Convert colours between sRGB, linear light and CIELAB, and measure how far two are apart.

Everything is float32, the last axis holds the three channels, and white is D65. Light adds up and
multiplies in linear values only, so every step of a portrait works in them and encodes at the end.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

# IEC 61966-2-1: linear sRGB to XYZ, white D65 with Y = 1.
SRGB_TO_XYZ: NDArray[np.float64] = np.array(
    [
        [0.4124564, 0.3575761, 0.1804375],
        [0.2126729, 0.7151522, 0.0721750],
        [0.0193339, 0.1191920, 0.9503041],
    ]
)
XYZ_TO_SRGB: NDArray[np.float64] = np.linalg.inv(SRGB_TO_XYZ).astype(np.float64)
LUMINANCE: Floats = SRGB_TO_XYZ[1].astype(np.float32)
"""Weights of linear red, green and blue in the luminance Y."""

_WHITE = SRGB_TO_XYZ.sum(axis=1)


def linear_exact(encoded: NDArray[np.floating]) -> Floats:
    """Decode sRGB values 0 to 1 to linear light 0 to 1 (IEC 61966-2-1)."""
    x = np.asarray(encoded, np.float64)
    bent = ((np.maximum(x, 0) + 0.055) / 1.055) ** 2.4
    return np.where(x <= 0.04045, x / 12.92, bent).astype(np.float32)


def encoded_exact(light: NDArray[np.floating]) -> Floats:
    """Encode linear light as sRGB values, clipped to 0 to 1 (IEC 61966-2-1)."""
    x = np.clip(np.asarray(light, np.float64), 0, 1)
    return np.where(x <= 0.0031308, x * 12.92, 1.055 * x ** (1 / 2.4) - 0.055).astype(np.float32)


_STEPS = 65535
_DECODE: Floats = linear_exact(np.arange(256) / 255)
_ENCODE: Floats = encoded_exact(np.arange(_STEPS + 1) / _STEPS)


def linear(image: NDArray[np.uint8]) -> Floats:
    """Decode uint8 sRGB of any shape to linear light 0 to 1, by a table of 256 values."""
    flat = np.ascontiguousarray(image).reshape(-1, 1)
    return np.asarray(cv2.LUT(flat, _DECODE), np.float32).reshape(image.shape)


def encoded(light: Floats) -> Floats:
    """Encode linear light as sRGB 0 to 1, by a table: at most 0.0001 from `encoded_exact`."""
    scaled = np.clip(light, 0, 1)
    scaled *= _STEPS
    scaled += 0.5
    return _ENCODE[scaled.astype(np.uint16)]


def luminance(light: Floats) -> Floats:
    """Add up linear RGB [..., 3] to the luminance Y [...], 0 to 1."""
    return np.asarray(light @ LUMINANCE, np.float32)


def lab(light: NDArray[np.floating]) -> Floats:
    """Convert linear RGB [..., 3] to CIELAB [..., 3]: L* 0 to 100, a*, b* (CIE 15:2004, 8.2.1)."""
    t = np.asarray(light, np.float64) @ SRGB_TO_XYZ.T / _WHITE
    f = np.where(t > (6 / 29) ** 3, np.cbrt(t), t * (29 / 6) ** 2 / 3 + 4 / 29)
    x, y, z = f[..., 0], f[..., 1], f[..., 2]
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1).astype(np.float32)


def from_lab(values: NDArray[np.floating]) -> Floats:
    """Convert CIELAB [..., 3] to linear RGB [..., 3], which may lie outside 0 to 1."""
    v = np.asarray(values, np.float64)
    y = (v[..., 0] + 16) / 116
    f = np.stack([y + v[..., 1] / 500, y, y - v[..., 2] / 200], axis=-1)
    t = np.where(f > 6 / 29, f**3, 3 * (6 / 29) ** 2 * (f - 4 / 29))
    return np.asarray((t * _WHITE) @ XYZ_TO_SRGB.T, np.float32)


def delta_e(first: NDArray[np.floating], second: NDArray[np.floating]) -> Floats:
    """Measure how different two CIELAB colours [..., 3] look: CIEDE2000 [...], 1 is just visible.

    Sharma, Wu, Dalal: The CIEDE2000 Color-Difference Formula, 2005, equations 2 to 22, with
    kL = kC = kH = 1.
    """
    l1, a1, b1 = np.moveaxis(np.asarray(first, np.float64), -1, 0)
    l2, a2, b2 = np.moveaxis(np.asarray(second, np.float64), -1, 0)
    mean_c = (np.hypot(a1, b1) + np.hypot(a2, b2)) / 2
    g = 0.5 * (1 - np.sqrt(mean_c**7 / (mean_c**7 + 25.0**7)))
    c1, h1 = np.hypot((1 + g) * a1, b1), _hue(b1, (1 + g) * a1)
    c2, h2 = np.hypot((1 + g) * a2, b2), _hue(b2, (1 + g) * a2)
    grey = c1 * c2 == 0
    turn = np.where(grey, 0, (h2 - h1 + 180) % 360 - 180)
    dl, dc = l2 - l1, c2 - c1
    dh = 2 * np.sqrt(c1 * c2) * np.sin(np.radians(turn / 2))
    mean_l, mean_c = (l1 + l2) / 2, (c1 + c2) / 2
    mean_h = np.where(grey, h1 + h2, _mean_hue(h1, h2))
    t = (
        1
        - 0.17 * np.cos(np.radians(mean_h - 30))
        + 0.24 * np.cos(np.radians(2 * mean_h))
        + 0.32 * np.cos(np.radians(3 * mean_h + 6))
        - 0.20 * np.cos(np.radians(4 * mean_h - 63))
    )
    away = (mean_l - 50) ** 2
    sl = 1 + 0.015 * away / np.sqrt(20 + away)
    sc, sh = 1 + 0.045 * mean_c, 1 + 0.015 * mean_c * t
    rc = 2 * np.sqrt(mean_c**7 / (mean_c**7 + 25.0**7))
    rt = -np.sin(np.radians(60 * np.exp(-(((mean_h - 275) / 25) ** 2)))) * rc
    squared = (dl / sl) ** 2 + (dc / sc) ** 2 + (dh / sh) ** 2 + rt * (dc / sc) * (dh / sh)
    return np.asarray(np.sqrt(np.maximum(squared, 0)), np.float32)


def _hue(b: NDArray[np.float64], a: NDArray[np.float64]) -> NDArray[np.float64]:
    """Angle of a colour in degrees, 0 to 360; 0 where it is grey."""
    return np.degrees(np.arctan2(b, a)) % 360


def _mean_hue(h1: NDArray[np.float64], h2: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean of two angles on the shorter way round, by the paper's rule for their sum."""
    total = h1 + h2
    far = np.abs(h1 - h2) > 180
    return np.where(far, np.where(total < 360, total + 360, total - 360), total) / 2
