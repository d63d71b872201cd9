"""Which of the adapters that a training passes through is used, told by photos that never train.

Numbers and bytes only: how an adapter is tried is handed in.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pipeline.bases.moments import Moments

if TYPE_CHECKING:
    from pipeline.photos.record import TrainingPhoto


PATIENCE = 2
"""Tries in a row without a rise after which training ends."""


@dataclass(frozen=True)
class Choice:
    """The adapters that were tried so far: scores by step, and the one to use with its step."""

    scores: Mapping[int, float] = field(default_factory=dict)
    step: int = 0
    adapter: bytes = b""

    def after(self, step: int, score: float | None, adapter: bytes, margin: float) -> Choice:
        """The choice when a later adapter was tried, too; one without a score may be as good."""
        scores = self.scores if score is None else {**self.scores, step: score}
        if score is not None and score < max(scores.values()) - margin:
            return Choice(scores, self.step, self.adapter)
        return Choice(scores, step, adapter)

    @property
    def settled(self) -> bool:
        """Whether no score has risen for so long that none is expected to."""
        best = max(self.scores, key=lambda step: self.scores[step], default=0)
        return sum(step > best for step in self.scores) >= PATIENCE


@dataclass(frozen=True)
class Trials:
    """How a training chooses.

    held_out: photos that are not among those that train. score: paints with an adapter and says how
    much that is the person of these photos; None where it could not. report: told the choice
    whenever an adapter was tried.
    """

    held_out: Sequence[TrainingPhoto]
    moments: Moments
    score: Callable[[bytes], float | None]
    report: Callable[[Choice], None]

    def ends(self, steps: int) -> list[int]:
        """The steps after which an adapter is tried; the last is that of the training."""
        return [round(share * steps) for share in self.moments.shares]

    def tried(self, choice: Choice, step: int, adapter: bytes) -> Choice:
        """Try an adapter."""
        choice = choice.after(step, self.score(adapter), adapter, self.moments.margin)
        self.report(choice)
        return choice
