"""Photos of different rooms become one shooting, and nobody's skin becomes another's."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pipeline.compositing.colour import (
    delta_e,
    encoded,
    encoded_exact,
    from_lab,
    lab,
    linear,
    linear_exact,
)
from pipeline.compositing.neutral import MAX_STOPS, correction, neutral, standard
from pipeline.compositing.skin import Skin, read_skin
from tests.support.people import person

WHO = ("a", "b", "c")

# Sharma, Wu, Dalal 2005, table 1: pairs 1, 4, 7, 10, 13, 16, 17, 20, 25, 28, 31, 34.
SHARMA = [
    ((50.0, 2.6772, -79.7751), (50.0, 0.0, -82.7485), 2.0425),
    ((50.0, -1.3802, -84.2814), (50.0, 0.0, -82.7485), 1.0000),
    ((50.0, 0.0, 0.0), (50.0, -1.0, 2.0), 2.3669),
    ((50.0, 2.49, -0.001), (50.0, -2.49, 0.0010), 7.1792),
    ((50.0, -0.001, 2.49), (50.0, 0.0009, -2.49), 4.8045),
    ((50.0, 2.5, 0.0), (50.0, 0.0, -2.5), 4.3065),
    ((50.0, 2.5, 0.0), (73.0, 25.0, -18.0), 27.1492),
    ((50.0, 2.5, 0.0), (58.0, 24.0, 15.0), 19.4535),
    ((60.2574, -34.0099, 36.2677), (60.4626, -34.1751, 39.4387), 1.2644),
    ((35.0831, -44.1164, 3.7933), (35.0232, -40.0716, 1.5901), 1.8645),
    ((22.7233, 20.0904, -46.6940), (23.0331, 14.9730, -42.5619), 2.0373),
    ((2.0776, 0.0795, -1.1350), (0.9033, -0.0636, -0.5514), 0.9082),
]


@pytest.mark.parametrize(("first", "second", "expected"), SHARMA)
def test_ciede2000_agrees_with_the_published_pairs(
    first: tuple[float, ...], second: tuple[float, ...], expected: float
) -> None:
    assert float(delta_e(np.array(first), np.array(second))) == pytest.approx(expected, abs=1e-4)
    assert float(delta_e(np.array(second), np.array(first))) == pytest.approx(expected, abs=1e-4)


def test_colours_go_to_cielab_and_back() -> None:
    assert np.allclose(lab(np.ones(3)), [100, 0, 0], atol=0.01)
    # sRGB red after Lindbloom's calculator, D65.
    assert np.allclose(lab(np.array([1.0, 0, 0])), [53.24, 80.09, 67.20], atol=0.02)
    some = np.random.default_rng(1).random((100, 3))
    assert np.allclose(from_lab(lab(some)), some, atol=1e-4)


def test_the_fast_tables_agree_with_the_formulas() -> None:
    every = np.arange(256, dtype=np.uint8)
    assert np.allclose(linear(every), linear_exact(every / 255), atol=1e-7)
    ramp = np.linspace(0, 1, 100_001, dtype=np.float32)
    assert np.abs(encoded(ramp) - encoded_exact(ramp)).max() < 2e-4
    assert np.array_equal(np.round(encoded(linear(every)) * 255), every)
    assert encoded(np.asarray([-1, 2], np.float32)).tolist() == [0, 1]


def recoloured(skin: Skin, factors: tuple[float, float, float]) -> Skin:
    """The same skin under another light."""
    return replace(
        skin, colour=skin.colour * np.asarray(factors, np.float32), eyes=skin.eyes * factors[1]
    )


def moved(skin: Skin, target: np.ndarray) -> np.ndarray:
    """CIELAB of the skin after its correction."""
    return lab(correction(skin, target).applied(skin.colour[None])[0])


@pytest.mark.parametrize("lightness", [27, 35, 45, 55, 65, 75])
def test_ordinary_skin_of_any_tone_stays_as_it_is(lightness: float) -> None:
    colour = from_lab(np.array([lightness, 15.0, 17.0]))
    skin = Skin(colour, float(colour[1]), float(colour[1]), eyes=0.3)
    assert float(delta_e(moved(skin, standard([skin])), skin.lab)) < 0.5


@pytest.mark.parametrize("who", WHO)
def test_rooms_of_one_person_come_together(who: str) -> None:
    skin = person(who).skin
    rooms = [(1, 1, 1), (1.3, 1, 0.75), (0.85, 1, 1.2), (0.7, 0.7, 0.7), (1.2, 1.2, 1.2)]
    skins = [recoloured(skin, room) for room in rooms]
    target = standard(skins)
    before = [float(delta_e(one.lab, lab(target))) for one in skins]
    after = [float(delta_e(moved(one, target), lab(target))) for one in skins]
    assert max(after) < 0.4 * max(before)
    assert max(after) < 3


@pytest.mark.parametrize("who", WHO)
def test_the_correction_is_bounded_and_done_once(who: str) -> None:
    skin = person(who).skin
    target = standard([skin])
    assert correction(recoloured(skin, (0.1,) * 3), target).stops == MAX_STOPS
    assert correction(recoloured(skin, (8.0,) * 3), target).stops == -MAX_STOPS
    blue = correction(recoloured(skin, (0.2, 1, 4)), target)
    assert np.linalg.norm(blue.applied(np.ones((1, 3), np.float32)) - 1) < 1
    stage = recoloured(skin, (1.2, 1, 0.75))
    once = correction(stage, standard([stage])).applied(stage.colour[None])[0]
    again = replace(stage, colour=once)
    assert float(delta_e(moved(again, standard([again])), lab(once))) < 1


def test_an_underexposed_dark_face_is_told_from_a_dark_one_by_the_eyes() -> None:
    colour = from_lab(np.array([32.0, 12.0, 14.0]))
    well_lit = Skin(colour, 0.07, 0.07, eyes=0.3)
    too_dark = Skin(colour, 0.07, 0.07, eyes=0.05)
    assert abs(neutral([well_lit])[0].stops) < 0.05
    assert 0.3 < neutral([too_dark])[0].stops <= MAX_STOPS


def test_black_and_white_stays_black_and_white() -> None:
    grey = Skin(np.asarray([0.3, 0.3, 0.3], np.float32), 0.3, 0.3, eyes=0.3)
    colour = person("a").skin
    for done in (neutral([grey])[0], neutral([grey, colour, colour])[0]):
        red, green, blue = done.applied(np.full((1, 3), 0.3, np.float32))[0]
        assert red == pytest.approx(green, abs=1e-4)
        assert blue == pytest.approx(green, abs=1e-4)


def test_no_photo_has_no_standard() -> None:
    with pytest.raises(ValueError, match="at least one"):
        standard([])


@pytest.mark.parametrize("who", WHO)
def test_what_is_behind_the_person_does_not_colour_the_skin(who: str) -> None:
    known = person(who)
    room = known.image.copy()
    room[known.alpha < 128] = (0, 255, 0)
    seen = read_skin(room, known.alpha, known.mesh.points)
    assert float(delta_e(seen.lab, known.skin.lab)) < 1.5


@pytest.mark.parametrize("who", WHO)
def test_the_eyes_are_brighter_than_nothing_and_gone_when_they_are_black(who: str) -> None:
    known = person(who)
    dark = (known.image // 8).astype(np.uint8)
    assert known.skin.eyes > 0.02
    assert read_skin(dark, known.alpha, known.mesh.points).eyes < known.skin.eyes / 5
