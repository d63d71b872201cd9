"""A training of nobody: one photo of noise, and a stop that comes at the worst moment."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.training.train import Personalisation, Recipe


@dataclass(frozen=True)
class Photo:
    """As `TrainingPhoto`, which brings the vault with it."""

    image: NDArray[np.uint8]
    landmarks: NDArray[np.float32]
    embedding: NDArray[np.float32]


class Stopper:
    """`stop` that turns true right after it was asked `after` times: the longest wait there is."""

    def __init__(self, after: int) -> None:
        self.left, self.since = after, math.inf

    def __call__(self) -> bool:
        if self.left <= 0:
            return True
        self.left -= 1
        if self.left == 0:
            self.since = time.monotonic()
        return False


def nobody(recipe: Recipe) -> Personalisation:
    """One photo of noise, of which the same middle is always cut out."""
    picture = np.random.default_rng(1).integers(0, 256, (160, 160, 3), dtype=np.uint8)
    points = np.array([[60, 70], [100, 70], [80, 90], [68, 110], [92, 110]], np.float32)
    photo: Any = Photo(picture, points, np.eye(128, dtype=np.float32)[0])
    return Personalisation([photo], _middle, recipe, seed=1)


def _middle(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    matte = np.zeros(image.shape[:2], np.uint8)
    side = image.shape[0]
    matte[side // 8 :, side // 4 : -side // 4] = 255
    return matte
