"""Shapes are cut around the face: exact, never beyond the picture, never through the face."""

from __future__ import annotations

from hypothesis import assume, given
from hypothesis import strategies as some

from pipeline.portraits.frames import AS_MADE, SHAPES, can_cut, shaped
from pipeline.portraits.style import CROPS

SIDES = some.integers(200, 1600)
SHARES = some.floats(0.05, 0.95)


@given(SIDES, SIDES, some.sampled_from(sorted(CROPS)), some.tuples(SHARES, SHARES, SHARES, SHARES))
def test_a_cut_is_exact_and_keeps_the_whole_face(
    width: int, height: int, shape: str, face: tuple[float, float, float, float]
) -> None:
    face = (face[0] * (1 - face[2]), face[1] * (1 - face[3]), face[2], face[3])  # in the picture
    (left, top, right, bottom), (x, y, wide, high) = shaped((width, height), shape, face)
    assert 0 <= left < right <= width
    assert 0 <= top < bottom <= height
    if not can_cut((width, height), shape, face):
        assert (left, top, right, bottom) == (0, 0, width, height)
        return
    ratio = CROPS[shape][0] / CROPS[shape][1]
    assert abs((right - left) - (bottom - top) * ratio) <= 1
    # As large as can be: one side is the picture's own.
    assert right - left == width or bottom - top == height
    pixel = 1 / min(right - left, bottom - top)
    assert -pixel <= x <= x + wide <= 1 + pixel
    assert -pixel <= y <= y + high <= 1 + pixel
    # The same face, told in shares of another picture.
    assert abs(left + x * (right - left) - face[0] * width) < 1e-6
    assert abs(top + y * (bottom - top) - face[1] * height) < 1e-6
    assert abs(high * (bottom - top) - face[3] * height) < 1e-6


@given(SIDES, SIDES, some.sampled_from(SHAPES), SHARES)
def test_a_face_in_the_middle_is_in_the_middle_of_a_cut(
    width: int, height: int, shape: str, size: float
) -> None:
    assume(can_cut((width, height), shape, (0, 0, size / 2, size / 2)))
    face = (0.5 - size / 4, 0.5 - size / 4, size / 2, size / 2)
    (left, _, right, _), _ = shaped((width, height), shape, face)
    assert abs((left + right) - width) <= 2


def test_what_is_as_it_was_made_is_never_cut() -> None:
    assert not can_cut((900, 300), AS_MADE, None)
    assert shaped((900, 300), AS_MADE, (0.1, 0.2, 0.3, 0.4)) == (
        (0, 0, 900, 300),
        (0.1, 0.2, 0.3, 0.4),
    )


def test_a_face_that_a_cut_has_no_room_for_leaves_the_portrait_whole() -> None:
    wide = (0.05, 0.1, 0.8, 0.8)
    assert not can_cut((1600, 900), "3:4", wide)
    assert shaped((1600, 900), "3:4", wide) == ((0, 0, 1600, 900), wide)
    assert can_cut((1600, 900), "3:4", (0.3, 0.2, 0.3, 0.6))
