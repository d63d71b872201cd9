"""A training of nobody: one photo of noise, and a stop that comes at the worst moment."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.bases.base import Base
from pipeline.training.train import Personalisation, Recipe


@dataclass(frozen=True)
class Photo:
    """As `TrainingPhoto`, which brings the vault with it."""

    image: NDArray[np.uint8]
    landmarks: NDArray[np.float32]
    embedding: NDArray[np.float32]
    alpha: NDArray[np.uint8] | None = None
    said: str = ""


class Stopper:
    """`stop` that turns true right after it was asked `after` times: the longest wait there is."""

    def __init__(self, after: float = math.inf) -> None:
        self.after, self.asked, self.since = after, 0, math.inf

    def __call__(self) -> bool:
        if self.asked >= self.after:
            return True
        self.asked += 1
        if self.asked >= self.after:
            self.since = time.monotonic()
        return False


def nobody(recipe: Recipe, base: Base) -> Personalisation:
    """One photo of noise, large enough for pictures of the base's full resolution; the same middle
    of it is always cut out."""
    photos: Any = noise_photos(1, 2 * base.resolution)
    return Personalisation(photos, middle, recipe, seed=1)


def noise_photos(count: int, side: int = 160) -> list[Photo]:
    """Photos of so many pixels on which a face is said to be in the middle."""
    rng = np.random.default_rng(1)
    landmarks = np.array([[60, 70], [100, 70], [80, 90], [68, 110], [92, 110]], np.float32)
    landmarks *= np.float32(side / 160)
    embedding = np.eye(128, dtype=np.float32)[0]
    pictures = rng.integers(0, 256, (count, side, side, 3), dtype=np.uint8)
    return [Photo(picture, landmarks, embedding) for picture in pictures]


def middle(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Segment by always cutting out the same middle: uint8 [H, W], 255 = person."""
    matte = np.zeros(image.shape[:2], np.uint8)
    side = image.shape[0]
    matte[side // 8 :, side // 4 : -side // 4] = 255
    return matte
