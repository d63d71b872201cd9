"""Training pictures and words, encoded once and kept in memory, and random batches of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from typing import TYPE_CHECKING

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from errors import Stopped
from pipeline.bases import device
from pipeline.bases.base import Base
from pipeline.bases.denoising import Conditions
from pipeline.imaging import face_bump
from pipeline.overlap import ahead
from pipeline.training.dataset import Example

if TYPE_CHECKING:
    from pipeline.training.train import Recipe

AHEAD = 4
"""Pictures that are prepared while one is encoded: less than 8 MB each, at 1024 pixels."""

Part = tuple[torch.Tensor, Conditions, torch.Tensor]
"""Latents [b, C, h, w], conditions, and the weight of each place, [b, 1, h, w] with mean 1."""


class Encoded:
    """All pictures and words, encoded and in memory."""

    def __init__(
        self, base: Base, examples: Iterable[Example], recipe: Recipe, stop: Callable[[], bool]
    ) -> None:
        self.recipe = recipe
        self.latents: list[torch.Tensor] = []
        self.weights: list[torch.Tensor] = []
        captions, sizes = [], []
        with closing(ahead(examples, AHEAD)) as coming:
            for example in coming:
                if stop():
                    raise Stopped
                captions.append(example.caption)
                sizes.append(example.sizes)
                with device.during("encode"):
                    latents = base.encode_images(example.image[None])
                self.latents += latents
                self.weights += (
                    face_weight(latents, recipe.face_weight)
                    if example.weight is None
                    else place_weight(latents, example.weight)
                )
        with device.during("words"):
            self.conditions = base.encode_prompts(captions) | base.told_sizes(sizes)
            self.no_words = base.encode_prompts([""])

    def draw(self, generator: torch.Generator, at_once: int) -> Iterator[Part]:
        """A random batch, partly silent, in parts of one size, at most `at_once` each."""
        batch = self.recipe.batch
        rows = torch.randint(0, len(self.latents), (batch,), generator=generator)
        silent = torch.rand(batch, generator=generator) < self.recipe.text_dropout
        alike: dict[torch.Size, list[int]] = {}
        for place, row in enumerate(rows.tolist()):
            alike.setdefault(self.latents[row].shape, []).append(place)
        for places in alike.values():
            for start in range(0, len(places), at_once):
                part = places[start : start + at_once]
                yield self._part(rows[part], silent[part])

    def _part(self, rows: torch.Tensor, silent: torch.Tensor) -> Part:
        conditions = {}
        for key, values in self.conditions.items():
            chosen = values[rows.to(values.device)]
            if key in self.no_words:
                chosen[silent.to(values.device)] = self.no_words[key]
            conditions[key] = chosen
        latents, weights = ([of[row] for row in rows] for of in (self.latents, self.weights))
        return torch.stack(latents), conditions, torch.stack(weights)


def place_weight(latents: torch.Tensor, weight: NDArray[np.float32]) -> torch.Tensor:
    """The weight of each pixel, [S, S], for each place of latents: [1, 1, h, w] with mean 1."""
    height, width = latents.shape[-2:]
    small = cv2.resize(weight, (width, height), interpolation=cv2.INTER_AREA)
    return torch.from_numpy(small / small.mean()).to(latents.device)[None, None]


def face_weight(latents: torch.Tensor, extra: float) -> torch.Tensor:
    """[1, 1, h, w] with mean 1: all pictures are aligned, so the face is always in its place."""
    height, width = latents.shape[-2:]
    weight = torch.from_numpy(1 + extra * face_bump(height, width)).to(latents.device)
    return (weight / weight.mean())[None, None]
