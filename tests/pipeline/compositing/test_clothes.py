"""Toned clothes: only clothes, folds kept, and nothing where skin and cloth look alike."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from pipeline.compositing.clothes import SURE, TONES, separate, toned
from tests.support.drawn import SKIN, Drawn, drawn


@pytest.fixture(scope="module")
def clear() -> Drawn:
    """A blue shirt with folds."""
    person = drawn((800, 800), (400, 300), 260)
    folds = (14 * np.sin(np.arange(800) / 9))[None, :, None]
    shirt = (np.abs(person.colours.astype(int) - (60, 110, 190)).max(axis=2) < 30)[..., None]
    colours = np.clip(person.colours + folds * shirt, 0, 255).astype(np.uint8)
    return Drawn(colours, person.alpha, person.landmarks)


def shirt_of(person: Drawn) -> np.ndarray:
    blue = person.colours[..., 2].astype(int) - person.colours[..., 0] > 60
    return blue & (person.alpha > 250)


@pytest.mark.parametrize("tone", TONES)
def test_the_shirt_takes_the_tone_and_the_face_stays(clear: Drawn, tone: str) -> None:
    picture, confidence = toned(clear.colours, clear.alpha, clear.landmarks, tone)
    assert confidence > SURE
    assert picture is not None
    shirt = cv2.erode(shirt_of(clear).astype(np.uint8), np.ones((15, 15))) > 0
    lab = cv2.cvtColor(picture.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
    middle = np.median(lab[shirt], axis=0)
    wanted = TONES[tone]
    assert np.abs(middle - (wanted.lightness, wanted.a, wanted.b)).max() < 4
    face = np.zeros(clear.alpha.shape, bool)
    face[:430] = True  # down to the chin
    face &= ~shirt_of(clear)
    assert np.array_equal(picture[face], clear.colours[face])


def test_folds_are_kept(clear: Drawn) -> None:
    picture, _ = toned(clear.colours, clear.alpha, clear.landmarks, "navy")
    assert picture is not None
    row = slice(700, 701), slice(250, 550)
    before = clear.colours[row].mean(axis=(0, 2))
    after = picture[row].mean(axis=(0, 2))
    assert np.corrcoef(before, after)[0, 1] > 0.9
    assert after.std() > 2


def test_a_shirt_of_the_colour_of_skin_is_left_alone() -> None:
    person = drawn((800, 800), (400, 300), 260, shirt=SKIN)
    picture, confidence = toned(person.colours, person.alpha, person.landmarks, "navy")
    assert picture is None
    assert confidence < SURE


def test_without_clothes_in_the_picture_there_is_no_confidence() -> None:
    person = drawn((420, 700), (350, 250), 260)
    assert separate(person.colours, person.alpha, person.landmarks).confidence == 0


def test_an_unknown_tone_is_refused(clear: Drawn) -> None:
    with pytest.raises(KeyError):
        toned(clear.colours, clear.alpha, clear.landmarks, "pink")
