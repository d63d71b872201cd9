"""The head of a portrait: where it is, and how it lies over another picture."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from pipeline.compositing.colour import encoded, linear
from pipeline.compositing.composite import Grade
from pipeline.compositing.framing import Frame
from pipeline.compositing.head import BAND, Head, head_of, head_zone
from pipeline.imaging import CutOut
from tests.support.faces import Picture
from tests.support.people import person

SIDE = 400
WHOLE = Frame(((1.0, 0.0, 0.0), (0.0, 1.0, 0.0)), (SIDE, SIDE), 1.0, False, True)
GREY, GREEN = 150, (0, 200, 0)


def flat(*colour: int) -> Picture:
    return np.full((SIDE, SIDE, 3), colour if len(colour) == 3 else colour * 3, np.uint8)


def disc(radius: int, blur: float) -> Picture:
    """A disc in the middle, 255 inside, with a soft edge."""
    alpha = cv2.circle(np.zeros((SIDE, SIDE), np.uint8), (SIDE // 2,) * 2, radius, 255, -1)
    return np.asarray(cv2.GaussianBlur(alpha, (0, 0), blur), np.uint8)


@pytest.fixture(scope="module")
def portrait() -> tuple[Picture, Picture]:
    """A grey disc, its edge as soft as hair, before a green wall; and its alpha."""
    alpha = disc(120, 4)
    part = (alpha / 255).astype(np.float32)[..., None]
    light = linear(flat(GREY)) * part + linear(flat(*GREEN)) * (1 - part)
    return np.rint(encoded(light) * 255).astype(np.uint8), alpha


@pytest.fixture(scope="module")
def head(portrait: tuple[Picture, Picture]) -> Head:
    """Its upper half is the head, with the wall beside it."""
    zone = np.zeros((SIDE, SIDE), np.uint8)
    zone[: SIDE // 2] = 255
    return head_of(*portrait, zone, WHOLE, Grade())


def test_the_head_stays_to_the_bit_and_far_from_it_nothing_does(
    head: Head, portrait: tuple[Picture, Picture]
) -> None:
    other = np.random.default_rng(1).integers(0, 256, (SIDE, SIDE, 3), np.uint8)
    laid = head.over(other)
    stays = (portrait[1] == 255) & (np.arange(SIDE) < SIDE // 2)[:, None]
    assert np.array_equal(head.stays, stays)
    assert np.array_equal(laid[stays], portrait[0][stays])
    below = SIDE // 2 + int(BAND * SIDE) + 1
    assert np.array_equal(laid[below:], other[below:])


def test_the_seam_is_no_step(head: Head) -> None:
    laid = head.over(flat(50)).astype(int)
    down = laid[SIDE // 2 - 30 : SIDE // 2 + 30, SIDE // 2, 0]
    steps = -np.diff(down)
    assert (down[0], down[-1]) == (GREY, 50)
    assert steps.min() >= 0
    assert steps.max() <= 2.5 * (GREY - 50) / (BAND * SIDE)
    # And none is much larger than those beside it.
    assert max(abs(np.diff(steps))) <= 0.5 * steps.max()


def test_hair_brings_nothing_of_the_old_wall_along(
    head: Head, portrait: tuple[Picture, Picture]
) -> None:
    laid = head.over(flat(0)).astype(int)
    hair = (portrait[1] > 40) & (portrait[1] < 215)
    hair[SIDE // 2 :] = False
    green = (portrait[0][..., 1].astype(int) - portrait[0][..., 0])[hair]
    assert green.max() > 60
    assert (laid[..., 1] - laid[..., 0])[hair].max() < 15


@pytest.mark.parametrize("who", ["a", "b"])
def test_face_and_hair_are_of_the_head_and_the_chest_is_not(who: str) -> None:
    one = person(who)
    zone = head_zone(CutOut(one.image, one.alpha), one.landmarks, one.mesh.points)
    points = np.rint(one.mesh.points[:, :2]).astype(int)
    assert (zone[points[:, 1], points[:, 0]] == 255).mean() > 0.97
    eyes = int(one.landmarks[:2, 1].mean())
    solid = one.alpha == 255
    assert (zone[:eyes][solid[:eyes]] > 0).mean() > 0.97
    face = np.ptp(one.mesh.points[:, 1])
    chest = int(one.mesh.points[:, 1].max() + 0.35 * face)
    middle = int(one.landmarks[:, 0].mean())
    below = np.s_[chest:, middle - int(0.2 * face) : middle + int(0.2 * face)]
    assert solid[below].any()
    assert (zone[below][solid[below]] == 0).mean() > 0.9
