"""What is wrong with a portrait: nobody, two people, somebody else, closed eyes, plastic skin."""

from __future__ import annotations

import io

import cv2
import numpy as np
import pytest
from PIL import Image

from pipeline.photos.detection import Faces
from pipeline.photos.record import TrainingPhoto
from pipeline.portraits.generate import Shot
from pipeline.portraits.judge import Judge, Judged
from pipeline.portraits.style import Style
from tests.support.people import mesh_net

SHOT = Shot(0, Style("look", "Look", "A look.", "work", "photo of {subject}"), 11)

Picture = np.ndarray


@pytest.fixture(scope="module")
def photo(selfie_jpegs: list[bytes]) -> Picture:
    return np.asarray(Image.open(io.BytesIO(selfie_jpegs[0])).convert("RGB"))


@pytest.fixture(scope="module")
def judge(photo: Picture, faces: Faces) -> Judge:
    """Of the person of one photo."""
    face = faces.detect(photo)[0]
    known = TrainingPhoto(photo, face.landmarks, faces.embed(photo, face))
    return Judge(faces, mesh_net(), [known])


def judged(judge: Judge, image: Picture) -> Judged:
    return judge.judged("portrait-001", SHOT, np.ascontiguousarray(image))


def test_the_photo_itself_has_no_flaw(judge: Judge, photo: Picture) -> None:
    told = judged(judge, photo)
    assert told.flaw is None
    assert told.record.likeness == pytest.approx(1, abs=1e-3)
    assert told.record.px == (photo.shape[1], photo.shape[0])
    assert told.record.seed == SHOT.seed


def test_a_picture_without_a_face_has_neither_box_nor_appearance(judge: Judge) -> None:
    told = judged(judge, np.full((256, 256, 3), 128, np.uint8))
    assert told.flaw == "no_face"
    assert (told.record.likeness, told.record.doubtful) == (-1, True)
    assert (told.record.face, told.record.appearance) == (None, "")


def test_two_faces_are_one_too_many_and_a_tiny_one_is_not(judge: Judge, photo: Picture) -> None:
    assert judged(judge, np.hstack([photo, photo[:, ::-1]])).flaw == "two_faces"
    small = cv2.resize(photo, (photo.shape[1] // 5, photo.shape[0] // 5))
    beside = photo.copy()
    beside[: small.shape[0], : small.shape[1]] = small
    assert judged(judge, beside).flaw is None


def test_somebody_else_is_unlike(judge: Judge, faces: Faces, selfie_jpegs: list[bytes]) -> None:
    photo = np.asarray(Image.open(io.BytesIO(selfie_jpegs[0])).convert("RGB"))
    face = faces.detect(photo)[0]
    other = np.roll(np.eye(128, dtype=np.float32)[0], 5)
    stranger = Judge(faces, mesh_net(), [TrainingPhoto(photo, face.landmarks, other)])
    told = judged(stranger, photo)
    assert told.flaw == "unlike"
    assert told.record.doubtful


def test_skin_without_texture_is_plastic(judge: Judge, photo: Picture) -> None:
    smooth = cv2.GaussianBlur(photo, (0, 0), 10)
    assert judged(judge, smooth).flaw == "plastic"


def test_closed_eyes_are_told_by_the_mesh(
    judge: Judge, photo: Picture, faces: Faces, monkeypatch: pytest.MonkeyPatch
) -> None:
    openness = {"now": 1.0}
    real = judge._open  # of the photos
    monkeypatch.setattr("pipeline.portraits.judge.eyes_open", lambda _: openness["now"] * real)
    assert judged(judge, photo).flaw is None
    openness["now"] = 0.6
    assert judged(judge, photo).flaw is None
    openness["now"] = 0.4
    assert judged(judge, photo).flaw == "eyes_closed"


def test_worth_is_likeness_and_a_little_texture(judge: Judge, photo: Picture) -> None:
    assert judge.worth(photo) == pytest.approx(1.1, abs=2e-3)
    smooth = cv2.GaussianBlur(photo, (0, 0), 3)
    likeness = judged(judge, smooth).record.likeness
    assert likeness is not None
    assert likeness < judge.worth(smooth) < likeness + 0.09
    assert judge.worth(np.full((256, 256, 3), 128, np.uint8)) == -1
