"""Likeness scores, order and doubt."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from pipeline.album import TrainingPhoto
from pipeline.faces import SAME_PERSON
from pipeline.generate import Shot
from pipeline.select import PortraitRecord, baseline, person_vector, rank, record_for
from pipeline.styles import Style


def photo(*values: float) -> TrainingPhoto:
    vector = np.zeros(128, np.float32)
    vector[: len(values)] = values
    vector /= np.linalg.norm(vector)
    picture, landmarks = np.zeros((8, 8, 3), np.uint8), np.zeros((5, 2), np.float32)
    return TrainingPhoto(picture, landmarks, vector)


def record(name: str, likeness: float) -> PortraitRecord:
    style = Style("corporate", "Corporate", "A look.", "work", "photo of {subject}")
    return record_for(name, Shot(0, style, 11), likeness)


def test_the_person_is_the_unit_mean_of_the_photos() -> None:
    person = person_vector([photo(1, 0), photo(0, 1)])
    assert person.dtype == np.float32
    assert person[:2] == pytest.approx([0.5**0.5, 0.5**0.5])
    assert np.linalg.norm(person) == pytest.approx(1)


def test_the_baseline_compares_each_photo_with_the_others() -> None:
    assert baseline([photo(1, 0), photo(1, 0)]) == pytest.approx(1)
    assert baseline([photo(1, 0), photo(0, 1)]) == pytest.approx(0)
    # Two alike, one apart: 0.707, 0.707 and 0.
    assert baseline([photo(1, 0), photo(1, 0), photo(0, 1)]) == pytest.approx(0.5**0.5)


def test_a_record_says_what_the_shot_was() -> None:
    made = record("portrait-001", 0.51236)
    assert made == PortraitRecord("portrait-001", "corporate", 11, 0.5124, doubtful=False)


@pytest.mark.parametrize("likeness", [SAME_PERSON - 1e-6, 0.0, -1.0])
def test_a_portrait_below_the_line_or_without_a_face_is_doubtful(likeness: float) -> None:
    assert record("p", likeness).doubtful
    assert not record("p", SAME_PERSON).doubtful


def test_the_best_come_first_and_the_doubtful_last() -> None:
    portraits = [
        record(n, s) for n, s in [("a", 0.4), ("b", -1), ("c", 0.7), ("d", 0.3), ("e", 0.4)]
    ]
    assert [p.id for p in rank(portraits)] == ["c", "a", "e", "d", "b"]
    assert [p.id for p in portraits] == ["a", "b", "c", "d", "e"]


def test_select_and_styles_do_not_import_torch() -> None:
    code = "import sys, pipeline.select, pipeline.styles; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
