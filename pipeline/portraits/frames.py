"""Which part of a portrait is shown: shapes, squares and the frame of a CV photo, around the face.

A frame only cuts: it lies within the picture. Faces are left, top, width, height as shares of the
picture; frames are left, top, right, bottom in its pixels.
"""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.portraits.style import CROPS

AS_MADE = "made"

SHAPES = (AS_MADE, *CROPS)

CV_PX = (413, 531)
"""35 x 45 mm at 300 dpi."""

USUAL_FACE = (0.3, 0.2, 0.4, 0.45)
"""Of portraits whose record has no box."""

# A passport-like frame: the detector's box (forehead to chin) fills half of its height, and its
# middle lies a little above the frame's.
_CV_FACE_HEIGHT = 0.5
_FACE_MIDDLE = 0.45
# Share of a frame's width and height that a face may fill; a larger one would touch its border.
_MOST_FACE = 2 * _FACE_MIDDLE

Box = tuple[int, int, int, int]


def shaped(
    px: tuple[int, int], shape: str, face: Sequence[float] | None
) -> tuple[Box, tuple[float, ...]]:
    """The part of a picture, `px` wide and high, that has a shape of `SHAPES`; the face in it.

    A picture that the face leaves no room to cut stays whole.
    """
    face = face or USUAL_FACE
    if not can_cut(px, shape, face):
        return (0, 0, *px), tuple(face)
    left, top, right, bottom = frame = around(px, CROPS[shape], face)
    wide, high = right - left, bottom - top
    return frame, (
        (face[0] * px[0] - left) / wide,
        (face[1] * px[1] - top) / high,
        face[2] * px[0] / wide,
        face[3] * px[1] / high,
    )


def can_cut(px: tuple[int, int], shape: str, face: Sequence[float] | None) -> bool:
    """Whether a picture can be cut to a shape with the whole face in it; never to `AS_MADE`."""
    if shape == AS_MADE:
        return False
    return has_room(px, CROPS[shape], face or USUAL_FACE)


def has_room(px: tuple[int, int], ratio: tuple[int, int], face: Sequence[float]) -> bool:
    """Whether the largest part of a picture with a ratio of width to height has the whole face."""
    return all(
        share * side <= _MOST_FACE * rest
        for share, side, rest in zip(face[2:], px, _largest(px, ratio), strict=True)
    )


def around(px: tuple[int, int], ratio: tuple[int, int], face: Sequence[float]) -> Box:
    """The largest part of a picture with a ratio of width to height, around a face."""
    wide, high = _largest(px, ratio)
    left = round((face[0] + face[2] / 2) * px[0] - wide / 2)
    top = round((face[1] + face[3] / 2) * px[1] - high * _FACE_MIDDLE)
    left, top = min(max(left, 0), px[0] - wide), min(max(top, 0), px[1] - high)
    return left, top, left + wide, top + high


def cv_frame(width: int, height: int, face: Sequence[float]) -> tuple[float, float, float, float]:
    """The 35 : 45 part of a picture around a face, in fractions of pixels."""
    left, top, face_width, face_height = face
    ratio = CV_PX[0] / CV_PX[1]
    tall = min(face_height * height / _CV_FACE_HEIGHT, height, width / ratio)
    wide = tall * ratio
    x = (left + face_width / 2) * width - wide / 2
    y = (top + face_height / 2) * height - tall * _FACE_MIDDLE
    x = min(max(x, 0.0), width - wide)
    y = min(max(y, 0.0), height - tall)
    return x, y, x + wide, y + tall


def _largest(px: tuple[int, int], ratio: tuple[int, int]) -> tuple[int, int]:
    """Width and height of the largest part with a ratio, exact to a pixel."""
    scale = min(px[0] / ratio[0], px[1] / ratio[1])
    return round(scale * ratio[0]), round(scale * ratio[1])
