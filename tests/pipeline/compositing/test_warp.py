"""Portraits that move: they close, keep to the photo, tear nowhere, and begin as the portrait."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from itertools import islice

import cv2
import numpy as np
import pytest

from errors import BadOrder
from pipeline.compositing.composite import GRADES
from pipeline.compositing.framing import Wish, borders
from pipeline.compositing.look import PhotoLook
from pipeline.compositing.studio import Sitter, Sitting, Studio, sit
from pipeline.compositing.warp import FRAMES, PRESETS, SHAPES, Moving
from pipeline.compositing.warp.layers import between, developed, layer, over
from pipeline.compositing.warp.motion import Pose, pose
from pipeline.imaging import CutOut
from tests.support.people import mesh_net, person

SIDE = 288
LOOK = PhotoLook(wall="canvas", colour="#8a8c92", light="left")
SITTING = Sitting(LOOK, Wish(side=SIDE), seed=1)
STUDIO = Studio()
STILL = tuple(
    preset for preset in PRESETS if not (pose(preset, 20).wall or pose(preset, 20).wall_closer)
)


@cache
def sitter(right: int = 640) -> Sitter:
    """A dreamt-up person, whom the photo cuts below; with fewer columns, on the right as well."""
    who = person("a")
    cut_out = CutOut(
        np.ascontiguousarray(who.image[:, :right]), np.ascontiguousarray(who.alpha[:, :right])
    )
    return sit(cut_out, who.landmarks, 0.5, mesh_net())


@cache
def moving(right: int = 640, shape: str = "square") -> Moving:
    return Moving(sitter(right), SITTING, shape, SIDE, STUDIO)


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_begins_and_ends_at_rest(preset: str) -> None:
    ends = [vars(pose(preset, at)) for at in (0, FRAMES)]
    assert vars(pose(preset, 0)) == pytest.approx(vars(Pose()), abs=1e-12)
    assert ends[1] == pytest.approx(ends[0], abs=1e-12)
    assert max(abs(v) for v in vars(pose(preset, FRAMES // 3)).values()) > 0.005


def test_a_loop_closes_as_its_frames_follow_each_other() -> None:
    frames = list(moving().frames("turn"))
    apart = [float(cv2.absdiff(frames[at], frames[at - 1]).mean()) for at in range(FRAMES)]
    assert len(frames) == FRAMES
    assert 0 < apart[0] <= max(apart[1:])


def test_the_first_frame_is_the_portrait() -> None:
    sitting = replace(SITTING, wish=Wish(side=512))
    made = STUDIO.compose(sitter(), sitting)
    assert isinstance(made, tuple)
    first = next(Moving(sitter(), sitting, "square", 512, STUDIO).frames("calm"))
    apart = np.abs(made[0].astype(np.int16) - first)
    assert apart.mean() < 0.1
    assert np.percentile(apart, 99.9) <= 8  # edges, which are mixed after the grade


@pytest.mark.parametrize("preset", STILL)
def test_a_wall_that_stands_still_does_not_flicker(preset: str) -> None:
    bare = moving().bare()
    first, *others = moving().frames(preset, every=15)
    assert bare.mean() > 0.1
    assert all(np.array_equal(frame[bare], first[bare]) for frame in others)
    assert any(np.abs(frame.astype(np.int16) - first).mean() > 0.3 for frame in others)


@pytest.mark.parametrize("right", [640, 470])
@pytest.mark.parametrize("preset", PRESETS)
def test_nothing_is_torn_or_read_beyond_the_photo(preset: str, right: int) -> None:
    field = moving(right).field
    cut = borders(sitter(right).cut_out.alpha)
    assert cut.bottom is not None
    assert cut.right is not None
    assert (cut.right[0] < 300) == (right < 640)
    height, width = sitter(right).cut_out.alpha.shape
    back = np.linalg.inv(np.vstack([field.canvas.frame.affine, [0, 0, 1]]))
    for at in range(0, FRAMES, 5):
        assert field.narrowest(pose(preset, at)) > 0.5
        x, y = field.places(pose(preset, at))
        rows, columns = field.canvas.frame.size
        assert x.min() >= 0 <= y.min()
        assert x.max() <= columns - 1
        assert y.max() <= rows - 1
        photo_x = back[0, 0] * x + back[0, 1] * y + back[0, 2]
        photo_y = back[1, 0] * x + back[1, 1] * y + back[1, 2]
        beside = (cut.right[0] <= photo_y) & (photo_y <= cut.right[1])
        assert not (beside & (photo_x > width - 1)).any()
        below = (cut.bottom[0] <= photo_x) & (photo_x <= cut.bottom[1])
        assert not (below & (photo_y > height - 1)).any()


def test_a_face_turns_as_one_body() -> None:
    """Eyes and mouth move, by far less against each other than together."""
    field, points = moving().field, sitter().landmarks
    still = field.carried(points, Pose())
    turned = field.carried(points, pose("turn", 20)) - still
    assert np.abs(turned[:, 0]).min() > 2
    assert np.ptp(turned[:, 0]) < 0.5 * np.abs(turned[:, 0]).max()
    x, y = field.places(pose("turn", 20))
    for point, moved in zip(still, still + turned, strict=True):
        column, row = np.round(moved).astype(int)
        came = np.array([x[row, column], y[row, column]]) - field.canvas.margin
        assert came - (np.round(moved) - moved) == pytest.approx(point, abs=0.25)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("side", [SIDE, 160])
def test_frames_have_the_shape_and_even_sides(shape: str, side: int) -> None:
    small = Moving(sitter(), SITTING, shape, side, STUDIO)
    height, width = small.size
    assert max(small.size) <= side
    assert (height % 2, width % 2) == (0, 0)
    assert width / height == pytest.approx(SHAPES[shape][0] / SHAPES[shape][1], abs=0.02)
    first, second = small.frames("push-in", every=40)
    assert first.shape == second.shape == (height, width, 3)


def test_every_nth_frame_is_the_nth() -> None:
    few = list(moving().frames("calm", every=25))
    assert len(few) == 3
    all_of_them = moving().frames("calm")
    twenty_sixth = next(islice(all_of_them, 25, None))
    all_of_them.close()
    assert np.array_equal(twenty_sixth, few[1])


def test_what_is_not_there_is_refused() -> None:
    with pytest.raises(KeyError):
        Moving(sitter(), SITTING, "16:9", SIDE, STUDIO)
    with pytest.raises(KeyError):
        moving().frames("dance")
    narrow = sitter().cut_out
    face = replace(
        sitter(),
        cut_out=replace(narrow, colours=narrow.colours[:200], alpha=narrow.alpha[:200]),
    )
    with pytest.raises(BadOrder, match=r"moving\.no_room"):
        Moving(face, SITTING, "square", SIDE, STUDIO)


def test_colours_go_on_beyond_the_edge_and_mix_as_light_does() -> None:
    alpha = np.zeros((64, 64), np.float32)
    alpha[16:48, 16:48] = 1
    light = np.zeros((64, 64, 3), np.float32)
    light[..., 0] = 0.5 * alpha
    values = developed(light, alpha, np.zeros_like(light), GRADES["neutral"])
    assert np.ptp(values[8:56, 8:56, 0]) < 0.01
    assert layer(values, alpha)[0, 0, 3] == 0
    half = np.full((4, 4, 4), 255, np.uint8)
    half[..., 3] = 128
    black = np.zeros((4, 4, 3), np.uint8)
    assert np.abs(over(half, black).astype(int) - 188).max() <= 1  # half of white light


def test_the_key_light_passes_through_the_looks_own() -> None:
    low, own, high = (np.full((2, 2, 4), value, np.uint8) for value in (40, 100, 250))
    assert [int(between(own, (low, high), at)[0, 0, 0]) for at in (-1, 0, 1)] == [40, 100, 250]
