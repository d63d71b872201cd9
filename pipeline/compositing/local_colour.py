"""What the colours of person and wall about a pixel say of its alpha."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.compositing.refine import Floats

_REACH = 0.015
"""How far about a pixel the colours of person and wall are compared, as a share of the side."""

_SHRUNK = 4
"""How much smaller than the picture that is compared: it is smooth."""

_SAME, _DIFFERENT = 0.8, 1.6
"""Distance of the two colours, in standard deviations, below which it tells nothing, and above
which enough."""

_SEEN = 0.04
"""A distance (0 to 1) that counts as one standard deviation, however restless the two are."""

_NOISE = 0.02
"""Least standard deviation of a colour (0 to 1)."""

_STEEPER = 1.6
"""Steepness of `between`: an edge of two colours that are not quite even."""


class LocalColour(NamedTuple):
    """Of each pixel, float32 [h, w], 0 to 1.

    alike: how much alike person and wall are about it; 1 is the same colour.
    between: where its colour lies from the wall's, 0, to the person's, 1.
    """

    alike: Floats
    between: Floats


def local_colour(ink: NDArray[np.float64], trimap: Floats) -> LocalColour:
    """Compare each pixel with the known person and the known wall about it.

    ink: RGB [h, w, 3], 0 to 1. trimap: float32 [h, w], 0 wall, 1 person.
    """
    colour = ink.astype(np.float32)
    square = (colour * colour).sum(axis=-1)
    means, spread = [], np.float32(_NOISE**2)
    for known in (trimap == 1, trimap == 0):
        weight = known.astype(np.float32)
        share = np.maximum(_about(weight), 1e-4)
        mean = _about(colour * weight[..., None]) / share[..., None]
        means.append(mean)
        spread = spread + _about(square * weight) / share - (mean * mean).sum(axis=-1)
    axis = means[0] - means[1]
    apart = np.linalg.norm(axis, axis=-1)
    seen = np.maximum(apart / np.sqrt(np.maximum(spread, 1e-6)), apart / _SEEN)
    alike = np.clip((_DIFFERENT - seen) / (_DIFFERENT - _SAME), 0, 1)
    axis = axis / np.maximum(apart, _SEEN)[..., None] ** 2
    size = trimap.shape[1::-1]
    alike, axis, wall = (cv2.resize(one, size) for one in (alike, axis, means[1]))
    between = ((colour - wall) * axis).sum(axis=-1)
    between = np.clip((between - 0.5) * _STEEPER + 0.5, 0, 1)
    return LocalColour(np.asarray(alike, np.float32), np.asarray(between, np.float32))


def _about(values: Floats) -> Floats:
    """What lies about each pixel of [h, w] or [h, w, C], at a quarter of the size."""
    height, width = values.shape[:2]
    size = (-(-width // _SHRUNK), -(-height // _SHRUNK))
    small = cv2.resize(values, size, interpolation=cv2.INTER_AREA)
    reach = _REACH * max(height, width) / _SHRUNK
    return np.asarray(cv2.GaussianBlur(small, (0, 0), reach), np.float32)
