"""Likeness scores, order and doubt."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from dataclasses import asdict, replace

import numpy as np
import pytest

from pipeline.photos.detection import SAME_PERSON
from pipeline.photos.record import TrainingPhoto
from pipeline.portraits.generate import Shot
from pipeline.portraits.score import (
    PortraitRecord,
    appearance,
    baseline,
    fold,
    person_vector,
    rank,
    record_for,
)
from pipeline.portraits.style import Style


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


def shown(name: str, grey: float, face: int = 0, *, look: str = "corporate") -> PortraitRecord:
    """A record of a plain grey picture with one of two faces that are nothing alike."""
    style = Style(look, look, "A look.", "work", "photo of {subject}")
    image = np.full((64, 48, 3), grey, np.uint8)
    return record_for(
        name, Shot(0, style, 11), 0.7, (0, 0, 1, 1), appearance(image, np.eye(128)[face])
    )


def groups(*portraits: PortraitRecord) -> list[list[str]]:
    return [[portrait.id for portrait in group] for group in fold(portraits)]


def test_near_duplicates_are_folded_under_the_first() -> None:
    a, b, c, d = shown("a", 100), shown("b", 130), shown("c", 104), shown("d", 108)
    assert groups(a, b, c, d) == [["a", "c", "d"], ["b"]]
    assert groups(d, c, b, a) == [["d", "c", "a"], ["b"]]


def test_another_face_look_or_doubt_is_no_duplicate() -> None:
    assert groups(shown("a", 100), shown("b", 100, face=1)) == [["a"], ["b"]]
    assert groups(shown("a", 100), shown("b", 100, look="casual")) == [["a"], ["b"]]
    doubtful = replace(shown("b", 100), doubtful=True)
    assert groups(shown("a", 100), doubtful) == [["a"], ["b"]]


def test_records_of_earlier_versions_stand_alone() -> None:
    row = {"id": "a", "style": "corporate", "seed": 1, "likeness": 0.5, "doubtful": False}
    old = PortraitRecord.from_row(row)
    assert old == PortraitRecord("a", "corporate", 1, 0.5, doubtful=False)
    assert groups(old, replace(old, id="b"), shown("c", 100)) == [["a"], ["b"], ["c"]]


def test_a_record_survives_its_json() -> None:
    made = shown("a", 100)
    assert len(made.appearance) == 428
    assert PortraitRecord.from_row(json.loads(json.dumps(asdict(made)))) == made


def test_a_miniature_is_the_mean_of_its_cells() -> None:
    """Half black, half white, 20 x 20 pixels: cells of two and three pixels alike."""
    image = np.zeros((20, 20, 3), np.uint8)
    image[:, 10:] = 255
    picture = base64.b64decode(appearance(image, np.eye(128)[0]))[128:]
    miniature = np.frombuffer(picture, np.uint8).reshape(8, 8, 3)
    assert (miniature[:, :3] == 0).all()
    assert (miniature[:, 5:] == 255).all()


def test_select_and_styles_do_not_import_torch() -> None:
    code = (
        "import sys, pipeline.portraits.score, pipeline.portraits.style; "
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
