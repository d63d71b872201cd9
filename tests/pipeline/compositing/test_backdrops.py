"""Backdrops, lights, grades, attire and the alignment that training and product share."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.compositing.backdrops import BACKDROPS, GRADES, LIGHTS, caption, compose
from pipeline.imaging import EYES_AND_MOUTH, align, align_transform
from train_base.attire import ATTIRE, attire_mask, paint, wears_dark_suit

SIZE = 64
FIRST_WORDS = {
    "grey studio backdrop",
    "charcoal studio backdrop",
    "white studio backdrop",
    "navy studio backdrop",
    "blue studio backdrop",
    "beige studio backdrop",
    "teal studio backdrop",
    "pink studio backdrop",
    "bright office background",
    "garden background",
    "wood library background",
    "brick loft background",
}


def rng() -> np.random.Generator:
    return np.random.default_rng(3)


def person_and_matte() -> tuple[np.ndarray, np.ndarray]:
    person = np.full((SIZE, SIZE, 3), (180, 140, 120), np.uint8)
    matte = np.zeros((SIZE, SIZE), np.uint8)
    matte[16:, 20:44] = 255
    return person, matte


def test_words_that_the_weights_know_are_kept() -> None:
    assert set(BACKDROPS) >= FIRST_WORDS


@pytest.mark.parametrize("words", BACKDROPS)
def test_backdrop_has_the_size_asked_for_and_colours_in_range(words: str) -> None:
    wall = BACKDROPS[words](rng(), SIZE)
    assert wall.shape == (SIZE, SIZE, 3)
    assert wall.min() >= 0
    assert wall.max() <= 1


@pytest.mark.parametrize("grade", GRADES)
@pytest.mark.parametrize("light", LIGHTS)
def test_every_grade_and_light_composes(grade: str, light: str) -> None:
    person, matte = person_and_matte()
    made = compose(rng(), person, matte, backdrop="navy studio backdrop", grade=grade, light=light)
    assert made.shape == person.shape
    assert made.dtype == np.uint8


def test_composing_twice_with_one_seed_gives_one_picture() -> None:
    person, matte = person_and_matte()
    first = compose(rng(), person, matte, backdrop="garden background")
    second = compose(rng(), person, matte, backdrop="garden background")
    assert np.array_equal(first, second)


def test_person_stays_and_wall_goes() -> None:
    person, matte = person_and_matte()
    made = compose(rng(), person, matte, backdrop="teal studio backdrop").astype(int)
    assert abs(made[40, 32] - person[40, 32]).max() < 12
    red, green, _ = made[8, 8]
    assert green > red + 30


def test_black_and_white_has_no_colour() -> None:
    person, matte = person_and_matte()
    made = compose(rng(), person, matte, backdrop="pink studio backdrop", grade="black and white")
    assert np.ptp(made.astype(int), axis=2).max() <= 1


def test_left_light_is_on_the_left() -> None:
    person, matte = person_and_matte()
    made = compose(rng(), person, matte, backdrop="grey studio backdrop", light="left")
    assert made[40, 24].sum() > made[40, 40].sum()


def test_unknown_words_are_refused() -> None:
    person, matte = person_and_matte()
    with pytest.raises(KeyError):
        compose(rng(), person, matte, backdrop="moon")
    with pytest.raises(ValueError, match="unknown light"):
        compose(rng(), person, matte, backdrop="grey studio backdrop", light="below")


def test_caption_names_what_is_not_default() -> None:
    assert caption(backdrop="grey studio backdrop") == "photo of a person, grey studio backdrop"
    assert (
        caption(subject="sks person", backdrop="navy studio backdrop", light="left", grade="warm")
        == "photo of sks person, navy studio backdrop, left key light, warm"
    )
    assert "navy suit" in caption(backdrop="garden background", attire="navy suit")


def test_alignment_brings_eyes_and_mouth_to_the_template() -> None:
    landmarks = np.array([[300, 210], [372, 190], [340, 250], [318, 290], [378, 274]])
    transform = align_transform(landmarks)
    three = np.stack([landmarks[0], landmarks[1], (landmarks[3] + landmarks[4]) / 2])
    moved = three @ transform[:, :2].T + transform[:, 2]
    assert np.abs(moved - EYES_AND_MOUTH).max() < 5


def test_alignment_cuts_the_size_asked_for_from_large_and_small_pictures() -> None:
    for scale in (0.4, 1.0, 9.0):
        picture = np.zeros((int(320 * scale), int(280 * scale), 3), np.uint8)
        landmarks = scale * np.array([[110, 120], [170, 120], [140, 150], [115, 180], [165, 180]])
        assert align(picture, landmarks, size=96).shape == (96, 96, 3)


def test_large_pictures_are_not_aliased() -> None:
    stripes = np.zeros((1600, 1400, 3), np.uint8)
    stripes[:, ::2] = 255
    landmarks = 5.0 * np.array([[110, 120], [170, 120], [140, 150], [115, 180], [165, 180]])
    inner = align(stripes, landmarks)[20:140, 20:140]
    assert inner.std() < 6


def test_landmarks_on_one_point_are_refused() -> None:
    with pytest.raises(ValueError, match="one point"):
        align_transform(np.ones((5, 2)))


def suit() -> tuple[np.ndarray, np.ndarray]:
    person = np.full((160, 160, 3), (200, 160, 140), np.uint8)
    folds = np.random.default_rng(0).integers(24, 40, (35, 160, 1))
    person[125:] = folds
    person[125:, 66:94] = 235  # the shirt
    return person, np.full((160, 160), 255, np.uint8)


def test_dark_suit_is_found_and_skin_is_not() -> None:
    person, matte = suit()
    mask = attire_mask(person, matte)
    assert wears_dark_suit(mask, matte)
    assert mask[:115].max() == 0
    plain = np.full_like(person, 170)
    assert not wears_dark_suit(attire_mask(plain, matte), matte)


@pytest.mark.parametrize("words", ATTIRE)
def test_painted_suit_has_the_colour_of_its_words(words: str) -> None:
    person, matte = suit()
    made = paint(person, attire_mask(person, matte), words)
    assert np.abs(made[140:, :50].mean((0, 1)) - ATTIRE[words]).max() < 25
    assert np.array_equal(made[:110], person[:110])
    assert made[150, 80].min() > 200
