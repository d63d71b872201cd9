"""What jobs measured on this machine: factors on what is computed, kept for the next job.

A file of numbers: nothing in it comes from a person, a photo or a session.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated

from pydantic import Field, TypeAdapter, ValidationError

from pipeline.planning import machine_file

FILE_NAME = "calibration.json"

MOST_FACTOR = 10.0
"""A measurement further off than this is taken for a mistake."""

Factor = Annotated[float, Field(ge=1 / MOST_FACTOR, le=MOST_FACTOR)]


@dataclass(frozen=True)
class Calibration:
    """What jobs of one base on one card measured, divided by what was computed for them."""

    train_seconds: Factor = 1.0
    portrait_seconds: Factor = 1.0
    train_bytes: Factor = 1.0
    generate_bytes: Factor = 1.0
    jobs: Annotated[int, Field(ge=0)] = 0


def recall(file: Path, base: str, card: str) -> Calibration:
    """Read what was measured for a base on a card; nothing, if the file is missing or damaged."""
    entry = machine_file.read(file).get(f"{base} / {card}", {})
    try:
        return TypeAdapter(Calibration).validate_python(entry)
    except ValidationError:
        return Calibration()


def refine(before: Calibration, **measured: float) -> Calibration:
    """Mix in the ratios measured / computed of one more job; those of `before` count half.

    The ratios are to what was computed with `before`, and only those that are known are given.
    """
    kept = 0.5 if before.jobs else 0.0
    factors = {}
    for key, ratio in measured.items():
        mixed = getattr(before, key) * (kept + (1 - kept) * ratio)
        factors[key] = min(MOST_FACTOR, max(1 / MOST_FACTOR, mixed))
    return replace(before, jobs=before.jobs + 1, **factors)


def remember(file: Path, base: str, card: str, now: Calibration) -> None:
    """Write it down for the next job; without room or permission, the next one estimates again."""
    machine_file.write(file, machine_file.read(file) | {f"{base} / {card}": asdict(now)})
