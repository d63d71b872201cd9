"""What jobs measured on this machine: factors on what is computed, kept for the next job.

A file of numbers: nothing in it comes from a person, a photo or a session.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from pipeline.planning import machine_file

FILE_NAME = "calibration.json"

MOST_FACTOR = 10.0
"""A measurement further off than this is taken for a mistake."""


@dataclass(frozen=True)
class Calibration:
    """What jobs of one base on one card measured, divided by what was computed for them."""

    train_seconds: float = 1.0
    portrait_seconds: float = 1.0
    train_bytes: float = 1.0
    generate_bytes: float = 1.0
    jobs: int = 0


def recall(file: Path, base: str, card: str) -> Calibration:
    """Read what was measured for a base on a card; nothing, if the file is missing or damaged."""
    entry = _entries(file).get(f"{base} / {card}", {})
    try:
        numbers = {f.name: float(entry[f.name]) for f in fields(Calibration) if f.name in entry}
    except (TypeError, ValueError):
        return Calibration()
    good = all(1 / MOST_FACTOR <= n <= MOST_FACTOR for key, n in numbers.items() if key != "jobs")
    jobs = numbers.pop("jobs", 0.0)
    return Calibration(**numbers, jobs=int(jobs)) if good and 0 <= jobs < 1e9 else Calibration()


def refine(before: Calibration, **measured: float) -> Calibration:
    """Mix in the ratios measured / computed of one more job; those of `before` count half.

    The ratios are to what was computed with `before`, and only those that are known are given.
    """
    factors = {}
    for key, ratio in measured.items():
        old = getattr(before, key)
        new = old * ratio
        mixed = new if before.jobs == 0 else (old + new) / 2
        factors[key] = min(MOST_FACTOR, max(1 / MOST_FACTOR, mixed))
    return replace(before, **factors, jobs=before.jobs + 1)  # type: ignore[arg-type]  # all floats


def remember(file: Path, base: str, card: str, now: Calibration) -> None:
    """Write it down for the next job; without room or permission, the next one estimates again."""
    entries = _entries(file) | {f"{base} / {card}": asdict(now)}
    machine_file.write(file, entries)


def _entries(file: Path) -> dict[str, Any]:
    return {key: row for key, row in machine_file.read(file).items() if isinstance(row, dict)}
