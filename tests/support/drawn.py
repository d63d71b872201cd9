"""A drawn person for tests of the photo way: head, neck, shoulders, with places for the eyes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

SKIN = (205, 160, 135)
SHIRT = (60, 110, 190)
HAIR = (45, 32, 25)


@dataclass(frozen=True)
class Drawn:
    """A cut-out and the face's five landmarks."""

    colours: NDArray[np.uint8]
    alpha: NDArray[np.uint8]
    landmarks: NDArray[np.float32]


@cache
def _noise(size: tuple[int, int]) -> NDArray[np.float32]:
    """Of a camera: [H, W, 3] grey levels."""
    return np.random.default_rng(0).normal(0, 3, (*size, 3)).astype(np.float32)


def drawn(
    size: tuple[int, int] = (900, 900),
    eyes: tuple[float, float] = (450, 380),
    head: float = 280,
    tilt: float = 0.0,
    shirt: tuple[int, int, int] = SHIRT,
    body: float = 9.0,
) -> Drawn:
    """Draw somebody: eyes' middle x, y, the head's height in pixels, tilt in degrees clockwise,
    how many heads long the body is."""
    colours = np.zeros((*size, 3), np.uint8)
    alpha = np.zeros(size, np.uint8)
    cos, sin = np.cos(np.radians(tilt)), np.sin(np.radians(tilt))

    def at(x: float, y: float) -> tuple[int, int]:
        x, y = x * head, y * head
        return round(eyes[0] + x * cos - y * sin), round(eyes[1] + x * sin + y * cos)

    def oval(x: float, y: float, wide: float, tall: float, colour: tuple[int, int, int]) -> None:
        axes = (max(1, round(wide * head)), max(1, round(tall * head)))
        for picture, value in ((colours, colour), (alpha, 255)):
            cv2.ellipse(picture, at(x, y), axes, tilt, 0, 360, value, -1, cv2.LINE_AA)

    oval(0, 0.75 + body / 2, 0.95, body / 2, shirt)
    oval(0, 0.6, 0.17, 0.3, SKIN)
    oval(0, -0.08, 0.40, 0.45, HAIR)
    oval(0, 0.06, 0.33, 0.44, SKIN)
    colours = np.clip(colours + _noise(size), 0, 255).astype(np.uint8)
    half = 0.5 / 3.55
    points = [(-half, 0), (half, 0), (0, 0.17), (-0.1, 0.305), (0.1, 0.305)]
    exact = [
        (eyes[0] + (x * cos - y * sin) * head, eyes[1] + (x * sin + y * cos) * head)
        for x, y in points
    ]
    return Drawn(colours, alpha, np.array(exact, np.float32))
