"""Portraits that turned out badly are tried again with other seeds, within a budget.

A bad one waits in RAM while others are made. Whatever its last try brings, the best of all tries is
delivered: nobody gets fewer portraits than they ordered.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pipeline.portraits.generate import Shot
from pipeline.portraits.judge import Judged
from pipeline.portraits.score import PortraitRecord

SPARE = 0.2
"""Portraits that may be made beyond those that are ordered, as a share of these."""

MOST_TRIES = 3
"""Of one portrait, the first included."""


@dataclass(frozen=True)
class Portrait:
    """A portrait that is made but not kept. shot: as it was planned, whatever the try."""

    shot: Shot
    judged: Judged
    image: NDArray[np.uint8]

    @property
    def _worth(self) -> tuple[bool, float]:
        return self.judged.flaw is None, self.judged.record.likeness or 0.0

    def better(self, other: Portrait) -> Portrait:
        """The better one of two tries: without a flaw, then with more likeness."""
        return max(self, other, key=lambda portrait: portrait._worth)


class Tries:
    """What an order of `count` portraits may still try, and what waits for it.

    flaws: how many portraits had which flaw at their first try. spent: tries beyond the first.
    """

    def __init__(self, count: int) -> None:
        self.flaws: Counter[str] = Counter()
        self.spent = 0
        self._budget = math.ceil(count * SPARE)
        self._waiting: dict[int, Portrait] = {}
        self._tried: Counter[int] = Counter()

    def take(self, portrait: Portrait) -> Portrait | None:
        """Take a portrait that was made; gives back one to keep, or None while it waits."""
        index = portrait.shot.index
        first = index not in self._waiting
        self._tried[index] += 1
        if first and portrait.judged.flaw is not None:
            self.flaws[portrait.judged.flaw] += 1
        if not first:
            self.spent += 1
            portrait = portrait.better(self._waiting.pop(index))
        if portrait.judged.flaw is None or not self._may_wait(index):
            return portrait
        self._waiting[index] = portrait
        return None

    def again(self) -> list[Shot]:
        """The shots to make now: another try of all that waits, as far as the budget goes."""
        return [another(p.shot, self._tried[index]) for index, p in self._waiting.items()]

    def rest(self, shots: Iterable[Shot], made: Sequence[PortraitRecord]) -> list[Shot]:
        """The shots of a plan that are neither kept nor waiting."""
        known = {(record.style, record.seed) for record in made}
        return [
            shot
            for shot in shots
            if shot.index not in self._waiting
            and not any((shot.style.key, another(shot, n).seed) in known for n in range(MOST_TRIES))
        ]

    def _may_wait(self, index: int) -> bool:
        return self._tried[index] < MOST_TRIES and self.spent + len(self._waiting) < self._budget


def another(shot: Shot, number: int) -> Shot:
    """The same portrait with the seed of its n-th try; 0 is the one that was planned."""
    if number == 0:
        return shot
    state = np.random.SeedSequence((shot.seed, number)).generate_state(1)[0]
    return replace(shot, seed=int(state))
