"""What jobs measured corrects the next plan, and is numbers only."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import pytest

from pipeline.planning.calibration import FILE_NAME, Calibration, recall, refine, remember
from pipeline.planning.cards import GB
from pipeline.planning.cost import FRAGMENTATION
from pipeline.planning.planning import Measured, choose, ratios
from tests.support.planned import KNOWN, card, machine, planned
from tools.plan_tables import WORKLOAD


def test_what_was_measured_corrects_the_next_plan(tmp_path: Path) -> None:
    facts, free = KNOWN["sdxl"], card("RTX 4090").free
    first = planned("sdxl", free, tflops=165)
    assert first.seconds_per_step
    assert first.seconds_per_portrait
    assert first.train_bytes
    measured = Measured(
        seconds_per_step=2 * first.seconds_per_step,
        seconds_per_portrait=0.5 * first.seconds_per_portrait,
        peaks={"train": round(1.2 * first.train_bytes / FRAGMENTATION)},
    )
    now = refine(Calibration(), **ratios(first, measured))
    remember(tmp_path / "new" / FILE_NAME, "sdxl", "card", now)
    kept = recall(tmp_path / "new" / FILE_NAME, "sdxl", "card")
    assert kept == now
    assert (kept.train_seconds, kept.portrait_seconds) == pytest.approx((2, 0.5))
    assert kept.train_bytes == pytest.approx(1.2, rel=1e-6)
    assert (kept.generate_bytes, kept.jobs) == (1, 1)
    second = choose(facts, WORKLOAD, machine(100 * GB, 165, kept))
    plain = planned("sdxl", 100 * GB, tflops=165)
    assert second.seconds_per_step == pytest.approx(2 * plain.seconds_per_step)  # type: ignore[operator]
    third = choose(facts, WORKLOAD, machine(free, 165, kept))
    assert third.train_bytes <= free  # type: ignore[operator]
    assert recall(tmp_path / "new" / FILE_NAME, "sdxl", "another") == Calibration()


def test_repeated_measurements_settle_on_what_is_true() -> None:
    true, known = 1.7, Calibration()
    for _ in range(12):
        known = refine(known, train_seconds=true / known.train_seconds)
    assert known.train_seconds == pytest.approx(true)
    assert known.jobs == 12


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        "7",
        '{"sdxl / card": 3}',
        '{"sdxl / card": {"train_seconds": "slow"}}',
        '{"sdxl / card": {"train_seconds": 1e9}}',
        '{"sdxl / card": {"train_bytes": -1}}',
        '{"sdxl / card": {"train_bytes": NaN}}',
        '{"sdxl / card": {"jobs": Infinity}}',
    ],
)
def test_a_damaged_calibration_is_ignored_and_written_over(content: str, tmp_path: Path) -> None:
    file = tmp_path / FILE_NAME
    file.write_text(content)
    assert recall(file, "sdxl", "card") == Calibration()
    remember(file, "sdxl", "card", Calibration(train_seconds=2, jobs=1))
    assert recall(file, "sdxl", "card").train_seconds == 2


def test_a_calibration_is_numbers_only_and_without_room_nothing_breaks(tmp_path: Path) -> None:
    file = tmp_path / FILE_NAME
    remember(file, "sdxl", "card", Calibration())
    [entry] = json.loads(file.read_text()).values()
    assert entry == asdict(Calibration())
    assert all(isinstance(value, int | float) for value in entry.values())
    blocked = tmp_path / "file"
    blocked.write_text("")
    remember(blocked / FILE_NAME, "sdxl", "card", Calibration())
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith(".")] == []
