"""One measured number beside its reference."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Measurement:
    """`ours` and `reference` in `unit`, measured in one run; no reference where none makes sense.

    `goal` says in words what the ratio (or `ours`, without a reference) should be.
    """

    ours: float
    unit: str
    goal: str
    reference: float | None = None

    @property
    def ratio(self) -> float | None:
        return None if not self.reference else self.ours / self.reference

    def as_dict(self) -> dict[str, Any]:
        return {
            "ours": self.ours,
            "reference": self.reference,
            "ratio": self.ratio,
            "unit": self.unit,
            "goal": self.goal,
        }
