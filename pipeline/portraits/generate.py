"""Portraits from a base, a person's adapter and styles.

Every portrait depends on its own seed and style, not on which others share its batch (up to the
last bits of floating point).  Portraits of a base with a low resolution are enlarged by Lanczos
resampling and sharpened mildly: that adds pixels, not detail, and nothing here pretends otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Hashable, Iterator, Mapping, Sequence
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
from pipeline.portraits.painted_look import filled
from pipeline.portraits.style import Style, finish

SHARPENING = 0.4
"""Weight of the unsharp mask."""


@dataclass(frozen=True)
class Shot:
    """One portrait to be made.

    index: counts from 0 in the order of making. start: given a side in pixels, makes the picture
    uint8 [side, side, 3] that painting starts from; None for a start from noise alone. seen: given
    a side, makes the pictures [n, side, side, 3] that the base looks at meanwhile, the same for all
    shots; None for none. details: what was drawn from the pools of the look's `[painted]`; another
    try keeps it.
    """

    index: int
    style: Style
    seed: int
    start: Callable[[int], NDArray[np.uint8]] | None = field(default=None, compare=False)
    seen: Callable[[int], NDArray[np.uint8]] | None = field(default=None, compare=False)
    details: Mapping[str, str] = field(default_factory=dict, hash=False)


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
        turn, name = index // len(styles), style.key.encode()
        state = np.random.SeedSequence((origin, turn, *name)).generate_state(1)[0]
        details = style.painted.drawn((origin, *name), turn) if style.painted else {}
        shots.append(Shot(index, style, int(state), details=details))
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
    """Make the shots; each is yielded as soon as its batch is ready.

    They come in order, but for those that wait until prompts of their length fill a batch.

    adapter: bytes from `train`, or None for people who do not exist.
    batch, sampling: None takes the base's own.
    Yields the shot and uint8 [P, P, 3] RGB, P = `base.output_px`.

    Raises:
        Stopped: `stop` said so; it is asked before each block of a network.
        ShortOfMemory: with the stage at which the GPU's memory ran short.
        TamperedError: the adapter is damaged or belongs to another base.
    """
    subject = ANYONE if adapter is None else adapters.subject_of(adapter) or PERSON
    sampling = sampling or base.sampling
    attached = (
        nullcontext() if adapter is None else adapters.loaded(base, adapter, sampling.adapter)
    )
    with device.during("paint"), base.heeding(stop), base.painting(), attached:
        words = {shot.index: prompts_of(base, shot, subject) for shot in shots}
        with device.during("words"):
            base.prepare_prompts([text for both in words.values() for text in both])

        def length(shot: Shot) -> tuple[int, ...]:
            return tuple(map(base.length, words[shot.index]))

        seen = _seen(base, shots)
        for together in _groups(shots, _at_once(batch or base.batch, seen), length):
            wanted, unwanted = zip(*(words[shot.index] for shot in together), strict=True)
            latents = base.sample(
                base.encode_prompts(wanted) | _repeated(seen, len(together)),
                base.encode_prompts(unwanted) | _repeated(seen, len(together)),
                [shot.seed for shot in together],
                sampling,
                stop,
                _starts(base, together) if sampling.skipped else None,
            )
            for shot, one in zip(together, latents.split(1), strict=True):
                with device.during("decode"):  # one by one: a group takes as much more memory
                    [small] = base.decode(one)
                yield shot, finish(enlarge(small, base.output_px), shot.style.finish)


def _groups(
    shots: Sequence[Shot], size: int, length: Callable[[Shot], Hashable]
) -> Iterator[list[Shot]]:
    """At most `size` shots that start alike, from pictures or from noise, and are alike in length.

    Those that start alike follow each other.
    """
    for _, run in groupby(shots, key=lambda shot: shot.start is None):
        waiting: dict[Hashable, list[Shot]] = {}
        for shot in run:
            group = waiting.setdefault(key := length(shot), [])
            group.append(shot)
            if len(group) == size:
                yield waiting.pop(key)
        yield from waiting.values()


def _starts(base: Base, shots: Sequence[Shot]) -> torch.Tensor | None:
    pictures = [shot.start(base.resolution) for shot in shots if shot.start is not None]
    if not pictures:
        return None
    with device.during("encode"):
        return base.encode_images(np.stack(pictures))


def _seen(base: Base, shots: Sequence[Shot]) -> Conditions:
    """The pictures that are looked at, half a portrait's side each, in one row; see `pictures`."""
    if not shots or shots[0].seen is None:
        return {}
    with device.during("encode"):
        return {"references": base.encode_images(shots[0].seen(base.resolution // 2))[None]}


def _at_once(batch: int, seen: Conditions) -> int:
    """How many portraits are as much work at once as `batch` are that look at no pictures."""
    pictures = seen["references"].shape[1] if seen else 0
    return max(1, batch * 4 // (4 + pictures))


def _repeated(conditions: Conditions, rows: int) -> Conditions:
    return {key: value.expand(rows, *value.shape[1:]) for key, value in conditions.items()}


def prompts_of(base: Base, shot: Shot, subject: str) -> tuple[str, str]:
    """What a base is asked for, and led away from: in sentences, if it understands these."""
    look = shot.style.painted
    if look is not None:
        asked = filled(look.prompt if base.reads_sentences else look.short, subject, shot.details)
        if base.knows(asked):
            return asked, look.negative
    return shot.style.words(subject), shot.style.negative


def all_prompts(base: Base, shots: Sequence[Shot], subject: str) -> list[str]:
    """What a base is asked for, and led away from, in all of these shots."""
    return [text for shot in shots for text in prompts_of(base, shot, subject)]


def enlarge(image: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """uint8 [S, S, 3] -> uint8 [side, side, 3] by Lanczos resampling and an unsharp mask."""
    if image.shape[0] == side:
        return image
    scale = side / image.shape[0]
    large = cv2.resize(image, (side, side), interpolation=cv2.INTER_LANCZOS4)
    soft = cv2.GaussianBlur(large, (0, 0), scale * 0.8)
    return cv2.addWeighted(large, 1 + SHARPENING, soft, -SHARPENING, 0)
