"""Bring a matte to the photo's full size: the fast guided filter.

K. He, J. Sun, "Fast Guided Filter", 2015: in every small window alpha is a linear function of the
photo's three colours. Its coefficients are found at the small size and enlarged; the full-size
photo then gives the edge its own sharpness.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.compositing.refine import Floats

_EPSILON = 1e-5
"""Variance of colour (0 to 1, squared) below which a window's alpha is simply averaged."""

_RADIUS = 2
"""Windows are 5 x 5 pixels of the small size."""


def enlarged(alpha: Floats, small: Floats, full: NDArray[np.uint8]) -> Floats:
    """Alpha [h, w] of the photo `small` (float32 RGB, 0 to 1) at the size of uint8 `full`.

    Returns:
        float32 [H, W], 0 to 1.
    """
    slope, offset = _coefficients(alpha, small)
    slope *= np.float32(1 / 255)
    size = (full.shape[1], full.shape[0])
    guided = cv2.resize(offset, size, interpolation=cv2.INTER_LINEAR)
    for channel in range(3):  # one after another: all at once would be 150 MB at 2048 pixels
        grown = cv2.resize(slope[..., channel], size, interpolation=cv2.INTER_LINEAR)
        grown *= full[..., channel]
        guided += grown
    # Beyond the range of its neighbours an alpha is ringing.
    window = np.ones((3, 3), np.uint8)
    least = cv2.resize(cv2.erode(alpha, window), size, interpolation=cv2.INTER_LINEAR)
    most = cv2.resize(cv2.dilate(alpha, window), size, interpolation=cv2.INTER_LINEAR)
    return np.asarray(np.clip(guided, least, most, out=guided), np.float32)


def _coefficients(alpha: Floats, small: Floats) -> tuple[Floats, Floats]:
    """Slope [h, w, 3] and offset [h, w] of alpha as a linear function of colour, averaged."""
    mean, mean_alpha = _mean(small), _mean(alpha)
    shared = _mean(small * alpha[..., None]) - mean * mean_alpha[..., None]
    red, green, blue = (small[..., n] for n in range(3))
    pairs = _mean(np.dstack([red * red, green * green, blue * blue]))
    cross = _mean(np.dstack([red * green, red * blue, green * blue]))
    a, d, f = (pairs[..., n] - mean[..., n] ** 2 + _EPSILON for n in range(3))
    b = cross[..., 0] - mean[..., 0] * mean[..., 1]
    c = cross[..., 1] - mean[..., 0] * mean[..., 2]
    e = cross[..., 2] - mean[..., 1] * mean[..., 2]
    # Cramer's rule for the symmetric 3 x 3 system [a b c; b d e; c e f] x = shared.
    aa, bb, cc = d * f - e * e, c * e - b * f, b * e - c * d
    dd, ee, ff = a * f - c * c, b * c - a * e, a * d - b * b
    scale = 1 / (a * aa + b * bb + c * cc)
    x, y, z = (shared[..., n] for n in range(3))
    slope = np.dstack(
        [aa * x + bb * y + cc * z, bb * x + dd * y + ee * z, cc * x + ee * y + ff * z]
    )
    slope = slope * scale[..., None]
    offset = mean_alpha - np.einsum("hwc,hwc->hw", slope, mean)
    return _mean(slope.astype(np.float32)), _mean(offset.astype(np.float32))


def _mean(values: Floats) -> Floats:
    side = 2 * _RADIUS + 1
    return np.asarray(cv2.blur(values, (side, side), borderType=cv2.BORDER_REFLECT), np.float32)
