"""Tone changes walls, never people."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.compositing.tone import toned

SIDE = 200
INSIDE = np.s_[80:120, 80:120]
OUTSIDE = np.s_[:40]


@pytest.fixture
def picture() -> np.ndarray:
    return np.random.default_rng(1).integers(60, 190, (SIDE, SIDE, 3), np.uint8)


@pytest.fixture
def matte() -> np.ndarray:
    person = np.zeros((SIDE, SIDE), np.uint8)
    person[60:140, 60:140] = 255
    return person


@pytest.mark.parametrize(("tone", "sign"), [("lighter", 1), ("darker", -1)])
def test_the_wall_changes_and_the_person_does_not(
    picture: np.ndarray, matte: np.ndarray, tone: str, sign: int
) -> None:
    after = toned(picture, matte, tone)
    assert np.array_equal(after[INSIDE], picture[INSIDE])
    assert sign * (after[OUTSIDE].mean() - picture[OUTSIDE].mean()) > 20


def test_the_looks_own_tone_is_left_alone(picture: np.ndarray, matte: np.ndarray) -> None:
    assert toned(picture, matte, "look") is picture


@pytest.mark.parametrize("tone", ["lighter", "darker"])
def test_before_an_exact_edge_the_wall_changes_up_to_its_last_pixel(
    matte: np.ndarray, tone: str
) -> None:
    grey = np.full((SIDE, SIDE, 3), 128, np.uint8)
    after = toned(grey, matte, tone, exact=True)
    assert np.array_equal(after[matte == 255], grey[matte == 255])
    walls = after[matte == 0]
    assert np.ptp(walls) == 0  # no halo
    assert abs(int(walls[0, 0]) - 128) > 20


def test_the_edge_is_soft(matte: np.ndarray) -> None:
    grey = np.full((SIDE, SIDE, 3), 128, np.uint8)
    across = toned(grey, matte, "lighter")[100, 50:75, 0].astype(int)
    assert (np.diff(across) <= 0).all()  # monotone from wall to person, without a halo
    assert len(set(across.tolist())) > 3
