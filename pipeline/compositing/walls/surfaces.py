"""Painters of a room's surfaces: windows, shelves, bricks, planks, panels.

Each maker returns a function of points [N, 3] in metres, see `tracer.Painter`.  `along` is the
axis (0 = x, 2 = z) that runs along the wall.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from pipeline.compositing.walls.lens import Linear, vector
from pipeline.compositing.walls.tracer import Painter, Vectors

Colour = Sequence[float] | Linear
_TABLE = 512
"""Entries of the tables that give every book or brick its own colour."""


def plain(colour: Colour) -> Painter:
    """One paint."""
    reflectance = vector(colour)
    return lambda points: (reflectance, 0.0)


def windows(
    along: int, pane: float, heights: tuple[float, float], style: dict[str, Any]
) -> Painter:
    """Make a row of windows.

    pane: width of one in metres. heights: sill and lintel. style: `wall` and `frame` colours,
    `sky` and `ground` linear RGB, `bars` metres of frame, `rows` panes above each other, `every`
    n-th pane is wall (0 none), `hide` share of the view that trees and houses cover, `start`.
    """
    wall, frame = vector(style["wall"]), vector(style["frame"])
    sky, ground = vector(style["sky"]), vector(style["ground"])
    bars, rows = style.get("bars", 0.07), style.get("rows", 1)
    every, start = style.get("every", 0), style.get("start", 0.0)
    table = np.random.default_rng(style.get("seed", 0)).uniform(0, 1, _TABLE).astype(np.float32)

    def paint(points: Vectors) -> tuple[Any, Any]:
        u, v = points[:, along] - start, points[:, 1]
        number = np.floor(u / pane).astype(np.int64)
        inside = (u / pane - number) * pane
        share = (v - heights[0]) / (heights[1] - heights[0])
        row = (share * rows) % 1.0 * (heights[1] - heights[0]) / rows
        glass = (share > 0) & (share < 1) & (inside > bars) & (inside < pane - bars)
        glass &= (row > bars * 0.5) & (row < (heights[1] - heights[0]) / rows - bars * 0.5)
        opening = (share > -0.02) & (share < 1.02)
        if every:
            glass &= number % every != 0
            opening &= number % every != 0
        skyline = style.get("hide", 0.3) * (0.55 + 0.9 * _smooth(table, u * 0.9))
        tall = np.clip((share - skyline) * 4 + 0.5, 0, 1)
        outside = ground + (sky - ground) * tall[:, None]
        outside = outside * (0.85 + 0.3 * _smooth(table, u * 0.37 + 91))[:, None]
        colour = np.where(opening[:, None], frame, wall)
        own = np.where(glass[:, None], outside, 0)
        return np.where(glass[:, None], np.float32(0.02), colour), own

    return paint


def shelves(along: int, spines: Sequence[Colour], style: dict[str, Any]) -> Painter:
    """Make a wall of books: boards, uprights, spines of uneven height and width, gaps.

    style: `wood` and `dark` colours, `pitch` metres from board to board, `bay` metres from
    upright to upright, `book` metres of a usual spine, `full` share of places that hold a book,
    `seed`.
    """
    rng = np.random.default_rng(style.get("seed", 0))
    palette = vector(spines)[rng.integers(len(spines), size=_TABLE)]
    palette = palette * rng.uniform(0.55, 1.45, (_TABLE, 1)).astype(np.float32)
    tall = rng.uniform(0.58, 0.92, _TABLE).astype(np.float32)
    there = rng.uniform(0, 1, _TABLE) < style.get("full", 0.93)
    edges = np.cumsum(rng.uniform(0.5, 1.7, 2048)).astype(np.float32) * style.get("book", 0.04)
    shift = rng.uniform(0, edges[-1] * 0.5, 64)
    wood, dark = vector(style["wood"]), vector(style["dark"])
    pitch, bay = style.get("pitch", 0.36), style.get("bay", 0.95)

    def paint(points: Vectors) -> tuple[Any, Any]:
        u, v = points[:, along] + 50, points[:, 1] + 10
        row = np.floor(v / pitch).astype(np.int64)
        column = np.floor(u / bay).astype(np.int64)
        height, across = v / pitch - row, u - column * bay
        book = np.searchsorted(edges, (u + shift[row % 64]) % edges[-1])
        place = (book * 7 + row * 131) % _TABLE
        # Whole runs of a shelf are empty or hold one set of volumes.
        run = (column * 17 + row * 29 + (across > bay * 0.6) * 11) % _TABLE
        same = (tall[run] > 0.82)[:, None]
        colour = np.where(same, palette[run], palette[place])
        high = np.where(same[:, 0], tall[run], tall[place])
        solid = there[place] & there[run] & (height < high) & (height > 0.07)
        shade = np.clip(1.15 - 0.75 * np.maximum(height - 0.55, 0) / 0.45, 0.3, 1)
        colour = np.where(solid[:, None], colour, dark) * shade[:, None]
        board = (height < 0.07) | (across < 0.035)
        return np.where(board[:, None], wood, colour), 0.0

    return paint


def bricks(along: int, colour: Colour, seed: int, worn: float = 0.25) -> Painter:
    """Make a wall of bricks, 24 by 7.5 cm, each of its own firing; `worn` share is whitewashed."""
    rng = np.random.default_rng(seed)
    tone = rng.normal(1, 0.2, (_TABLE, 1)) * (1 + rng.normal(0, 0.07, (_TABLE, 3)))
    fired = (vector(colour) * np.clip(tone, 0.4, 1.7)).astype(np.float32)
    pale = rng.uniform(0, 1, _TABLE) < worn
    fired[pale] = 0.6 * fired[pale] + 0.4 * vector([0.42, 0.38, 0.34])
    mortar = vector([0.36, 0.33, 0.3]) * 0.8
    table = rng.uniform(0, 1, _TABLE).astype(np.float32)

    def paint(points: Vectors) -> tuple[Any, Any]:
        u, v = points[:, along] + 50, points[:, 1] + 10
        row = np.floor(v / 0.075).astype(np.int64)
        x = u / 0.24 + 0.5 * (row % 2)
        number = np.floor(x).astype(np.int64)
        joint = (v / 0.075 - row < 0.13) | (x - number < 0.045)
        cloud = 0.8 + 0.4 * _smooth(table, u * 0.8 + 13 * _smooth(table, v * 0.9))
        brick = fired[(number * 37 + row * 101) % _TABLE] * cloud[:, None]
        return np.where(joint[:, None], mortar * cloud[:, None], brick), 0.0

    return paint


def planks(along: int, across: int, colour: Colour, seed: int, width: float = 0.18) -> Painter:
    """Make boards: a floor (axes 2, 0) or a panelled wall (1, along)."""
    rng = np.random.default_rng(seed)
    tone = vector(colour) * rng.normal(1, 0.14, (_TABLE, 1)).astype(np.float32)

    def paint(points: Vectors) -> tuple[Any, Any]:
        place = points[:, across] / width + 100
        number = np.floor(place).astype(np.int64)
        end = np.floor(points[:, along] / 1.9 + 0.37 * (number % 5)).astype(np.int64)
        gap = (place - number < 0.05)[:, None]
        return tone[(number * 53 + end * 17) % _TABLE] * np.where(gap, np.float32(0.4), 1), 0.0

    return paint


def panels(light: Colour, colour: Colour, spacing: tuple[float, float], share: float) -> Painter:
    """Make a ceiling with rows of lit panels: spacing along x and z in metres."""
    glow, paint_colour = vector(light), vector(colour)

    def paint(points: Vectors) -> tuple[Any, Any]:
        x = (points[:, 0] / spacing[0]) % 1.0
        z = (points[:, 2] / spacing[1]) % 1.0
        lit = (np.abs(x - 0.5) < share * 0.5) & (np.abs(z - 0.5) < 0.36)
        return paint_colour, np.where(lit[:, None], glow, 0)

    return paint


def _smooth(table: Any, at: Any) -> Any:
    """Read noise 0..1 from a table, eased between its entries."""
    whole = np.floor(at).astype(np.int64)
    t = at - whole
    t = t * t * (3 - 2 * t)
    return table[whole % _TABLE] * (1 - t) + table[(whole + 1) % _TABLE] * t
