"""Captions say what a photo shows that is not the person, as far as it can be told for sure."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from errors import Stopped
from pipeline.bases.base import Base
from pipeline.compositing.face_mesh import FaceMesh
from pipeline.compositing.ranking import Merit
from pipeline.compositing.segmenter import Segmenter
from pipeline.photos.detection import Faces
from pipeline.photos.record import TrainingPhoto
from pipeline.training import checkpoint
from pipeline.training.captions import Seen, captioned, colour_name, measure, said, seen
from pipeline.training.dataset import recompose
from pipeline.training.train import Personalisation
from settings import ROOT
from tests.support.nobody import middle, noise_photos
from tests.support.training import SHORT

FACE = Merit(0.2, 1.0, 0.0, 0.3, 0.0, 0.0, 0.0, 0.0, 0.0, 0.1, 200.0, 1.0)
PLAIN = Seen((), FACE, bridge=False, sides=1.4, brightness=120.0)
"""Nothing to be said of it but that it looks ahead."""


def head(**changes: float) -> Seen:
    return replace(PLAIN, face=replace(FACE, **changes))


@pytest.mark.parametrize(
    ("photo", "words"),
    [
        (PLAIN, "facing the camera"),
        (replace(PLAIN, clothes=("navy",)), "wearing navy clothes, facing the camera"),
        (
            replace(PLAIN, clothes=("white", "red")),
            "wearing white and red clothes, facing the camera",
        ),
        (head(mouth_open=0.2, smile=0.08), "open smile, facing the camera"),
        (head(mouth_open=0.2), "facing the camera"),  # speaking, perhaps
        (head(mouth_open=0.03, smile=0.08), "lips closed, facing the camera"),
        (head(yaw=20), "head turned to the right"),
        (head(yaw=-20), "head turned to the left"),
        (head(yaw=12), ""),
        (replace(PLAIN, sides=2.0), "facing the camera, light from the left"),
        (replace(PLAIN, sides=0.4), "facing the camera, light from the right"),
        (replace(PLAIN, sides=1.1), "facing the camera, even light"),
        (replace(head(yaw=60, mouth_open=0.0), sides=4.0), "head turned to the right"),
    ],
)
def test_a_measured_photo_is_put_into_words(photo: Seen, words: str) -> None:
    assert said([photo]) == [words]


def test_glasses_are_named_where_they_come_and_go_and_are_the_persons_where_they_stay() -> None:
    bare, worn = PLAIN, replace(PLAIN, bridge=True)
    profile = replace(head(yaw=50), bridge=True)
    assert said([worn, worn]) == ["facing the camera"] * 2
    assert said([bare, bare]) == ["facing the camera"] * 2
    with_some = said([bare, worn, profile])
    assert ["glasses" in words for words in with_some] == [False, True, False]
    assert not any("glasses" in words for words in said([worn, profile]))


@pytest.mark.parametrize("skin", [50.0, 200.0])
def test_light_is_bright_or_dim_beside_the_same_face_whatever_its_colour(skin: float) -> None:
    photos = [replace(PLAIN, brightness=skin * share) for share in (1, 1, 1, 0.6, 1.3)]
    assert [words.partition(", ")[2] for words in said(photos)] == [
        *("", "", ""),
        "dim light",
        "bright light",
    ]
    dim = [replace(PLAIN, sides=3.0, brightness=skin * share) for share in (1, 1, 0.6)]
    assert said(dim)[-1] == "facing the camera, dim light from the left"


@pytest.mark.parametrize(
    ("rgb", "name"),
    [
        ((10, 10, 12), "black"),
        ((60, 60, 62), "dark grey"),
        ((140, 140, 138), "grey"),
        ((245, 243, 240), "white"),
        ((25, 30, 65), "navy"),
        ((50, 90, 170), "blue"),
        ((160, 195, 230), "light blue"),
        ((190, 30, 40), "red"),
        ((90, 20, 35), "burgundy"),
        ((40, 100, 50), "green"),
        ((20, 120, 120), "teal"),
        ((110, 75, 45), "brown"),
        ((205, 185, 150), "beige"),
        ((215, 165, 50), "yellow"),
        ((240, 180, 200), "pink"),
        ((100, 50, 140), "purple"),
    ],
)
def test_colours_have_the_names_that_people_give_them(rgb: tuple[int, ...], name: str) -> None:
    lab = cv2.cvtColor(np.array([[rgb]], np.float32) / 255, cv2.COLOR_RGB2LAB)[0, 0]
    assert colour_name(*map(float, lab)) == name


@pytest.fixture(scope="module")
def mesh() -> FaceMesh:
    return FaceMesh(ROOT / "models" / "faces")


@pytest.fixture(scope="module")
def selfie(faces: Faces) -> TrainingPhoto:
    """A made-up selfie: blue clothes, from the front, no glasses, the lamp a little to the left."""
    with Image.open(ROOT / "web" / "samples" / "selfie-01.jpg") as image:
        pixels = np.asarray(image.convert("RGB").resize((640, 640)))
    return TrainingPhoto(pixels, faces.detect(pixels)[0].landmarks, np.zeros(128, np.float32))


def test_a_photo_is_measured(selfie: TrainingPhoto, segmenter: Segmenter, mesh: FaceMesh) -> None:
    found = seen(selfie, segmenter.matte, mesh)
    assert found.clothes == ("blue",)
    assert found.glasses is False
    assert abs(found.face.yaw) < 10
    assert 1.2 < found.sides < 1.7
    # Across the face, the side of the lamp falls to a fifth.
    left, right = selfie.landmarks[:2, 0]
    across = np.interp(np.arange(640), (left, right), (0.2, 1))[None, :, None]
    darker = (selfie.image * across).astype(np.uint8)
    [words] = said([seen(replace(selfie, image=darker), segmenter.matte, mesh)])
    assert words.endswith("light from the right")


def test_glasses_are_seen_by_what_lies_across_the_nose(
    selfie: TrainingPhoto, segmenter: Segmenter, mesh: FaceMesh
) -> None:
    right, left = selfie.landmarks[:2]
    radius = round(0.36 * float(np.linalg.norm(left - right)))
    worn = selfie.image.copy()
    for eye in (right, left):
        cv2.circle(worn, (round(eye[0]), round(eye[1])), radius, (20, 15, 15), 4)
    ends = (right + (left - right) * share for share in (0.36, 0.64))
    (x0, y0), (x1, y1) = (map(round, map(float, end)) for end in ends)
    cv2.line(worn, (x0, y0), (x1, y1), (20, 15, 15), 4)
    assert seen(replace(selfie, image=worn), segmenter.matte, mesh).glasses is True


def understands(_: str) -> bool:
    return True


def test_a_base_with_words_of_its_own_keeps_its_captions(base: Base) -> None:
    """Nothing is measured: nobody is there to do it."""
    photos = noise_photos(2)
    nobody: Any = None
    assert captioned(photos, base.knows, nobody) == photos
    pictures = recompose(
        photos, middle, 64, variants=1, knows=base.knows, rng=np.random.default_rng(1)
    )
    assert all(one.caption.count("sks person, ") == 1 for one in pictures)


def test_a_caption_says_it_between_person_and_wall() -> None:
    photos = [replace(photo, said="wearing red clothes") for photo in noise_photos(2)]
    rng = np.random.default_rng(1)
    for picture in recompose(photos, middle, 64, variants=3, knows=understands, rng=rng):
        assert picture.caption.startswith("photo of sks person, wearing red clothes, ")
        assert "back" in picture.caption


def test_what_is_said_decides_which_training_it_is(base: Base) -> None:
    def print_of(photos: list[TrainingPhoto]) -> str:
        return checkpoint.fingerprint(base, Personalisation(photos, middle, SHORT, 1))

    plain = noise_photos(2)
    assert print_of(plain) == print_of(noise_photos(2))
    assert print_of([replace(plain[0], said="open smile"), plain[1]]) != print_of(plain)


def test_a_stop_is_heard_before_each_photo(mesh: FaceMesh) -> None:
    with pytest.raises(Stopped):
        measure(noise_photos(2), middle, mesh, lambda: True)
