"""A training as short as can be."""

from __future__ import annotations

from typing import Any

from pipeline.bases.base import Base
from pipeline.photos.record import TrainingPhoto
from pipeline.training.train import Personalisation, Recipe, train
from tests.support.nobody import middle

SHORT = Recipe(rank=4, alpha=8, steps=6, batch=2, variants=2)


def run(
    base: Base,
    photos: list[TrainingPhoto],
    recipe: Recipe = SHORT,
    seed: int = 5,
    **options: Any,
) -> bytes:
    """Train an adapter of a base on photos; options are those of `train`."""
    defaults: dict[str, Any] = {"report": lambda _: None, "stop": lambda: False}
    person = Personalisation(photos, middle, recipe, seed)
    return train(base, person, **defaults | options)
