"""Who does a portrait look like?  Scores, order, doubt.

Likeness is the cosine of SFace embeddings, -1 to 1, against the mean of the person's own photos.
It says whether a face recogniser would take the portrait for the person, not whether it is
beautiful.  Knows numbers only: no models, no torch.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pipeline.faces import SAME_PERSON

if TYPE_CHECKING:
    from pipeline.album import TrainingPhoto
    from pipeline.generate import Shot


@dataclass(frozen=True)
class PortraitRecord:
    """What is known of a portrait.

    id: its name in the vault; style: a style's key; likeness: -1 to 1, -1 without a face;
    doubtful: no face, or not surely the same person.
    """

    id: str
    style: str
    seed: int
    likeness: float
    doubtful: bool


def person_vector(photos: Sequence[TrainingPhoto]) -> NDArray[np.float32]:
    """The mean of the photos' embeddings as a unit vector [128]."""
    return _mean([photo.embedding for photo in photos])


def baseline(photos: Sequence[TrainingPhoto]) -> float:
    """How alike the person's photos are among themselves: what a portrait can be measured by.

    The median likeness of each photo to the mean of the others; 1.0 for a single photo.
    """
    vectors = [photo.embedding for photo in photos]
    if len(vectors) < 2:
        return 1.0
    alike = [
        float(vector @ _mean(vectors[:i] + vectors[i + 1 :])) for i, vector in enumerate(vectors)
    ]
    return float(np.median(alike))


def record_for(portrait_id: str, shot: Shot, likeness: float) -> PortraitRecord:
    """The record of a shot whose portrait scored `likeness` against `person_vector`."""
    return PortraitRecord(
        id=portrait_id,
        style=shot.style.key,
        seed=shot.seed,
        likeness=round(likeness, 4),
        doubtful=likeness < SAME_PERSON,
    )


def rank(portraits: Iterable[PortraitRecord]) -> list[PortraitRecord]:
    """Best first, doubtful last; ties in the order of their ids."""
    return sorted(portraits, key=lambda p: (p.doubtful, -p.likeness, p.id))


def _mean(vectors: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
    mean = np.mean(vectors, axis=0)
    return (mean / max(float(np.linalg.norm(mean)), 1e-12)).astype(np.float32)
