"""The inverse of `composite`: a portrait, and the alpha that composed it -> the person alone.

Light adds up, so the wall is taken out of hair and edges in linear light: the grade is undone
first, then what shines through, then what was let round the edge, and the person is graded again.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.compositing.composite import (
    Grade,
    development,
    light_around,
    small_size,
    unwrapped,
)
from pipeline.compositing.foreground import SIDE, corrected, estimated
from pipeline.compositing.upsample import enlarged_at

_STEPS = 4096
"""Entries of the grade's curve."""


def person_of(
    portrait: NDArray[np.uint8], alpha: NDArray[np.uint8], grade: Grade
) -> NDArray[np.uint8]:
    """The person's colours: 0 where alpha is 0, the portrait's own where it is 255.

    portrait: uint8 RGB [H, W, 3], which is also what comes back. alpha: uint8 [H, W], as
    `render.alpha_in` gives it.
    """
    matrix, curve = development(grade, _STEPS)
    if grade.monochrome:
        matrix = np.eye(3, dtype=np.float32)  # grey light adds up as well
    steps = np.linspace(0, 1, _STEPS)
    # Where a curve is flat, any of its light will do.
    light = np.interp(np.arange(256) / 255, curve, steps).astype(np.float32) ** 2
    whole = cv2.transform(np.asarray(cv2.LUT(portrait, light)), np.linalg.inv(matrix))
    cover = np.asarray(alpha / 255, np.float32)
    scale = min(1.0, SIDE / max(alpha.shape))
    small, share = (
        cv2.resize(field, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        for field in (whole, cover)
    )
    person, wall = estimated(small, share)
    around = light_around(cover, wall, small_size(alpha.shape))
    around = cv2.resize(around, alpha.shape[::-1], interpolation=cv2.INTER_LINEAR)
    band = (alpha > 0) & (alpha < 255)
    part = cover[band][:, None]
    own = corrected(enlarged_at(person, band), enlarged_at(wall, band), whole[band], part)
    own = np.clip(unwrapped(own, around[band], part) @ matrix.T, 0, 1)
    colours = portrait.copy()
    colours[alpha == 0] = 0
    colours[band] = np.interp(np.sqrt(own), steps, curve) * 255 + 0.5
    return colours
