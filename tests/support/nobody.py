"""A person for training on random weights, where only the numbers matter: noise, and a matte."""

from __future__ import annotations

from pipeline.photos.record import TrainingPhoto
from tools import nobody
from tools.nobody import middle

__all__ = ["middle", "noise_photos"]


def noise_photos(count: int) -> list[TrainingPhoto]:
    photos = nobody.noise_photos(count)
    return [TrainingPhoto(photo.image, photo.landmarks, photo.embedding) for photo in photos]
