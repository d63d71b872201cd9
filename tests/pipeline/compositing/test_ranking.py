"""The better of two photos of one person comes first."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from pipeline.compositing.face_mesh import Mesh
from pipeline.compositing.ranking import WEIGHTS, Merit, merit, pose, rank
from pipeline.imaging import align
from pipeline.photos.quality import FACE_SIDE, sharpness
from tests.support.people import Person, measured, person

WHO = ("a", "b", "c")
GOOD = Merit(
    sharpness=0.2, evenness=0.9, clipped=0, eyes_open=0.28, gaze=0.05, yaw=0, pitch=0, roll=0,
    smile=0.05, mouth_open=0.05, face_px=400, presence=1,
)  # fmt: skip


def judged(who: Person) -> Merit:
    return merit(who.image, who.mesh, who.skin, sharp(who))


def sharp(who: Person) -> float:
    return sharpness(align(who.image, who.landmarks, FACE_SIDE))


@pytest.mark.parametrize("who", WHO)
def test_a_blurred_photo_ranks_lower(who: str) -> None:
    good = judged(person(who))
    blurred = judged(measured(cv2.GaussianBlur(person(who).image, (0, 0), 6)))
    assert blurred.sharpness < 0.8 * good.sharpness
    assert rank([blurred, good]) == [1, 0]


@pytest.mark.parametrize("who", WHO)
def test_a_small_photo_ranks_lower(who: str) -> None:
    small = cv2.resize(person(who).image, (200, 200), interpolation=cv2.INTER_AREA)
    good, worse = judged(person(who)), judged(measured(small))
    assert worse.face_px == pytest.approx(good.face_px * 200 / 640, rel=0.1)
    assert rank([worse, good]) == [1, 0]


@pytest.mark.parametrize("who", WHO)
def test_closed_eyes_rank_lower(who: str) -> None:
    known = person(who)
    points = known.mesh.points.copy()
    for upper, lower in ((160, 144), (158, 153), (385, 380), (387, 373)):
        points[upper] = points[lower] * 0.7 + points[upper] * 0.3
    closed = merit(known.image, Mesh(points, 1.0), known.skin, sharp(known))
    assert closed.eyes_open < 0.5 * judged(known).eyes_open
    assert closed.score < 0.8 * judged(known).score


@pytest.mark.parametrize("who", WHO)
def test_a_burnt_out_photo_and_one_lit_from_one_side_rank_lower(who: str) -> None:
    known = person(who)
    burnt = measured(np.asarray(np.clip(known.image.astype(int) + 130, 0, 255), np.uint8))
    assert judged(burnt).clipped > judged(known).clipped + 0.1
    assert judged(burnt).score < judged(known).score
    dark_side = judged(replace(known, skin=replace(known.skin, left=known.skin.right / 6)))
    assert dark_side.evenness == pytest.approx(1 / 6)
    assert dark_side.score < judged(known).score


def turned(points: np.ndarray, axis: int, degrees: float) -> np.ndarray:
    """Points turned about the x (0), y (1) or z (2) axis."""
    a = np.radians(degrees)
    one, two = [index for index in range(3) if index != axis]
    matrix = np.eye(3)
    matrix[one, one] = matrix[two, two] = np.cos(a)
    matrix[one, two], matrix[two, one] = -np.sin(a), np.sin(a)
    middle = points.mean(axis=0)
    return np.asarray((points - middle) @ matrix.T + middle, np.float32)


def test_the_pose_follows_the_head() -> None:
    points = person("a").mesh.points
    before = np.array(pose(points))
    for axis, index in ((1, 0), (0, 1), (2, 2)):
        change = np.array(pose(turned(points, axis, 20))) - before
        assert abs(change[index]) == pytest.approx(20, abs=3)
        assert np.abs(np.delete(change, index)).max() < 5


def test_a_mirrored_head_is_turned_the_other_way() -> None:
    known, mirror = judged(person("b")), judged(measured(person("b").image[:, ::-1]))
    assert mirror.yaw == pytest.approx(-known.yaw, abs=4)
    assert mirror.roll == pytest.approx(-known.roll, abs=2)
    assert mirror.score == pytest.approx(known.score, abs=0.08)


@pytest.mark.parametrize(
    "worse",
    [
        {"eyes_open": 0.1}, {"sharpness": 0.05}, {"yaw": 35.0}, {"yaw": -35.0}, {"pitch": 30.0},
        {"roll": 40.0}, {"gaze": 0.8}, {"mouth_open": 0.7}, {"face_px": 90.0}, {"evenness": 0.2},
        {"clipped": 0.2}, {"presence": 0.3},
    ],
)  # fmt: skip
def test_each_property_alone_lowers_the_score(worse: dict[str, float]) -> None:
    assert replace(GOOD, **worse).score < GOOD.score - 0.01


def test_one_great_fault_is_not_outweighed() -> None:
    fair = replace(GOOD, sharpness=0.14, face_px=250, gaze=0.3, yaw=12)
    asleep = replace(GOOD, eyes_open=0.08)
    assert rank([asleep, fair, GOOD]) == [2, 1, 0]


def test_equal_photos_keep_their_order_and_none_is_no_error() -> None:
    assert rank([GOOD, GOOD, GOOD]) == [0, 1, 2]
    assert rank([]) == []
    assert set(GOOD.parts) == set(WEIGHTS)


def test_a_smile_and_an_open_mouth_are_measured() -> None:
    known = person("a")
    points = known.mesh.points.copy()
    points[[61, 291], 1] -= 12
    points[14, 1] += 40
    smiling = merit(known.image, Mesh(points, 1.0), known.skin, sharp(known))
    assert smiling.smile > judged(known).smile + 0.03
    assert smiling.mouth_open > judged(known).mouth_open + 0.2
