"""Bring a matte to the photo's full size: the fast guided filter.

K. He, J. Sun, "Fast Guided Filter", 2015: in every small window alpha is a linear function of the
photo's three colours. Its coefficients are found at the small size and enlarged; the full-size
photo then gives the edge its own sharpness.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.compositing.refine import Floats

_EPSILON = 1e-5
"""Variance of colour (0 to 1, squared) below which a window's alpha is simply averaged."""

_STRIP = 128
"""Rows whose model is found at once: it needs forty arrays of their size."""

_REMAPPED = 1024
"""Pixels in a row of what OpenCV remaps: it takes no row of 32768."""

_RADIUS = 2
"""Windows are 5 x 5 pixels of the small size."""


def enlarged(alpha: Floats, small: Floats, full: NDArray[np.uint8]) -> Floats:
    """Alpha [h, w] of the photo `small` (float32 RGB, 0 to 1) at the size of uint8 `full`.

    Returns:
        float32 [H, W], 0 to 1.
    """
    window = np.ones((3, 3), np.uint8)
    least, most = cv2.erode(alpha, window), cv2.dilate(alpha, window)
    size = (full.shape[1], full.shape[0])
    grown = cv2.resize(alpha, size, interpolation=cv2.INTER_LINEAR)
    uneven = cv2.dilate((most > least).astype(np.uint8), window)
    band = cv2.resize(uneven, size, interpolation=cv2.INTER_NEAREST) == 1
    if band.any():
        model = enlarged_at(_model(alpha, small), band)
        guided = (model[:, :3] * full[band]).sum(axis=1) / 255 + model[:, 3]
        # Beyond the range of its neighbours an alpha is ringing.
        limits = enlarged_at(np.dstack([least, most]), band)
        grown[band] = np.clip(guided, limits[:, 0], limits[:, 1])
    return np.asarray(grown, np.float32)


def enlarged_at(small: Floats, band: NDArray[np.bool_]) -> Floats:
    """Enlarge [h, w, C] to the size of a bool [H, W] band, but only there: [pixels, C]."""
    rows, columns = (place.astype(np.float32) + np.float32(0.5) for place in np.nonzero(band))
    down, across = small.shape[0] / band.shape[0], small.shape[1] / band.shape[1]
    count = len(rows)
    side = -(-count // _REMAPPED)
    x, y = (
        np.resize(place * np.float32(scale) - np.float32(0.5), (side, _REMAPPED))
        for place, scale in ((columns, across), (rows, down))
    )
    found = cv2.remap(small, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(found.reshape(-1, small.shape[2])[:count], np.float32)


def _model(alpha: Floats, small: Floats) -> Floats:
    """Slope and offset, [h, w, 4], of alpha as a linear function of colour, averaged."""
    height = alpha.shape[0]
    strips = []
    for top in range(0, height, _STRIP):
        first, last = max(0, top - 2 * _RADIUS), min(height, top + _STRIP + 2 * _RADIUS)
        strip = _strip_of_model(alpha[first:last], small[first:last])
        strips.append(strip[top - first : top - first + _STRIP])
    return np.concatenate(strips)


def _strip_of_model(alpha: Floats, small: Floats) -> Floats:
    """The same of some rows; what is nearer to their ends than two windows is not yet right."""
    mean, mean_alpha = _mean(small), _mean(alpha)
    shared = _mean(small * alpha[..., None]) - mean * mean_alpha[..., None]
    red, green, blue = (small[..., n] for n in range(3))
    pairs = _mean(np.dstack([red * red, green * green, blue * blue]))
    cross = _mean(np.dstack([red * green, red * blue, green * blue]))
    a, d, f = (pairs[..., n] - mean[..., n] ** 2 + _EPSILON for n in range(3))
    b = cross[..., 0] - mean[..., 0] * mean[..., 1]
    c = cross[..., 1] - mean[..., 0] * mean[..., 2]
    e = cross[..., 2] - mean[..., 1] * mean[..., 2]
    aa, bb, cc, dd, ee, ff = inverse_of(a, b, c, d, e, f)
    x, y, z = (shared[..., n] for n in range(3))
    slope = np.dstack(
        [aa * x + bb * y + cc * z, bb * x + dd * y + ee * z, cc * x + ee * y + ff * z]
    )
    offset = mean_alpha - np.einsum("hwc,hwc->hw", slope, mean)
    return _mean(np.dstack([slope, offset]).astype(np.float32))


def inverse_of(a: Any, b: Any, c: Any, d: Any, e: Any, f: Any) -> tuple[Any, ...]:
    """Invert symmetric matrices [a b c; b d e; c e f], arrays of one shape, by Cramer's rule; the
    six numbers of each inverse in the same order."""
    aa, bb, cc = d * f - e * e, c * e - b * f, b * e - c * d
    scale = 1 / (a * aa + b * bb + c * cc)
    rest = a * f - c * c, b * c - a * e, a * d - b * b
    return tuple(value * scale for value in (aa, bb, cc, *rest))


def _mean(values: Floats) -> Floats:
    side = 2 * _RADIUS + 1
    return np.asarray(cv2.blur(values, (side, side), borderType=cv2.BORDER_REFLECT), np.float32)
