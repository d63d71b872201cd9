"""Irregularity: what cloth, paint, plaster and leaves have in common."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Field = NDArray[np.float32]
Size = tuple[int, int]


def fractal(
    rng: np.random.Generator, size: Size, cells: float, octaves: int = 5, gain: float = 0.55
) -> Field:
    """Make noise of several scales: float32 [H, W], mean 0, standard deviation 1.

    cells: how many of the largest spots lie along the longer side.
    """
    height, width = size
    long = max(size)
    out = np.zeros(size, np.float32)
    weight = 1.0
    for _ in range(octaves):
        step = long / cells
        if step < 1.2:
            break
        # As many numbers at any size and shape, or a preview would show another wall.
        side = int(np.ceil(cells - 1e-6)) + 3
        grid = rng.standard_normal((side, side), np.float32)
        # A shift, or the spots of all scales would meet in the same corner.
        dx, dy = rng.uniform(0, 1, 2)
        move = np.array([[step, 0, -step * (1 + dx)], [0, step, -step * (1 + dy)]], np.float32)
        out += weight * cv2.warpAffine(grid, move, (width, height), flags=cv2.INTER_CUBIC)
        cells *= 2.03
        weight *= gain
    out -= out.mean()
    return out / max(1e-6, float(out.std()))


def warped(field: Field, along: Field, across: Field, reach: float) -> Field:
    """Pull a field about by two others, `reach` pixels for one standard deviation."""
    height, width = field.shape
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    x += along * np.float32(reach)
    y += across * np.float32(reach)
    pulled = cv2.remap(field, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
    return np.asarray(pulled, np.float32)


def enlarged(field: Field, size: Size) -> Field:
    """Bring a picture or field to (H, W) without steps."""
    if field.shape[:2] == size:
        return field
    return np.asarray(cv2.resize(field, size[::-1], interpolation=cv2.INTER_CUBIC), np.float32)
