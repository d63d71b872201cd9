"""The person's own colours: the old wall's colour taken out of hair and edges.

A pixel of the edge is alpha times the person plus the rest of the wall. Both colours are estimated
at a small size by the multi-level method (T. Germer et al., "Fast Multi-Level Foreground
Estimation", 2020; pymatting), where they are smooth, and corrected at full size so that the two
explain the camera's pixel (as in M. Forte, "Approximate Fast Foreground Colour Estimation", 2021).
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.compositing.refine import Floats, Picture, shrunk

SIDE = 512
"""Long side in pixels at which colours are estimated."""


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
    person, wall = estimated(shrunk(image, SIDE) / 255.0, shrunk(alpha, SIDE) / 255.0, alpha.shape)
    part: Floats = np.asarray(alpha[band] / 255.0, np.float32)[:, None]
    whole: Floats = np.asarray(image[band] / 255.0, np.float32)
    person = corrected(person[band], wall[band], whole, part)
    return np.asarray(np.clip(person * 255 + 0.5, 0, 255), np.uint8)


def estimated(
    image: NDArray[np.floating], alpha: NDArray[np.floating], size: tuple[int, ...]
) -> tuple[Floats, Floats]:
    """Colours of person and wall, smooth, each float32 RGB [*size, 3].

    image: 0 to 1, RGB [h, w, 3]; alpha: 0 to 1, [h, w]; both shrunk to `SIDE`. size: H, W.
    """
    from numba import set_num_threads
    from pymatting import estimate_foreground_ml

    # Its loops are so short that a second thread of numba only waits, and takes ten times as much
    # of the processors as the work does. Counts for the calling thread.
    set_num_threads(1)
    both = estimate_foreground_ml(
        image.astype(np.float64), alpha.astype(np.float64), return_background=True
    )
    person, wall = (
        np.asarray(cv2.resize(colour, size[1::-1], interpolation=cv2.INTER_LINEAR), np.float32)
        for colour in both
    )
    return person, wall


def corrected(person: Floats, wall: Floats, whole: Floats, part: Floats) -> Floats:
    """Colours of the person that, with the wall, explain the pixel: all [N, 3], part [N, 1]."""
    rest = 1 - part
    missing = whole - part * person - rest * wall
    return person + missing * part / (part * part + rest * rest)
