"""Rooms behind a person: office, lobby, library, bookshelf, loft, brick, window light.

A room is painted by `tracer.look`, small, since a lens will spread it anyway.  Everything that
must stay bright after that is brighter than white (windows 2 to 6, lamps up to 60).
"""

from __future__ import annotations

import numpy as np

from pipeline.compositing.walls import surfaces as of
from pipeline.compositing.walls.lens import Linear, vector
from pipeline.compositing.walls.noise import Size
from pipeline.compositing.walls.outdoors import plant
from pipeline.compositing.walls.tracer import (
    BACK,
    CEILING,
    FLOOR,
    LEFT,
    RIGHT,
    Box,
    Bulb,
    Camera,
    Room,
    look,
)

_LEATHER = ((0.13, 0.035, 0.02), (0.04, 0.06, 0.04), (0.09, 0.06, 0.03), (0.025, 0.035, 0.06),
            (0.17, 0.12, 0.07), (0.06, 0.025, 0.015), (0.2, 0.16, 0.1))  # fmt: skip
_JACKETS = ((0.55, 0.52, 0.48), (0.7, 0.68, 0.64), (0.12, 0.16, 0.22), (0.5, 0.2, 0.13),
            (0.2, 0.28, 0.27), (0.62, 0.5, 0.3), (0.08, 0.08, 0.09), (0.35, 0.4, 0.45))  # fmt: skip


def _flip(rng: np.random.Generator, scene: Linear) -> Linear:
    return np.ascontiguousarray(scene[:, ::-1]) if rng.random() < 0.5 else scene


def _lamp(at: tuple[float, float, float], half: float, light: tuple[float, float, float]) -> Box:
    """A small box that glows: a lens out of focus makes a disc of it."""
    x, y, z = at
    low, high = (x - half, y - half, z - half), (x + half, y + half, z + half)
    return Box(low, high, (1, 1, 1), light)


def office(rng: np.random.Generator, size: Size, accent: Linear | None) -> Linear:
    """See an open office: glass front on one side, light ceiling, desks far behind."""
    seed = int(rng.integers(1 << 30))
    wall = accent if accent is not None else vector([0.42, 0.42, 0.41])
    glass = {
        "wall": (0.5, 0.5, 0.5), "frame": (0.10, 0.105, 0.115), "sky": (3.2, 3.5, 3.9),
        "ground": (0.75, 0.85, 0.8), "bars": 0.05, "rows": 1, "hide": 0.34, "seed": seed,
        "start": rng.uniform(0, 1),
    }  # fmt: skip
    inner = {
        "wall": wall, "frame": (0.09, 0.09, 0.1), "sky": (0.95, 0.9, 0.8),
        "ground": (0.34, 0.29, 0.23), "bars": 0.03, "every": 3, "hide": 0.4, "seed": seed + 1,
        "start": rng.uniform(0, 2),
    }  # fmt: skip
    wood, dark = (0.34, 0.25, 0.17), (0.05, 0.05, 0.055)
    boxes = []
    for _ in range(5):
        x, z = rng.uniform(-1.2, 2.6), rng.uniform(5.5, 9.5)
        boxes.append(Box((x, -0.75, z), (x + 1.5, -0.69, z + 0.8), wood))
        boxes.append(Box((x + 0.45, -0.6, z + 0.4), (x + 1.05, -0.25, z + 0.44), dark))
    room = Room(
        left=-1.9, right=3.4, floor=-1.45, ceiling=1.5, back=11.5,
        painters={
            LEFT: of.windows(2, 1.45, (-1.3, 1.3), glass),
            RIGHT: of.planks(1, 2, wall * vector([1.0, 0.8, 0.6]), seed, 0.5),
            FLOOR: of.planks(2, 0, (0.27, 0.21, 0.15), seed, 0.5),
            CEILING: of.panels((3.4, 3.4, 3.2), (0.6, 0.6, 0.6), (1.75, 2.4), 0.13),
            BACK: of.windows(0, 1.1, (-1.3, 1.1), inner),
        },
        bulbs=[Bulb((-1.6, 0.2, z), (1.1, 1.2, 1.35)) for z in (4.0, 7.0, 10.0)]
        + [Bulb((1.5, 1.1, z), (0.8, 0.78, 0.7)) for z in (5.0, 9.0)],
        boxes=boxes, ambient=(0.34, 0.35, 0.36), mirror=0.3,
    )  # fmt: skip
    scene = look(room, Camera(rng.uniform(-0.06, 0.16), rng.uniform(-0.03, 0.02)), size)
    for x in rng.uniform((0.02, 0.3, 0.7), (0.25, 0.7, 0.98)):
        plant(scene, rng, float(x), float(rng.uniform(0.66, 0.8)), float(rng.uniform(0.12, 0.3)))
    return _flip(rng, scene)


def lobby(rng: np.random.Generator, size: Size, accent: Linear | None) -> Linear:
    """See a tall lobby: walnut panels, a lit cove, stone that shines, downlights."""
    seed = int(rng.integers(1 << 30))
    wood = accent if accent is not None else vector([0.20, 0.125, 0.075])
    doors = {
        "wall": (0.4, 0.38, 0.35), "frame": (0.06, 0.055, 0.05), "sky": (1.5, 1.45, 1.35),
        "ground": (0.55, 0.5, 0.42), "bars": 0.05, "every": 4, "hide": 0.35, "seed": seed,
    }  # fmt: skip
    spots = [_lamp((x, 1.88, z), 0.045, (44.0, 34.0, 22.0))
             for x in (-1.6, 0.1, 1.8) for z in (4.5, 6.5, 8.5, 10.5)]  # fmt: skip
    cove = Box((-2.62, 1.3, 2.0), (-2.5, 1.36, 12.0), (1, 1, 1), (5.0, 3.7, 2.2))
    desk = Box((-1.5, -1.45, 8.6), (1.2, -0.35, 9.3), (0.42, 0.4, 0.37))
    strip = Box((-1.5, -0.42, 8.56), (1.2, -0.38, 8.6), (1, 1, 1), (4.0, 3.0, 1.8))
    room = Room(
        left=-2.6, right=3.2, floor=-1.5, ceiling=1.95, back=12.0,
        painters={
            LEFT: of.planks(1, 2, wood, seed, 0.34),
            RIGHT: of.windows(2, 1.7, (-1.4, 1.6), doors | {"sky": (2.3, 2.35, 2.4), "every": 3}),
            FLOOR: of.planks(2, 0, (0.36, 0.33, 0.3), seed + 1, 1.2),
            CEILING: of.plain((0.5, 0.48, 0.45)), BACK: of.windows(0, 1.2, (-1.4, 0.9), doors),
        },
        bulbs=[Bulb((-2.2, 1.2, z), (1.3, 0.95, 0.6)) for z in (4.0, 7.0, 10.0)]
        + [Bulb((2.8, 0.3, 6.0), (2.2, 2.2, 2.3))],
        boxes=[*spots, cove, desk, strip], ambient=(0.2, 0.18, 0.16), mirror=0.55,
    )  # fmt: skip
    return _flip(rng, look(room, Camera(rng.uniform(-0.1, 0.08), 0.02, 0.40), size))


def library(rng: np.random.Generator, size: Size, accent: Linear | None) -> Linear:
    """See an old library: leather spines on dark wood, a corner, brass lamps."""
    seed = int(rng.integers(1 << 30))
    wood = accent if accent is not None else vector([0.105, 0.05, 0.024])
    case = {"wood": wood, "dark": wood * 0.16, "pitch": 0.37, "bay": 0.98, "book": 0.042}
    lamps = [(-1.0, -0.1, 3.5), (1.6, 0.42, 3.75)]
    boxes = [_lamp((x, y + 0.11, z), 0.13, (3.6, 2.2, 0.95)) for x, y, z in lamps]
    boxes += [Box((-1.9, -1.5, 3.2), (-0.3, -0.6, 3.85), (0.09, 0.045, 0.022))]
    room = Room(
        left=-2.1, right=2.6, floor=-1.5, ceiling=2.2, back=4.1,
        painters={
            LEFT: of.shelves(2, _LEATHER, case | {"seed": seed}),
            RIGHT: of.shelves(2, _LEATHER, case | {"seed": seed + 1}),
            BACK: of.shelves(0, _LEATHER, case | {"seed": seed + 2}),
            FLOOR: of.planks(2, 0, (0.12, 0.06, 0.03), seed), CEILING: of.plain((0.12, 0.08, 0.05)),
        },
        bulbs=[Bulb((x, y + 0.1, z - 0.45), (1.9, 1.3, 0.72)) for x, y, z in lamps]
        + [Bulb((0.6, 1.9, 2.2), (1.5, 1.2, 0.85))],
        boxes=boxes, ambient=(0.13, 0.10, 0.075), mirror=0.1,
    )  # fmt: skip
    yaw = rng.choice([-1.0, 1.0]) * rng.uniform(0.16, 0.34)
    return _flip(rng, look(room, Camera(float(yaw), 0.02, 0.36), size))


def bookshelf(rng: np.random.Generator, size: Size, accent: Linear | None) -> Linear:
    """See a bright study: pale shelves with books and gaps, a window's light from one side."""
    seed = int(rng.integers(1 << 30))
    pale = accent if accent is not None else vector([0.64, 0.6, 0.54])
    case = {"wood": pale, "dark": pale * 0.5, "pitch": 0.4, "bay": 0.9, "book": 0.036, "full": 0.72}
    glass = {
        "wall": (0.6, 0.58, 0.55), "frame": (0.65, 0.65, 0.64), "sky": (3.0, 3.1, 3.2),
        "ground": (0.9, 1.1, 0.75), "bars": 0.05, "rows": 2, "every": 3, "hide": 0.3, "seed": seed,
    }  # fmt: skip
    room = Room(
        left=-1.9, right=2.9, floor=-1.45, ceiling=1.7, back=3.8,
        painters={
            LEFT: of.windows(2, 1.0, (-0.6, 1.4), glass), RIGHT: of.plain((0.55, 0.53, 0.5)),
            BACK: of.shelves(0, _JACKETS, case | {"seed": seed}),
            FLOOR: of.planks(2, 0, (0.3, 0.21, 0.13), seed), CEILING: of.plain((0.7, 0.7, 0.69)),
        },
        bulbs=[Bulb((-1.6, 0.5, z), (3.0, 2.95, 2.8)) for z in (1.2, 2.6)],
        ambient=(0.46, 0.44, 0.41), mirror=0.1,
    )  # fmt: skip
    return _flip(rng, look(room, Camera(rng.uniform(-0.16, 0.1), 0.0, 0.38), size))


def loft(rng: np.random.Generator, size: Size, accent: Linear | None) -> Linear:
    """See a loft: brick, steel windows, bulbs on cords, an old wooden floor."""
    seed = int(rng.integers(1 << 30))
    brick = accent if accent is not None else vector([0.26, 0.115, 0.07])
    steel = {
        "wall": brick, "frame": (0.025, 0.027, 0.03), "sky": (2.6, 2.75, 2.9),
        "ground": (0.8, 0.85, 0.8), "bars": 0.035, "rows": 5, "every": 5, "hide": 0.3,
        "seed": seed, "start": rng.uniform(0, 2),
    }  # fmt: skip
    bulbs = [
        (rng.uniform(-1.6, 2.4), rng.uniform(0.5, 1.1), rng.uniform(4.5, 7.5)) for _ in range(6)
    ]
    globes = [_lamp(at, 0.03, (90.0, 54.0, 21.0)) for at in bulbs]
    sofa = Box((0.3, -1.45, 6.2), (2.6, -0.75, 7.1), (0.10, 0.065, 0.045))
    room = Room(
        left=-2.4, right=3.0, floor=-1.45, ceiling=2.1, back=8.5,
        painters={
            LEFT: of.windows(2, 0.55, (-0.7, 1.7), steel), RIGHT: of.bricks(2, brick, seed),
            BACK: of.bricks(0, brick, seed + 1), FLOOR: of.planks(2, 0, (0.2, 0.12, 0.07), seed),
            CEILING: of.planks(0, 2, (0.11, 0.08, 0.06), seed, 0.5),
        },
        bulbs=[Bulb((-2.0, 0.6, z), (1.9, 2.0, 2.1)) for z in (3.5, 6.0, 8.0)]
        + [Bulb((x, y, z - 0.2), (0.5, 0.32, 0.15)) for x, y, z in bulbs[:3]],
        boxes=[*globes, sofa], ambient=(0.2, 0.19, 0.18), mirror=0.25,
    )  # fmt: skip
    return _flip(rng, look(room, Camera(rng.uniform(-0.12, 0.12), 0.0, 0.42), size))


def brick(rng: np.random.Generator, size: Size, accent: Linear | None) -> Linear:
    """See an old brick wall close behind, the sun's side and the shaded side."""
    seed = int(rng.integers(1 << 30))
    clay = accent if accent is not None else vector([0.27, 0.13, 0.085])
    room = Room(
        left=-4.0, right=4.0, floor=-1.6, ceiling=3.0, back=3.0,
        painters={
            LEFT: of.bricks(2, clay, seed), RIGHT: of.bricks(2, clay, seed + 1),
            BACK: of.bricks(0, clay, seed + 2, 0.3), FLOOR: of.plain((0.2, 0.19, 0.18)),
            CEILING: of.plain((0.2, 0.2, 0.2)),
        },
        bulbs=[Bulb((-2.0, 0.9, 1.4), (3.6, 3.4, 3.1))], ambient=(0.34, 0.35, 0.38),
    )  # fmt: skip
    return _flip(rng, look(room, Camera(rng.uniform(-0.3, 0.3), 0.0, 0.34), size))
