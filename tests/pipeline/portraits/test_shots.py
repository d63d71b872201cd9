"""The plan of the photo way: looks take turns, photos take turns, a bad photo is left out."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import pairwise

from pipeline.compositing.look import Alike, PhotoLook
from pipeline.portraits.shots import DISTANCES, plan_photo_shots
from pipeline.portraits.style import Style


def looks(count: int) -> list[Style]:
    return [Style(f"look-{i}", f"Look {i}", "", "work", "photo of {subject}") for i in range(count)]


def test_looks_and_photos_are_used_equally_often() -> None:
    shots = plan_photo_shots(looks(4), [1.0] * 8, 96, 7)
    assert set(Counter(shot.style.key for shot in shots).values()) == {24}
    assert set(Counter(shot.photo for shot in shots).values()) == {12}


def test_within_a_look_nothing_repeats_before_everything_was_used() -> None:
    merits, looked = [1.0, 0.9, 0.95], looks(2)
    shots = plan_photo_shots(looked, merits, 2 * 3 * len(DISTANCES) * 2, 7)
    assert [shot.turn for shot in shots] == [shot.index // 2 for shot in shots]
    for look in looked:
        ways = [(s.photo, s.distance, s.mirrored) for s in shots if s.style == look]
        assert len(set(ways)) == len(ways) == 18


def test_neighbours_in_a_look_show_different_photos() -> None:
    shots = [s for s in plan_photo_shots(looks(3), [1.0] * 5, 30, 7) if s.style.key == "look-0"]
    assert all(a.photo != b.photo for a, b in pairwise(shots))


def test_the_best_photo_comes_first_and_a_bad_one_never() -> None:
    shots = plan_photo_shots(looks(1), [0.5, 0.9, 0.3, 1.0], 20, 7)
    assert shots[0].photo == 3
    assert {shot.photo for shot in shots} == {1, 3}


def test_one_photo_is_enough() -> None:
    shots = plan_photo_shots(looks(2), [0.0], 5, 7)
    assert [shot.photo for shot in shots] == [0] * 5


def test_the_same_order_gives_the_same_shots_and_another_seed_another_wall() -> None:
    one, same, other = (plan_photo_shots(looks(3), [1.0, 1.0], 9, seed) for seed in (7, 7, 8))
    assert one == same
    assert [shot.seed for shot in one] != [shot.seed for shot in other]


def test_portraits_that_are_to_be_alike_change_the_photo_alone() -> None:
    alike = [replace(style, photo=PhotoLook("paper", alike=Alike())) for style in looks(2)]
    shots = plan_photo_shots(alike, [0.9, 0.8, 0.85], 12, seed=3)
    assert {shot.distance for shot in shots} == {"head_and_shoulders"}
    assert not any(shot.mirrored for shot in shots)
    first = [shot.photo for shot in shots if shot.style.key == alike[0].key]
    assert set(first[:3]) == {0, 1, 2}
