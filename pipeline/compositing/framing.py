"""Choose the part of a photo that becomes a portrait; `render` makes it.

A frame never shows what the camera did not see.  Beyond the photo there may be wall, but only on
sides where the person does not touch the photo's border; elsewhere the frame ends inside it, or,
below, the person fades into the wall before the photo ends.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

MOST_ENLARGED = 1.5
"""Portrait pixels per photo pixel."""

MOST_TILT = 15.0
"""Degrees by which a tilted head is straightened."""

SMALLEST_PX = 256
"""Shorter side of a portrait below which there is none."""

HEAD_PER_EYES = 3.55
"""Height of a head, crown to chin, in distances between the pupils (225 mm and 63 mm)."""

_EYES_PER_MOUTH = 0.923
"""Distance of the pupils beside that of eyes and mouth: 63 and 68 mm."""

_CROWN = 0.5
"""Eyes to crown as a share of a head's height."""

LEAST_ABOVE = 0.22
"""Head heights between the eyes and a photo's upper border that cuts the head: enough for a close
portrait, which then ends there too."""

_INSIDE = 1.5
"""Photo pixels by which a frame stays within a border that cuts the person."""


class Refusal(StrEnum):
    """Why a photo gives no portrait of a shape."""

    HEAD_CUT = "head_cut"
    NO_ROOM = "no_room"
    TOO_SMALL = "too_small"


@dataclass(frozen=True)
class Shape:
    """A portrait's proportions; lengths are shares of its height, x of its width.

    eyes: the line of the eyes from above. centre: where the head stands from the left.
    head: head heights by distance, see `DISTANCES`, times this. room: least wall above hair.
    """

    width: int
    height: int
    eyes: float = 0.40
    centre: float = 0.5
    head: float = 1.0
    room: float = 0.045


SHAPES: Mapping[str, Shape] = {
    "square": Shape(1, 1, eyes=0.42),
    "4:5": Shape(4, 5, eyes=0.39, head=0.92),
    "3:4": Shape(3, 4, eyes=0.38, head=0.88),
    "wide": Shape(16, 9, eyes=0.42, centre=0.36),
    "avatar": Shape(1, 1, eyes=0.46, head=1.02, room=0.09),
}
"""Shapes by name. "avatar" keeps the head within the circle that fits into its square."""

ALL_SHAPES: Mapping[str, Shape] = {**SHAPES, "9:16": Shape(9, 16, eyes=0.36, head=0.62)}
"""Those of portraits, and the upright one of films on telephones."""

DISTANCES: Mapping[str, float] = {"face": 0.60, "head_and_shoulders": 0.45, "half_body": 0.28}
"""Height of the head as a share of the portrait's height, by the camera's distance."""


@dataclass(frozen=True)
class Frame:
    """A part of a photo as a portrait.

    matrix: 2 x 3, photo pixels to portrait pixels (centres of pixels at whole numbers). size: H, W
    of the portrait. scale: portrait pixels per photo pixel. fade: the person fades out above the
    photo's lower border. exact: eyes and head are as the shape or the wish says.
    """

    matrix: tuple[tuple[float, float, float], tuple[float, float, float]]
    size: tuple[int, int]
    scale: float
    fade: bool
    exact: bool

    @property
    def affine(self) -> NDArray[np.float64]:
        """The matrix as an array [2, 3]."""
        return np.array(self.matrix)


@dataclass(frozen=True)
class Wish:
    """What is asked for: a key of `ALL_SHAPES` and of `DISTANCES`, the longer side in pixels,
    whether the person may fade out below, whether a wide picture has its head on the right. head:
    height of the head as `DISTANCES` have it, in the place of a distance. eyes: the line of the
    eyes in the place of the shape's; room beside and above the head is then given up before it."""

    shape: str = "square"
    distance: str = "head_and_shoulders"
    side: int = 1024
    fade: bool = False
    right: bool = False
    head: float | None = None
    eyes: float | None = None

    @property
    def share(self) -> float:
        """Height of the head as a share of the portrait's height, before the shape's factor."""
        return DISTANCES[self.distance] if self.head is None else self.head


@dataclass(frozen=True)
class _Head:
    """Where a head is: its middle at the height of the eyes (photo pixels), the rotation [2, 2]
    from photo to upright, its height, and how far hair or hat reach above the eyes, in pixels."""

    middle: NDArray[np.float64]
    turn: NDArray[np.float64]
    height: float
    above: float


def choose(
    alpha: NDArray[np.uint8], landmarks: NDArray[np.floating], wish: Wish
) -> Frame | Refusal:
    """Choose the frame nearest to a wish that shows nothing the camera did not see.

    alpha: uint8 [H, W]. landmarks: [5, 2] as `faces.Face` has them, in the photo's pixels.

    Raises:
        KeyError: no such shape or distance.
    """
    shape = ALL_SHAPES[wish.shape]
    head = _head(alpha, landmarks)
    cut = borders(alpha)
    if cut.top is not None and head.middle[1] < LEAST_ABOVE * head.height:
        return Refusal.HEAD_CUT
    ideal = head.height / (wish.share * shape.head)
    centre = 1 - shape.centre if wish.right else shape.centre
    line = shape.eyes if wish.eyes is None else wish.eyes
    # Height of the frame in photo pixels, the head's place in it: all combinations [N].
    tall, eyes, across = (
        a.ravel()
        for a in np.meshgrid(
            ideal * np.append(1.0, np.geomspace(0.4, 1.35, 57)),
            line + np.append(0.0, np.linspace(-0.16, 0.12, 29)),
            centre + np.append(0.0, np.linspace(-0.16, 0.16, 17)),
            indexing="ij",
        )
    )
    firm, room = (1.0, shape.room) if wish.eyes is None else (10.0, 0.0)
    missed = firm * (2.5 * np.abs(np.log(tall / ideal)) + 9 * np.abs(eyes - line))
    cost = missed + 5 * np.abs(across - centre)
    if cut.top is None:  # hair that the photo cuts cannot have room above it
        cost += 12 * firm * np.maximum(head.above / tall + room - eyes, 0)
    allowed = (1 - eyes) * tall > 0.62 * head.height
    allowed &= _seen(alpha.shape, head, cut, (tall, eyes, across), wish)
    cost[~allowed] = np.inf
    best = int(np.argmin(cost))
    if not np.isfinite(cost[best]):
        return Refusal.NO_ROOM
    place = (float(tall[best]), float(eyes[best]), float(across[best]))
    exact = bool((cost if wish.eyes is None else missed)[best] < 1e-9)
    return _framed(alpha.shape, head, cut, place, wish, exact=exact)


def head_share(alpha: NDArray[np.uint8], landmarks: NDArray[np.floating], frame: Frame) -> float:
    """Height of the head in a frame, as a share of the frame's height."""
    return _head(alpha, landmarks).height * frame.scale / frame.size[0]


@dataclass(frozen=True)
class Borders:
    """Where a person touches the photo's borders: first and last pixel along each, or None."""

    top: tuple[int, int] | None
    bottom: tuple[int, int] | None
    left: tuple[int, int] | None
    right: tuple[int, int] | None


def borders(alpha: NDArray[np.uint8]) -> Borders:
    """Find where the person of an alpha uint8 [H, W] is cut by the photo."""

    def reach(strip: NDArray[np.uint8], axis: int) -> tuple[int, int] | None:
        touched = np.flatnonzero(strip.max(axis=axis) > 10)
        return (int(touched[0]), int(touched[-1])) if touched.size else None

    return Borders(
        reach(alpha[:2], 0), reach(alpha[-2:], 0), reach(alpha[:, :2], 1), reach(alpha[:, -2:], 1)
    )


def _head(alpha: NDArray[np.uint8], landmarks: NDArray[np.floating]) -> _Head:
    points = np.asarray(landmarks, np.float64).reshape(5, 2)
    eyes, mouth = points[:2].mean(axis=0), points[3:].mean(axis=0)
    across = points[1] - points[0]
    tilt = np.clip(np.degrees(np.arctan2(across[1], across[0])), -MOST_TILT, MOST_TILT)
    cos, sin = np.cos(np.radians(tilt)), np.sin(np.radians(tilt))
    turn = np.array([[cos, sin], [-sin, cos]])
    apart = max(float(np.hypot(*across)), _EYES_PER_MOUTH * float(np.hypot(*(mouth - eyes))))
    height = HEAD_PER_EYES * apart
    rows, columns = np.nonzero(alpha[::4, ::4] > 100)
    upright = (np.stack([columns, rows], axis=1) * 4 - eyes) @ turn.T
    beside = upright[(np.abs(upright[:, 1]) < 0.3 * height) & (np.abs(upright[:, 0]) < height), 0]
    # A turned head, or hair on one side, has its weight beside the eyes: meet it half way.
    weight = float(np.percentile(beside, [1, 99]).mean()) if beside.size else 0.0
    aside = float(np.clip(0.5 * weight, -0.2 * height, 0.2 * height))
    middle = eyes + turn.T @ np.array([aside, 0.0])
    upright[:, 0] -= aside
    near = upright[np.abs(upright[:, 0]) < 0.55 * height]
    above = float(-near[:, 1].min()) if near.size else _CROWN * height
    return _Head(middle, turn, height, float(np.clip(above, 0.4 * height, 1.4 * height)))


def _corners(
    head: _Head, place: tuple[NDArray[np.float64], ...], ratio: float
) -> NDArray[np.float64]:
    """Corners of frames in the photo: [4, 2, N], from the upper left, clockwise."""
    tall, eyes, across = place
    wide = tall * ratio
    left, right = -across * wide, (1 - across) * wide
    top, bottom = -eyes * tall, (1 - eyes) * tall
    upright = np.array([[left, top], [right, top], [right, bottom], [left, bottom]])
    turned = np.einsum("ji,kjn->kin", head.turn, upright)
    return np.asarray(turned + head.middle[None, :, None])


def _seen(
    size: tuple[int, ...],
    head: _Head,
    cut: Borders,
    place: tuple[NDArray[np.float64], ...],
    wish: Wish,
) -> NDArray[np.bool_]:
    """Tell which frames [N] end inside every border that cuts the person within their reach."""
    ratio = ALL_SHAPES[wish.shape].width / ALL_SHAPES[wish.shape].height
    corners = _corners(head, place, ratio)
    low, high = corners.min(axis=0), corners.max(axis=0)  # [2, N]: x, y
    height, width = size
    beyond = np.full(place[0].shape, -_INSIDE)
    if wish.fade:  # only below a chest: a fade at the throat looks like a ghost
        slope = abs(float(head.turn[0, 1])) * place[0] * ratio / 2
        chest = height - 1 - head.middle[1] - slope > head.height
        beyond[chest] = 0.12 * place[0][chest]

    def clear(reach: tuple[int, int] | None, axis: int) -> NDArray[np.bool_] | bool:
        if reach is None:
            return True
        return np.asarray((high[axis] < reach[0] - _INSIDE) | (low[axis] > reach[1] + _INSIDE))

    return np.asarray(
        (clear(cut.top, 0) | (low[1] >= _INSIDE))
        & (clear(cut.bottom, 0) | (high[1] <= height - 1 + beyond))
        & (clear(cut.left, 1) | (low[0] >= _INSIDE))
        & (clear(cut.right, 1) | (high[0] <= width - 1 - _INSIDE))
    )


def _framed(
    size: tuple[int, ...],
    head: _Head,
    cut: Borders,
    place: tuple[float, float, float],
    wish: Wish,
    exact: bool,
) -> Frame | Refusal:
    shape = ALL_SHAPES[wish.shape]
    tall, eyes, across = place
    ratio = shape.width / shape.height
    most = int(MOST_ENLARGED * tall * max(1.0, ratio))
    side = min(wish.side, most)
    rows = side if ratio <= 1 else round(side / ratio)
    columns = side if ratio >= 1 else round(side * ratio)
    if min(rows, columns) < SMALLEST_PX:
        return Refusal.TOO_SMALL
    scale = rows / tall
    linear_part = head.turn * scale
    # The head's middle lands on the wished place; pixel centres are whole numbers.
    target = np.array([across * columns - 0.5, eyes * rows - 0.5])
    shift = target - linear_part @ head.middle
    matrix = tuple(
        (float(a), float(b), float(c)) for (a, b), c in zip(linear_part, shift, strict=True)
    )
    lowest = _corners(head, tuple(np.array([v]) for v in place), ratio)[:, 1].max()
    fade = wish.fade and cut.bottom is not None and bool(lowest > size[0] - 1 - _INSIDE)
    return Frame((matrix[0], matrix[1]), (rows, columns), float(scale), fade, exact)
