"""Bad portraits are made again, within a budget, and nobody gets fewer than they ordered."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from pipeline.portraits.generate import Shot, plan
from pipeline.portraits.judge import Flaw, Judged
from pipeline.portraits.score import PortraitRecord, record_for
from pipeline.portraits.style import Style
from pipeline.portraits.tries import MOST_TRIES, Portrait, Tries, another

LOOK = Style("look", "Look", "A look.", "work", "photo of {subject}")
IMAGE = np.zeros((4, 4, 3), np.uint8)

How = Callable[[int, int], tuple[Flaw | None, float]]
"""Index and number of the try, from 0 -> what comes out: flaw and likeness."""


def ordered(count: int, how: How) -> tuple[list[PortraitRecord], Tries, int]:
    """Make an order as a job does: what is kept, and how many were made."""
    planned, tries, kept = plan([LOOK], count, seed=7), Tries(count), []
    number = dict.fromkeys(range(count), -1)

    def make(shots: list[Shot]) -> int:
        for shot in shots:
            number[shot.index] += 1
            flaw, likeness = how(shot.index, number[shot.index])
            judged = Judged(record_for("", shot, likeness), flaw)
            if done := tries.take(Portrait(planned[shot.index], judged, IMAGE)):
                kept.append(done.judged.record)
        return len(shots)

    made = make(tries.rest(planned, []))
    while again := tries.again():
        made += make(again)
    return kept, tries, made


def test_good_portraits_are_made_once() -> None:
    kept, tries, made = ordered(20, lambda *_: (None, 0.6))
    assert (len(kept), made, tries.spent, dict(tries.flaws)) == (20, 20, 0, {})


def test_a_bad_one_is_made_again_with_another_seed() -> None:
    kept, tries, made = ordered(
        20, lambda index, number: ("plastic", 0.6) if (index, number) == (3, 0) else (None, 0.6)
    )
    assert (len(kept), made, tries.spent, dict(tries.flaws)) == (20, 21, 1, {"plastic": 1})
    seeds = {shot.seed for shot in plan([LOOK], 20, seed=7)}
    assert len(seeds - {record.seed for record in kept}) == 1


def test_all_bad_ones_cost_a_fifth_more_at_most_and_are_delivered_all_the_same() -> None:
    for count in (1, 4, 20, 100):
        kept, tries, made = ordered(count, lambda *_: ("no_face", -1.0))
        assert len(kept) == count
        assert made == count + tries.spent <= count + -(-count // 5)
        assert tries.flaws["no_face"] == count


def test_one_portrait_is_tried_so_often_and_its_best_try_is_kept() -> None:
    made: list[int] = []

    def how(index: int, number: int) -> tuple[Flaw | None, float]:
        made.append(index)
        return ("unlike", [0.1, 0.3, 0.2][number]) if index == 0 else (None, 0.6)

    kept, _, _ = ordered(50, how)
    assert made.count(0) == MOST_TRIES
    assert sorted(record.likeness or 0 for record in kept)[:2] == [0.3, 0.6]


def test_a_try_without_a_flaw_beats_one_with_more_likeness() -> None:
    kept, _, _ = ordered(
        5, lambda index, number: (None, 0.4) if number else ("two_faces", 0.9 + index / 100)
    )
    assert sorted(record.likeness or 0 for record in kept)[0] == 0.4


@pytest.mark.parametrize("kept_try", [0, 1, 2])
def test_what_an_earlier_run_kept_is_not_made_again(kept_try: int) -> None:
    planned = plan([LOOK], 10, seed=7)
    earlier = [record_for("", another(planned[n], kept_try), 0.6) for n in (2, 5)]
    rest = Tries(10).rest(planned, earlier)
    assert [shot.index for shot in rest] == [0, 1, 3, 4, 6, 7, 8, 9]


def test_every_try_has_its_own_seed() -> None:
    shots = plan([LOOK], 50, seed=7)
    assert len({another(shot, n).seed for shot in shots for n in range(MOST_TRIES)}) == 150
    assert another(shots[0], 0) is shots[0]
