"""Photos as people take them: a portrait that can be used, or one clear sentence; no torn face."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import pytest

from errors import BadPhoto
from pipeline.assembly import cutter
from pipeline.compositing.framing import DISTANCES, Refusal
from pipeline.compositing.look import PhotoLook
from pipeline.compositing.studio import Sitting, Studio, neutralised, sit, wish_of
from pipeline.photos.quality import check_photo
from tests.support.drawn import drawn
from tests.support.faces import Picture, models, portrait, segmenter
from tests.support.people import mesh_net
from words import say, tell

pytestmark = pytest.mark.slow

SIDE = 900


def person(wall: tuple[int, int, int] = (120, 140, 130)) -> tuple[Picture, Picture, float, float]:
    """Somebody before a wall, their matte, the eyes' line and the face's height in pixels."""
    photo = cv2.resize(portrait("a"), (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)
    matte = segmenter().matte(photo)
    share = matte[..., None] / 255.0
    box = models().detect(photo)[0].box
    mixed = np.asarray(photo * share + np.array(wall) * (1 - share), np.uint8)
    return mixed, matte, box[1] + 0.4 * box[3], box[3]


def hand() -> Picture:
    photo, _, eyes, tall = person()
    for finger in range(4):
        x = round(SIDE / 2 - 0.25 * tall + 0.17 * finger * tall)
        ends = (x, round(eyes - 0.2 * tall)), (x, SIDE)
        cv2.line(photo, *ends, (205, 160, 135), round(0.15 * tall), cv2.LINE_AA)
    return photo


def cap() -> Picture:
    photo, _, eyes, tall = person()
    middle = (SIDE // 2, round(eyes - 0.25 * tall))
    cv2.ellipse(photo, middle, (round(0.6 * tall), round(0.55 * tall)), 0, 0, 360, (40, 40, 45), -1)
    return photo


def hat_cut_by_the_frame() -> Picture:
    photo, _, eyes, tall = person()
    top = max(0, round(eyes - 0.55 * tall))
    photo[top : top + round(0.2 * tall), 150:-150] = (60, 40, 30)
    return np.ascontiguousarray(photo[top:])


def hair_in_the_walls_colour() -> Picture:
    photo, _, eyes, _ = person()
    hair = np.median(photo[: round(eyes) // 3, 400:500].reshape(-1, 3), axis=0)
    red, green, blue = (int(v) for v in hair)
    return person((red, green, blue))[0]


def white_shirt_before_a_white_wall() -> Picture:
    photo, matte, eyes, tall = person((244, 244, 242))
    shirt = (matte > 128) & (np.arange(SIDE)[:, None] > eyes + 0.75 * tall)
    photo[shirt] = (238, 238, 236)
    return photo


def backlight() -> Picture:
    photo, matte, _, _ = person((255, 253, 248))
    share = cv2.GaussianBlur(matte, (0, 0), 4)[..., None] / 255.0
    return np.asarray(photo * (1 - 0.6 * share), np.uint8)


def beard_over_a_dark_jumper() -> Picture:
    photo, matte, eyes, tall = person((30, 30, 34))
    below = (matte > 128) & (np.arange(SIDE)[:, None] > eyes + 0.55 * tall)
    photo[below] = (photo[below] * 0.18).astype(np.uint8)
    return photo


def a_childs_drawing() -> Picture:
    paper = np.full((SIDE, SIDE, 3), 250, np.uint8)
    cv2.circle(paper, (450, 400), 220, (30, 30, 30), 6)
    for x in (370, 530):
        cv2.circle(paper, (x, 340), 26, (30, 30, 30), -1)
    cv2.line(paper, (450, 380), (450, 440), (30, 30, 30), 6)
    cv2.ellipse(paper, (450, 490), (90, 50), 0, 0, 180, (200, 30, 30), 8)
    return paper


def doll() -> Picture:
    """A face of flat colours, as a toy has it."""
    figure = drawn((SIDE, SIDE), (450, 380), 420)
    share = figure.alpha[..., None] / 255.0
    return np.asarray(figure.colours * share + 200 * (1 - share), np.uint8)


PHOTOS = [
    hand,
    cap,
    hat_cut_by_the_frame,
    hair_in_the_walls_colour,
    white_shirt_before_a_white_wall,
    backlight,
    beard_over_a_dark_jumper,
    a_childs_drawing,
    doll,
]
NO_PORTRAIT = (a_childs_drawing, doll, cap)


@pytest.mark.parametrize("photo", PHOTOS, ids=lambda made: made.__name__)
def test_a_portrait_or_one_sentence(photo: Callable[[], Picture]) -> None:
    sentence = ""
    try:
        checked = check_photo(photo(), models(), 2048)
        cut = cutter(segmenter(), mesh_net())(checked.image, checked.face)
        if cut.faults:
            sentence = say(f"photos.fault.{cut.faults[0]}")
    except BadPhoto as refused:
        sentence = tell(refused.message)
    if photo in NO_PORTRAIT or sentence:
        assert sentence.endswith(".")
        return
    left, top, width, height = (round(v) for v in checked.face.box)
    middle = cut.alpha[
        top + height // 5 : top + 4 * height // 5, left + width // 4 : left + 3 * width // 4
    ]
    assert middle.mean() > 0.99 * 255  # no torn face
    landmarks = np.asarray(checked.face.landmarks, np.float32)
    sitter = neutralised([sit(cut, landmarks, checked.numbers.sharpness, mesh_net())])[0]
    look = PhotoLook(wall="paper")
    wishes = [wish_of(look, "square", distance, 512) for distance in DISTANCES]
    made = [Studio().compose(sitter, Sitting(look, wish)) for wish in wishes]
    assert not all(isinstance(portrait, Refusal) for portrait in made)
