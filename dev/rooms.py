"""Busy rooms to set a person before: painted ones, and walls taken out of other photos.

Everything is uint8 RGB [H, W, 3] and follows from the random generator alone.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]


def painted(rng: np.random.Generator, height: int, width: int) -> Picture:
    """Paint a room of a random kind, more or less out of focus."""
    paint = _KINDS[int(rng.integers(len(_KINDS)))]
    side = 320
    room = cv2.resize(paint(rng, side), (width, height), interpolation=cv2.INTER_CUBIC)
    return _out_of_focus(rng, _lit(rng, room))


def taken(
    rng: np.random.Generator, photo: Picture, mask: NDArray[np.uint8], height: int, width: int
) -> Picture | None:
    """Take the wall beside a person (mask: uint8 [H, W], 255 = person) and fill a picture with it.

    The wall is mirrored until it fills the picture; None where less than a ninth is free.
    """
    free = (cv2.dilate(mask, np.ones((5, 5))) < 12).astype(np.uint8)
    best = max((_free_strip(free, side) for side in ("left", "right")), key=lambda s: s[0])
    area, (top, bottom, left, right) = best
    if area < free.size / 9 or min(bottom - top, right - left) < 0.12 * min(free.shape):
        return None
    piece = photo[top:bottom, left:right]
    wide = np.hstack([piece, piece[:, ::-1]])
    while wide.shape[1] < 0.9 * wide.shape[0]:
        wide = np.hstack([wide, wide])
    flip = wide if rng.random() < 0.5 else wide[:, ::-1]
    room = cv2.resize(flip, (width, height), interpolation=cv2.INTER_AREA)
    return _out_of_focus(rng, _lit(rng, room), most=0.006)


def _free_strip(free: NDArray[np.uint8], side: str) -> tuple[int, tuple[int, int, int, int]]:
    """The largest free rectangle at one side: its area and (top, bottom, left, right)."""
    seen = free if side == "left" else free[:, ::-1]
    height, width = seen.shape
    runs = np.where(seen.all(axis=1), width, np.argmin(seen, axis=1))
    lowest = np.minimum.accumulate(runs)  # width that is free from the top down to each row
    areas = lowest * np.arange(1, height + 1)
    row = int(np.argmax(areas))
    reach = int(lowest[row])
    span = (0, reach) if side == "left" else (width - reach, width)
    return int(areas[row]), (0, row + 1, *span)


def _lit(rng: np.random.Generator, room: Picture) -> Picture:
    """Another exposure, contrast and colour of light."""
    ink = (room / 255.0) ** rng.uniform(0.6, 1.6)
    ink = ink * rng.uniform(0.7, 1.15) * rng.uniform(0.88, 1.12, 3)
    return np.asarray(np.clip(ink * 255, 0, 255), np.uint8)


def _out_of_focus(rng: np.random.Generator, room: Picture, most: float = 0.02) -> Picture:
    """Blurred by up to `most` of the long side, with a little noise."""
    sigma = float(rng.uniform(0, most)) * max(room.shape[:2])
    soft = cv2.GaussianBlur(room, (0, 0), sigma) if sigma > 0.4 else room
    noisy = soft + rng.normal(0, rng.uniform(0, 4), (*soft.shape[:2], 1))
    return np.asarray(np.clip(noisy, 0, 255), np.uint8)


def _colour(rng: np.random.Generator) -> tuple[int, int, int]:
    """A colour as rooms have them: mostly dull, now and then strong."""
    grey = rng.uniform(15, 240)
    spread = rng.choice([12.0, 30.0, 90.0], p=[0.45, 0.35, 0.2])
    red, green, blue = np.clip(grey + rng.normal(0, spread, 3), 0, 255)
    return int(red), int(green), int(blue)


def _shelves(rng: np.random.Generator, side: int) -> Picture:
    room = np.full((side, side, 3), _colour(rng), np.uint8)
    step = int(rng.integers(side // 7, side // 3))
    for top in range(int(rng.integers(-step, 0)), side, step):
        x = 0
        while x < side:
            wide = int(rng.integers(4, max(6, side // 16)))
            high = int(step * rng.uniform(0.55, 0.92))
            cv2.rectangle(room, (x, top + step - high), (x + wide, top + step), _colour(rng), -1)
            x += wide + int(rng.integers(0, 3))
        cv2.rectangle(room, (0, top + step), (side, top + step + step // 12), _colour(rng), -1)
    return room


def _windows(rng: np.random.Generator, side: int) -> Picture:
    room = np.full((side, side, 3), _colour(rng), np.uint8)
    for _ in range(int(rng.integers(1, 6))):
        left, top = (int(v) for v in rng.integers(-side // 8, side, 2))
        wide, high = (int(v) for v in rng.integers(side // 8, side // 2, 2))
        pane = tuple(int(v) for v in np.clip(rng.normal(225, 25, 3), 0, 255))
        cv2.rectangle(room, (left, top), (left + wide, top + high), pane, -1)
        cv2.rectangle(
            room, (left, top), (left + wide, top + high), _colour(rng), int(rng.integers(2, 9))
        )
        for cut in range(1, int(rng.integers(1, 5))):
            x = left + wide * cut // 5
            cv2.line(room, (x, top), (x, top + high), _colour(rng), int(rng.integers(1, 5)))
    return room


def _lamps(rng: np.random.Generator, side: int) -> Picture:
    room = np.full((side, side, 3), _colour(rng), np.uint8)
    for _ in range(int(rng.integers(15, 90))):
        centre = (int(rng.integers(side)), int(rng.integers(side)))
        cv2.circle(room, centre, int(rng.integers(2, side // 12)), _colour(rng), -1)
    return room


def _leaves(rng: np.random.Generator, side: int) -> Picture:
    room = np.full((side, side, 3), _colour(rng), np.uint8)
    base = np.array(_colour(rng), float)
    for _ in range(int(rng.integers(200, 700))):
        centre = (int(rng.integers(side)), int(rng.integers(side)))
        axes = (int(rng.integers(3, side // 14)), int(rng.integers(1, side // 24)))
        leaf = tuple(int(v) for v in np.clip(base * rng.uniform(0.3, 1.5), 0, 255))
        cv2.ellipse(room, centre, axes, float(rng.uniform(0, 180)), 0, 360, leaf, -1)
    return room


def _clutter(rng: np.random.Generator, side: int) -> Picture:
    room = np.full((side, side, 3), _colour(rng), np.uint8)
    for _ in range(int(rng.integers(10, 60))):
        corners = rng.integers(0, side, 2) + rng.integers(-side // 4, side // 4, (4, 2))
        cv2.fillConvexPoly(room, cv2.convexHull(corners.astype(np.int32)), _colour(rng))
    for _ in range(int(rng.integers(0, 30))):
        ends = rng.integers(0, side, 4)
        cv2.line(room, ends[:2].tolist(), ends[2:].tolist(), _colour(rng), int(rng.integers(1, 6)))
    return room


def _cloud(rng: np.random.Generator, side: int) -> Picture:
    room = np.zeros((side, side, 3), np.float32) + np.array(_colour(rng), np.float32)
    for cells in (3, 6, 12, 25, 50, 100):
        layer = rng.normal(0, 22, (cells, cells, 1)) + rng.normal(0, 8, (cells, cells, 3))
        room += cv2.resize(layer.astype(np.float32), (side, side), interpolation=cv2.INTER_CUBIC)
    return np.asarray(np.clip(room, 0, 255), np.uint8)


_KINDS: tuple[Callable[[np.random.Generator, int], Picture], ...] = (
    _shelves,
    _windows,
    _lamps,
    _leaves,
    _clutter,
    _cloud,
)
