"""Frames: eyes and heads where they belong, and never a pixel that the camera did not see."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.compositing.composite import Grade
from pipeline.compositing.framing import (
    DISTANCES,
    HEAD_PER_EYES,
    SHAPES,
    Frame,
    Refusal,
    Wish,
    borders,
    choose,
    head_share,
)
from pipeline.compositing.look import Alike, PhotoLook
from pipeline.compositing.render import Lighting, cut, render
from pipeline.compositing.studio import nearest, wish_of
from tests.support.drawn import Drawn, drawn

SPACIOUS: dict[str, Any] = {"size": (2400, 2400), "eyes": (1200, 900), "head": 300.0}
CANARY = (255, 0, 255)
PAD = 500


def eyes_in(frame: Frame, person: Drawn) -> np.ndarray:
    """Both eyes in the portrait, [2, 2] pixels."""
    return person.landmarks[:2] @ frame.affine[:, :2].T + frame.affine[:, 2]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("distance", DISTANCES)
@pytest.mark.parametrize("tilt", [-12.0, 0.0, 7.0])
def test_with_room_eyes_head_and_tilt_are_exact(shape: str, distance: str, tilt: float) -> None:
    person = drawn(**SPACIOUS, tilt=tilt)
    frame = choose(person.alpha, person.landmarks, Wish(shape, distance, 700))
    assert isinstance(frame, Frame)
    assert frame.exact
    height, width = frame.size
    assert max(frame.size) == 700
    assert width / height == pytest.approx(SHAPES[shape].width / SHAPES[shape].height, rel=0.003)
    right, left = eyes_in(frame, person)
    assert (right[1] + left[1]) / 2 / height == pytest.approx(SHAPES[shape].eyes, abs=0.01)
    assert abs(right[1] - left[1]) < 0.5  # straight
    head = HEAD_PER_EYES * (left[0] - right[0]) / height
    assert head == pytest.approx(DISTANCES[distance] * SHAPES[shape].head, rel=0.03)
    assert (right[0] + left[0]) / 2 / width == pytest.approx(SHAPES[shape].centre, abs=0.02)


def test_a_tilt_beyond_the_most_is_straightened_by_the_most() -> None:
    person = drawn(**SPACIOUS, tilt=28.0)
    frame = choose(person.alpha, person.landmarks, Wish())
    assert isinstance(frame, Frame)
    right, left = eyes_in(frame, person)
    assert np.degrees(np.arctan2(*(left - right)[::-1])) == pytest.approx(13, abs=0.1)


def test_wide_pictures_have_the_head_on_the_side_that_was_asked_for() -> None:
    person = drawn(**SPACIOUS)
    places = []
    for right in (False, True):
        frame = choose(person.alpha, person.landmarks, Wish("wide", side=800, right=right))
        assert isinstance(frame, Frame)
        places.append(eyes_in(frame, person)[:, 0].mean() / frame.size[1])
    assert places == pytest.approx([0.36, 0.64], abs=0.02)


def test_a_small_photo_is_enlarged_by_half_at_most_and_says_its_size() -> None:
    person = drawn((500, 500), (250, 210), 120)
    frame = choose(person.alpha, person.landmarks, Wish(side=2048))
    assert isinstance(frame, Frame)
    assert frame.scale <= 1.5 + 1e-6
    assert max(frame.size) < 600
    tiny = drawn((150, 150), (75, 60), 40)
    assert choose(tiny.alpha, tiny.landmarks, Wish()) is Refusal.TOO_SMALL


def test_a_forehead_cut_by_the_photo_is_refused() -> None:
    person = drawn((900, 900), (450, 60), 300)
    assert choose(person.alpha, person.landmarks, Wish()) is Refusal.HEAD_CUT


def test_a_close_photo_gives_a_closer_frame_inside_it() -> None:
    """Hair that the photo cuts above a whole face: the portrait ends there too."""
    person = drawn((1000, 1000), (480, 230), 820)
    assert borders(person.alpha).top is not None
    frame = choose(person.alpha, person.landmarks, Wish(distance="face"))
    assert isinstance(frame, Frame)
    corners = np.array([[0, 0], [frame.size[1], 0], [frame.size[1], frame.size[0]]], float)
    back = cv2.invertAffineTransform(frame.affine)
    seen = corners @ back[:, :2].T + back[:, 2]
    assert seen[:, 1].min() >= 0
    assert seen[:, 1].max() <= 1000
    assert eyes_in(frame, person)[:, 1].mean() > 0.2 * frame.size[0]


def test_a_face_that_fills_the_photo_has_no_room_for_a_wide_picture() -> None:
    person = drawn((700, 500), (100, 330), 480)
    assert choose(person.alpha, person.landmarks, Wish("wide")) is Refusal.NO_ROOM


def surrounded(person: Drawn) -> Drawn:
    """The photo with what a smeared border would show: the edge's alpha, in a canary's colour."""
    colours = cv2.copyMakeBorder(
        person.colours, PAD, PAD, PAD, PAD, cv2.BORDER_CONSTANT, value=CANARY
    )
    alpha = cv2.copyMakeBorder(person.alpha, PAD, PAD, PAD, PAD, cv2.BORDER_REPLICATE)
    return Drawn(colours, alpha, person.landmarks + PAD)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    x=st.floats(0.12, 0.88),
    y=st.floats(0.15, 0.7),
    head=st.floats(90, 380),
    tilt=st.floats(-25, 25),
    shape=st.sampled_from(sorted(SHAPES)),
    distance=st.sampled_from(sorted(DISTANCES)),
    right=st.booleans(),
)
def test_the_canary_around_the_photo_is_never_seen(
    x: float, y: float, head: float, tilt: float, shape: str, distance: str, right: bool
) -> None:
    person = drawn((520, 480), (x * 480, y * 520), head, tilt)
    frame = choose(person.alpha, person.landmarks, Wish(shape, distance, 400, right=right))
    if not isinstance(frame, Frame):
        return
    assert frame.scale <= 1.5 + 1e-6
    around = surrounded(person)
    matrix = frame.affine
    matrix[:, 2] -= matrix[:, :2] @ np.array([PAD, PAD])
    size = frame.size[::-1]
    alpha = cv2.warpAffine(around.alpha, matrix, size, flags=cv2.INTER_NEAREST)
    colours = cv2.warpAffine(around.colours, matrix, size, flags=cv2.INTER_NEAREST)
    canary = (colours == CANARY).all(axis=2) & (alpha > 30)
    assert not canary.any()


def test_the_canary_would_be_seen_in_a_frame_that_leaves_the_photo() -> None:
    """The test above can fail: the same frame moved down shows it."""
    person = drawn((520, 480), (240, 200), 180)
    frame = choose(person.alpha, person.landmarks, Wish(side=400))
    assert isinstance(frame, Frame)
    around = surrounded(person)
    matrix = frame.affine
    matrix[:, 2] -= matrix[:, :2] @ np.array([PAD, PAD])
    matrix[1, 2] -= 0.4 * frame.size[0]
    colours = cv2.warpAffine(around.colours, matrix, frame.size[::-1], flags=cv2.INTER_NEAREST)
    alpha = cv2.warpAffine(around.alpha, matrix, frame.size[::-1], flags=cv2.INTER_NEAREST)
    assert ((colours == CANARY).all(axis=2) & (alpha > 30)).any()


@pytest.mark.parametrize("tilt", [0.0, 6.0])
def test_a_fade_ends_before_the_photo_does(tilt: float) -> None:
    person = drawn((560, 900), (450, 260), 250, tilt)
    frame = choose(person.alpha, person.landmarks, Wish(side=600, fade=True))
    assert isinstance(frame, Frame)
    assert frame.fade
    _, alpha = cut(person, frame, Lighting())
    end = frame.affine[:, :2] @ np.array([450, 558.0]) + frame.affine[:, 2]
    assert end[1] < frame.size[0] - 3
    assert alpha[int(end[1]) :].max() < 0.01
    middle = alpha[: int(end[1]), round(end[0])]
    assert np.abs(np.diff(middle[200:])).max() < 0.03  # no edge


def test_nobody_fades_at_the_throat() -> None:
    person = drawn((400, 900), (450, 210), 250)
    frame = choose(person.alpha, person.landmarks, Wish(side=600, fade=True))
    assert not isinstance(frame, Frame) or not frame.fade


def test_the_middle_of_the_photo_arrives_where_the_frame_says_in_its_own_colours() -> None:
    """At scale 1 without tilt nothing is resampled: pixels are the camera's, to the bit."""
    person = drawn((1000, 1000), (500, 400), 200)
    matrix = ((1.0, 0.0, -200.0), (0.0, 1.0, -150.0))
    frame = Frame(matrix, (600, 600), 1.0, False, True)
    wall = np.full((600, 600, 3), 0.3, np.float32)
    picture = render(person, frame, Lighting(), wall, Grade(), np.random.default_rng(0))
    part = (slice(150, 750), slice(200, 800))
    whole = person.alpha[part] == 255
    assert whole.sum() > 50_000
    assert np.array_equal(picture[whole], person.colours[part][whole])


def test_light_falls_on_the_person_and_not_on_the_wall() -> None:
    person = drawn(**SPACIOUS)
    frame = choose(person.alpha, person.landmarks, Wish(side=300))
    assert isinstance(frame, Frame)
    gain = np.ones((60, 60, 3), np.float32)
    gain[:, :30] = 0.5  # the left half of the photo
    plain, alpha = cut(person, frame, Lighting())
    lit, same = cut(person, frame, Lighting(gain))
    assert np.array_equal(alpha, same)
    solid = (alpha == 1) & (plain.min(axis=2) > 0.01)
    ratio = lit[solid].mean(axis=1) / plain[solid].mean(axis=1)
    column = np.nonzero(solid)[1]
    assert ratio[column < 120] == pytest.approx(0.5, abs=0.02)
    assert ratio[column > 180] == pytest.approx(1.0, abs=0.02)


def test_shrinking_does_not_alias() -> None:
    y, x = np.mgrid[0:2000, 0:2000]
    colours = np.repeat((((x + y) % 2) * 255).astype(np.uint8)[..., None], 3, axis=2)
    person = Drawn(colours, np.full((2000, 2000), 255, np.uint8), np.zeros((5, 2), np.float32))
    frame = Frame(((0.29, 0.0, 0.0), (0.0, 0.29, 0.0)), (560, 560), 0.29, False, True)
    light, _ = cut(person, frame, Lighting())
    assert light[20:-20, 20:-20].std() < 0.02
    assert light[20:-20, 20:-20].mean() == pytest.approx(0.5, abs=0.02)


def test_borders_tell_where_somebody_is_cut() -> None:
    alpha = np.zeros((100, 80), np.uint8)
    alpha[40:, 20:50] = 255
    found = borders(alpha)
    assert (found.top, found.left, found.right) == (None, None, None)
    assert found.bottom == (20, 49)


@pytest.mark.parametrize("share", [0.3, 0.52])
def test_the_head_is_as_large_as_a_number_says(share: float) -> None:
    person = drawn(**SPACIOUS)
    frame = choose(person.alpha, person.landmarks, Wish("wide", side=700, head=share))
    assert isinstance(frame, Frame)
    assert head_share(person.alpha, person.landmarks, frame) == pytest.approx(share, rel=0.02)


def test_without_room_the_nearest_distance_is_taken() -> None:
    """The photo ends right below the chin: a half body would end above it."""
    person = drawn(**SPACIOUS)
    alpha = np.ascontiguousarray(person.alpha[:1093])
    wish = Wish(distance="half_body", side=600)
    assert choose(alpha, person.landmarks, wish) is Refusal.NO_ROOM
    frame = nearest(alpha, person.landmarks, wish)
    assert isinstance(frame, Frame)
    assert frame == choose(alpha, person.landmarks, replace(wish, distance="head_and_shoulders"))
    nowhere = drawn(size=(140, 140), eyes=(70, 60), head=40.0)
    assert nearest(nowhere.alpha, nowhere.landmarks, wish) is Refusal.TOO_SMALL


@pytest.mark.parametrize("shape", ["square", "4:5", "3:4"])
@pytest.mark.parametrize("tilt", [-12.0, 0.0])
def test_a_companys_line_of_eyes_and_head_hold_in_every_shape(shape: str, tilt: float) -> None:
    person = drawn(**SPACIOUS, tilt=tilt)
    look = PhotoLook("paper", alike=Alike(eyes=0.4, head=0.37))
    frame = choose(person.alpha, person.landmarks, wish_of(look, shape, "face", 700))
    assert isinstance(frame, Frame)
    right, left = eyes_in(frame, person)
    assert (right[1] + left[1]) / 2 / frame.size[0] == pytest.approx(0.4, abs=0.002)
    assert head_share(person.alpha, person.landmarks, frame) == pytest.approx(0.37, rel=0.005)


def test_without_room_for_a_companys_line_of_eyes_that_of_the_shape_is_taken() -> None:
    """The photo ends in the hair, and the line is low."""
    person = drawn(**SPACIOUS)
    alpha = np.ascontiguousarray(person.alpha[780:])
    landmarks = person.landmarks - np.array([0, 780], np.float32)
    wish = Wish(head=0.45, eyes=0.6, side=600)
    for other in (wish, *(Wish(distance=name, eyes=0.6, side=600) for name in DISTANCES)):
        assert choose(alpha, landmarks, other) is Refusal.NO_ROOM
    frame = nearest(alpha, landmarks, wish)
    assert isinstance(frame, Frame)
    assert frame == choose(alpha, landmarks, replace(wish, eyes=None))
