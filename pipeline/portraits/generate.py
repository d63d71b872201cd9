"""Portraits from a base, a person's adapter and styles.

Every portrait depends on its own seed and style, not on which others share its batch (up to the
last bits of floating point).  Portraits of a base with a low resolution are enlarged by Lanczos
resampling and sharpened mildly: that adds pixels, not detail, and nothing here pretends otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from itertools import groupby

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from pipeline.bases import adapter as adapters
from pipeline.bases import device
from pipeline.bases.base import Base
from pipeline.bases.denoising import Conditions, Sampling
from pipeline.compositing.backdrops import ANYONE, PERSON
from pipeline.portraits.style import Style, finish

SHARPENING = 0.4
"""Weight of the unsharp mask."""


@dataclass(frozen=True)
class Shot:
    """One portrait to be made.

    index: counts from 0 in the order of making. start: given a side in pixels, makes the picture
    uint8 [side, side, 3] that painting starts from; None for a start from noise alone.
    """

    index: int
    style: Style
    seed: int
    start: Callable[[int], NDArray[np.uint8]] | None = field(default=None, compare=False)


def plan(styles: list[Style], count: int, seed: int) -> list[Shot]:
    """`count` shots that go round the styles, so that every style is seen early and equally often.

    The same arguments give the same shots.  A style with a seed of its own uses that instead of
    the order's.
    """
    shots = []
    for index in range(count):
        style = styles[index % len(styles)]
        origin = seed if style.seed is None else style.seed
        # One independent stream per style and round: adding a style changes no other's portraits.
        words = (origin, index // len(styles), *style.key.encode())
        state = np.random.SeedSequence(words).generate_state(1)[0]
        shots.append(Shot(index, style, int(state)))
    return shots


def generate(
    base: Base,
    adapter: bytes | None,
    shots: list[Shot],
    *,
    stop: Callable[[], bool],
    batch: int | None = None,
    sampling: Sampling | None = None,
) -> Generator[tuple[Shot, NDArray[np.uint8]], None, None]:
    """Make the shots in order; each is yielded as soon as its batch is ready.

    adapter: bytes from `train`, or None for people who do not exist.
    batch, sampling: None takes the base's own.
    Yields the shot and uint8 [P, P, 3] RGB, P = `base.output_px`.

    Raises:
        Stopped: `stop` said so; it is asked before each block of a network.
        ShortOfMemory: with the stage at which the GPU's memory ran short.
        TamperedError: the adapter is damaged or belongs to another base.
    """
    subject = ANYONE if adapter is None else PERSON
    sampling = sampling or base.sampling
    attached = (
        nullcontext() if adapter is None else adapters.loaded(base, adapter, sampling.adapter)
    )
    with device.during("paint"), base.heeding(stop), base.painting(), attached:
        words = _Words(base)
        styles = {shot.style.key: shot.style for shot in shots}.values()
        with device.during("words"):
            words.read([text for s in styles for text in (s.words(subject), s.negative)])
        for together in _groups(shots, batch or base.batch):
            latents = base.sample(
                words.of([shot.style.words(subject) for shot in together]),
                words.of([shot.style.negative for shot in together]),
                [shot.seed for shot in together],
                sampling,
                stop,
                _starts(base, together) if sampling.skipped else None,
            )
            for shot, one in zip(together, latents.split(1), strict=True):
                with device.during("decode"):  # one by one: a group takes as much more memory
                    [small] = base.decode(one)
                yield shot, finish(enlarge(small, base.output_px), shot.style.finish)


def _groups(shots: Sequence[Shot], size: int) -> Iterator[list[Shot]]:
    """At most `size` shots that follow each other and start alike: from pictures, or from noise."""
    for _, alike in groupby(shots, key=lambda shot: shot.start is None):
        run = list(alike)
        yield from (run[i : i + size] for i in range(0, len(run), size))


def _starts(base: Base, shots: Sequence[Shot]) -> torch.Tensor | None:
    pictures = [shot.start(base.resolution) for shot in shots if shot.start is not None]
    if not pictures:
        return None
    with device.during("encode"):
        return base.encode_images(np.stack(pictures))


class _Words:
    """Prompts, each encoded once."""

    def __init__(self, base: Base) -> None:
        self._base = base
        self._known: dict[str, Conditions] = {}

    def read(self, prompts: list[str]) -> None:
        """Encode all that are to come."""
        self._base.prepare_prompts(prompts)
        for prompt in dict.fromkeys(prompts):
            self._known[prompt] = self._base.encode_prompts([prompt])

    def of(self, prompts: list[str]) -> Conditions:
        """Conditions with one row per prompt."""
        rows = [self._known[prompt] for prompt in prompts]
        return {key: torch.cat([row[key] for row in rows]) for key in rows[0]}


def enlarge(image: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """uint8 [S, S, 3] -> uint8 [side, side, 3] by Lanczos resampling and an unsharp mask."""
    if image.shape[0] == side:
        return image
    scale = side / image.shape[0]
    large = cv2.resize(image, (side, side), interpolation=cv2.INTER_LANCZOS4)
    soft = cv2.GaussianBlur(large, (0, 0), scale * 0.8)
    return cv2.addWeighted(large, 1 + SHARPENING, soft, -SHARPENING, 0)
