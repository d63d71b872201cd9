"""A person for training on random weights, where only the numbers matter: noise, and a matte."""

from __future__ import annotations

import numpy as np

from pipeline.photos.album import TrainingPhoto


def middle(image: np.ndarray) -> np.ndarray:
    """Segment by always cutting out the same middle."""
    matte = np.zeros(image.shape[:2], np.uint8)
    side = image.shape[0]
    matte[side // 8 :, side // 4 : -side // 4] = 255
    return matte


def noise_photos(count: int) -> list[TrainingPhoto]:
    rng = np.random.default_rng(1)
    landmarks = np.array([[60, 70], [100, 70], [80, 90], [68, 110], [92, 110]], np.float32)
    embedding = np.eye(128, dtype=np.float32)[0]
    pictures = rng.integers(0, 256, (count, 160, 160, 3), dtype=np.uint8)
    return [TrainingPhoto(picture, landmarks, embedding) for picture in pictures]
