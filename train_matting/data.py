"""Examples without end: people of plain walls before rooms, as the segmenter sees them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import IterableDataset, get_worker_info

from pipeline.compositing.refine import flip_averaged, network_input
from pipeline.compositing.segmenter import Segment
from train_matting.scene import SHAPES, Person, Picture, draw

_FACE_UNKNOWN = 0.06
"""Share of examples without a word about whose face is meant: such photos come too."""

Batch = tuple[torch.Tensor, torch.Tensor]


class Examples(IterableDataset[Batch]):
    """Batches of one shape: input float16 [N, INPUTS, H, W] and alpha uint8 [N, 1, H, W]."""

    def __init__(
        self,
        people: Sequence[Person],
        walls: Sequence[tuple[Picture, Picture]],
        segmenter: Callable[[], Segment],
        seed: int,
        batch: int,
    ) -> None:
        """walls: photos and their masks (255 = person). segmenter: makes one, in the worker."""
        self._people, self._walls, self._segmenter = people, walls, segmenter
        self._seed, self._batch = seed, batch

    def __iter__(self) -> Iterator[Batch]:
        cv2.setNumThreads(1)
        worker = get_worker_info()
        rng = np.random.default_rng([self._seed, worker.id if worker else 0])
        segment = self._segmenter()
        waiting: dict[tuple[int, ...], list[tuple[NDArray[np.float16], Picture]]] = {
            shape: [] for shape in SHAPES
        }
        while True:
            scene = draw(rng, self._people, self._walls)
            box = None if rng.random() < _FACE_UNKNOWN else _found(rng, scene.box)
            mask, doubt = flip_averaged(scene.picture, segment)
            packed = network_input(scene.picture, mask, doubt, box)
            ready = waiting[scene.alpha.shape]
            ready.append((packed.astype(np.float16), scene.alpha))
            if len(ready) == self._batch:
                yield (
                    torch.from_numpy(np.stack([x for x, _ in ready])),
                    torch.from_numpy(np.stack([y for _, y in ready])[:, None]),
                )
                ready.clear()


def _found(
    rng: np.random.Generator, box: tuple[float, float, float, float]
) -> tuple[float, float, float, float]:
    """The face's box as a detector would give it: a few percent off."""
    x, y, width, height = box
    x, y = x + rng.normal(0, 0.04) * width, y + rng.normal(0, 0.04) * height
    return x, y, width * rng.uniform(0.92, 1.08), height * rng.uniform(0.92, 1.08)
