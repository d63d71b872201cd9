"""What is shown of the time: measured on this machine, and never rising."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.orders import PhotoReport, Progress, Report
from pipeline.planning.pace import FILE, Countdown, Pace, Paces
from tests.support.hand import Hand


def test_times_are_guessed_carefully_then_measured_and_kept(tmp_path: Path) -> None:
    paces = Paces(tmp_path / FILE)
    assert paces.seconds("photo", 100) > 100 * Pace().photo
    paces.learn(Report(photo=PhotoReport(headshots=10, seconds=4.0)))
    assert paces.seconds("photo", 100) == pytest.approx(40.0)
    painted = Report(headshots=10, seconds={"generate": 20.0, "total": 90.0}, seconds_per_step=0.1)
    paces.learn(painted)
    assert paces.seconds("painted", 10) == pytest.approx(90.0)
    assert paces.seconds("both", 10) == pytest.approx(94.0)
    assert Paces(tmp_path / FILE).seconds("both", 10) == pytest.approx(94.0)  # after a restart


def test_a_model_that_was_kept_says_nothing_of_learning(tmp_path: Path) -> None:
    paces = Paces(tmp_path / FILE)
    before = paces.seconds("painted", 0)
    paces.learn(Report(headshots=10, seconds={"generate": 20.0, "total": 21.0}))
    assert paces.seconds("painted", 0) == before
    assert paces.seconds("painted", 10) == pytest.approx(before + 20.0)


@pytest.mark.parametrize("text", ["", "[]", '{"photo": "x"}', "nonsense"])
def test_a_damaged_file_is_no_trouble(tmp_path: Path, text: str) -> None:
    (tmp_path / FILE).write_text(text)
    fresh = Paces(tmp_path / "other.json")
    assert Paces(tmp_path / FILE).seconds("both", 12) == fresh.seconds("both", 12)


def test_the_time_left_only_falls_and_the_bar_only_rises() -> None:
    hand = Hand()
    countdown = Countdown(120.0, hand)
    left, share = [], []
    # What a job says that changes its mind: 2 minutes, then 12, then 2, then it is late.
    for said in (None, 120.0, 720.0, 100.0, 300.0, 10.0, 200.0, None, 5.0):
        shown = countdown.shown(Progress("training", seconds_left=said), reported=True)
        assert shown.seconds_left is not None
        left.append(shown.seconds_left)
        share.append(shown.share)
        hand.forward(15.0)
    assert left == sorted(left, reverse=True)
    assert share == sorted(share)
    assert left[-1] == 0.0
    assert share[-1] == 0.99


def test_time_passes_between_two_reports() -> None:
    hand = Hand()
    countdown = Countdown(100.0, hand)
    hand.forward(40.0)
    shown = countdown.shown(Progress("training"))
    assert (shown.seconds_left, shown.share) == (60.0, pytest.approx(0.4))
