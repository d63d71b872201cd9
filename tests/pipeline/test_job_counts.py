"""Counts of jobs: classes of minutes, a median out of them, and what waits and runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.job_counts import MINUTES, Census, JobCounts, classes, median_minutes
from pipeline.planning.pace import Countdown
from tests.support.hand import Hand
from tests.support.store import Store


def took(hand: Hand, minutes: float) -> Countdown:
    """The countdown of a job that began so long ago."""
    countdown = Countdown(60.0, hand)
    hand.forward(minutes * 60)
    return countdown


@pytest.mark.fact(70)
def test_a_job_is_a_number_in_a_class_of_minutes(tmp_path: Path) -> None:
    store = Store(tmp_path)
    counts, hand = JobCounts(store.sessions.tally), Hand()
    for minutes in (0.1, 4.0, 4.5, 5.0, 300.0):
        counts.ended("photo", "done", took(hand, minutes))
    counts.ended("photo", "failed", took(hand, 2.0))
    counts.ended("photo", "stopped", None)
    (today,) = store.sessions.tally.days(1).values()
    found = dict(zip(MINUTES, classes(today, "photo"), strict=True))
    assert {most: number for most, number in found.items() if number} == {
        0.25: 1,
        5: 3,
        float("inf"): 1,
    }
    assert (today["jobs/photo/done"], today["jobs/photo/failed"]) == (5, 1)
    assert classes(today, "painted") == [0] * len(MINUTES)
    assert counts.minutes("photo") == pytest.approx(313.6)
    assert counts.minutes("both") == 0
    assert median_minutes(today, "photo") == pytest.approx(3 + 2 * 1.5 / 3)
    assert median_minutes(today, "painted") is None


def test_a_median_beyond_the_last_class_is_its_lower_end(tmp_path: Path) -> None:
    store = Store(tmp_path)
    counts = JobCounts(store.sessions.tally)
    counts.ended("painted", "done", took(Hand(), 500.0))
    assert median_minutes(store.sessions.tally.since_start(), "painted") == 120


def test_what_has_ended_neither_waits_nor_runs() -> None:
    census = Census.of(
        [("photo", "queued"), ("photo", "generating"), ("both", "preparing"), ("both", "done")],
        working=True,
    )
    assert (census.waiting, census.running) == ({"photo": 1}, {"photo": 1, "both": 1})
