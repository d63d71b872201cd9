"""Photos before studio backdrops: the words, the variety, and what is never done."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.compositing.backdrops import BACKDROPS
from pipeline.photos.record import TrainingPhoto
from pipeline.training.dataset import Example, recompose

SIZE = 64
EYES = np.array([[60, 70], [100, 70], [80, 90], [68, 110], [92, 110]], np.float32)


@pytest.fixture
def photos() -> list[TrainingPhoto]:
    """Two pictures that are red on the left and blue on the right."""
    picture = np.zeros((160, 160, 3), np.uint8)
    picture[:, :80, 0] = 200
    picture[:, 80:, 2] = 200
    return [TrainingPhoto(picture, EYES, np.zeros(128, np.float32))] * 2


def run(photos: list[TrainingPhoto], matte: int = 255, **options: object) -> list[Example]:
    def segment(image: np.ndarray) -> np.ndarray:
        """Call the whole picture a person, or nothing of it."""
        return np.full(image.shape[:2], matte, np.uint8)

    defaults = {"variants": 40, "knows": lambda _: True, "rng": np.random.default_rng(1)}
    return list(recompose(photos, segment, SIZE, **defaults | options))  # type: ignore[arg-type]


def test_every_photo_gives_its_variants_in_the_right_size(photos: list[TrainingPhoto]) -> None:
    examples = run(photos, variants=3)
    assert len(examples) == 6
    assert {e.image.shape for e in examples} == {(SIZE, SIZE, 3)}
    assert {e.image.dtype for e in examples} == {np.dtype(np.uint8)}


@pytest.mark.slow
def test_every_caption_names_the_person_and_a_backdrop(photos: list[TrainingPhoto]) -> None:
    captions = [e.caption for e in run(photos)]
    assert all(c.startswith("photo of sks person, ") for c in captions)
    used = {words for words in BACKDROPS if any(words in c for c in captions)}
    assert used == set(BACKDROPS)


def test_words_that_the_base_does_not_know_are_not_used(photos: list[TrainingPhoto]) -> None:
    known = {"navy", "studio", "backdrop", "left", "key", "light", "warm"}
    captions = {e.caption for e in run(photos, knows=lambda text: set(text.split(" ")) <= known)}
    assert captions == {
        f"photo of sks person, navy studio backdrop{light}{grade}"
        for light in ("", ", left key light")
        for grade in ("", ", warm")
    }


def test_nobody_is_mirrored(photos: list[TrainingPhoto]) -> None:
    coloured = [
        e.image for e in run(photos) if "black" not in e.caption and "sepia" not in e.caption
    ]
    for image in coloured:
        left, right = image[:, : SIZE // 4].astype(int), image[:, -SIZE // 4 :].astype(int)
        assert (left[..., 0] - left[..., 2]).mean() > 0
        assert (right[..., 2] - right[..., 0]).mean() > 0


def test_the_room_is_gone(photos: list[TrainingPhoto]) -> None:
    white = run(photos, matte=0, knows=lambda text: text == "white studio backdrop")
    assert all(e.image.mean() > 215 for e in white)


def test_the_same_generator_gives_the_same_pictures(photos: list[TrainingPhoto]) -> None:
    first, again = run(photos, variants=4), run(photos, variants=4)
    assert [e.caption for e in first] == [e.caption for e in again]
    assert all(np.array_equal(a.image, b.image) for a, b in zip(first, again, strict=True))
