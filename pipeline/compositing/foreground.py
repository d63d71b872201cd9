"""The person's own colours: the old wall's colour taken out of hair and edges.

A pixel of the edge is alpha times the person plus the rest of the wall. Both colours are estimated
at a small size, where they are smooth, by two averages over windows, a large one and a small one
(M. Forte, "Approximate Fast Foreground Colour Estimation", 2021), and corrected at full size so
that the two explain the camera's pixel.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.compositing.refine import Floats, Picture, shrunk
from pipeline.compositing.upsample import enlarged_at

SIDE = 512
"""Long side in pixels at which colours are estimated."""

_REACHES = (0.18, 0.012)
"""Sides of the windows whose colours are averaged, one after the other, as shares of the long side:
90 and 6 pixels of 512."""

_NEXT_TO_NOTHING = 1e-5


def person_colours(image: Picture, alpha: NDArray[np.uint8]) -> Picture:
    """Colours under uint8 alpha [H, W] of uint8 RGB [H, W, 3].

    Returns:
        uint8 RGB [H, W, 3]: 0 where alpha is 0, the camera's pixel where it is 255.
    """
    colours = np.asarray(cv2.copyTo(image, alpha), np.uint8)
    band = (alpha > 0) & (alpha < 255)
    if band.any():
        top, bottom, left, right = bounds(band, 0.04 * max(alpha.shape))
        cut = np.s_[top:bottom, left:right]
        colours[cut][band[cut]] = _unmixed(image[cut], alpha[cut], band[cut])
    return colours


def bounds(area: NDArray[np.bool_], margin: float) -> tuple[int, int, int, int]:
    """Top, bottom, left, right of a bool [H, W] area that is not empty, and a margin in pixels."""
    rows, columns = np.flatnonzero(area.any(axis=1)), np.flatnonzero(area.any(axis=0))
    more = round(margin)
    return (
        max(0, int(rows[0]) - more),
        min(area.shape[0], int(rows[-1]) + 1 + more),
        max(0, int(columns[0]) - more),
        min(area.shape[1], int(columns[-1]) + 1 + more),
    )


def _unmixed(image: Picture, alpha: NDArray[np.uint8], band: NDArray[np.bool_]) -> Picture:
    """The person's part of each pixel of a bool [h, w] band: uint8 RGB [pixels, 3]."""
    person, wall = estimated(shrunk(image, SIDE) / 255.0, shrunk(alpha, SIDE) / 255.0)
    part: Floats = np.asarray(alpha[band] / 255.0, np.float32)[:, None]
    whole: Floats = np.asarray(image[band] / 255.0, np.float32)
    person = corrected(enlarged_at(person, band), enlarged_at(wall, band), whole, part)
    return np.asarray(np.clip(person * 255 + 0.5, 0, 255), np.uint8)


def estimated(image: NDArray[np.floating], alpha: NDArray[np.floating]) -> tuple[Floats, Floats]:
    """Colours of person and wall, smooth, each float32 RGB [h, w, 3].

    image: 0 to 1, RGB [h, w, 3]; alpha: 0 to 1, [h, w]; both shrunk to `SIDE`.
    """
    ink, part = image.astype(np.float32), alpha.astype(np.float32)[..., None]
    person = wall = ink
    for reach in _REACHES:
        side = 2 * round(reach * max(ink.shape) / 2) + 1
        # Squared: what is half wall would colour the person.
        smooth = _averaged(person, part**2, side), _averaged(wall, (1 - part) ** 2, side)
        person = np.clip(corrected(*smooth, ink, part), 0, 1)
        wall = np.clip(corrected(*smooth[::-1], ink, 1 - part), 0, 1)
    return person, wall


def _averaged(colours: Floats, weight: Floats, side: int) -> Floats:
    """The mean of RGB [h, w, 3] about each pixel, its neighbours weighted by [h, w, 1]."""
    window = (side, side)
    total = cv2.blur(colours * weight, window)
    return np.asarray(total / (cv2.blur(weight, window)[..., None] + _NEXT_TO_NOTHING), np.float32)


def corrected(person: Floats, wall: Floats, whole: Floats, part: Floats) -> Floats:
    """Colours of the person that, with the wall, explain the pixel: all [N, 3], part [N, 1]."""
    rest = 1 - part
    missing = whole - part * person - rest * wall
    return person + missing * part / (part * part + rest * rest)
