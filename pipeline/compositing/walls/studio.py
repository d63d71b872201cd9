"""Walls of a studio: painted canvas, seamless paper, linen, plaster, each in any colour.

Each is a reflectance times the light of one lamp before the wall.  `depth` is the depth of field
asked for, 0 (the wall is sharp) to 1 (wide open); colours are linear RGB.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from pipeline.compositing.walls.lens import Linear, defocus, vector
from pipeline.compositing.walls.noise import Field, Size, enlarged, fractal, warped

_BLUR = 0.012
"""Radius of the disc at full depth of field, as a share of the longer side."""


@dataclass(frozen=True)
class Lamp:
    """A lamp before the wall, in units of the picture's longer side, from its middle.

    x, y: where its axis meets the wall (y down). distance: from the wall; near lamps make small
    pools. floor: the light of the rest of the room, as a share of the pool's.
    """

    x: float = 0.0
    y: float = -0.05
    distance: float = 0.8
    floor: float = 0.12


def pool(size: Size, lamp: Lamp) -> Field:
    """Light of a lamp on a flat wall, 1 at its brightest: cosine law and inverse square."""
    height, width = size
    small = (max(16, height // 8), max(16, width // 8))
    y, x = np.mgrid[0 : small[0], 0 : small[1]].astype(np.float32) + 0.5
    long = max(small)
    x, y = (x - small[1] / 2) / long - lamp.x, (y - small[0] / 2) / long - lamp.y
    fall = (1 + (x * x + y * y) / lamp.distance**2) ** -2.0
    return enlarged((lamp.floor + (1 - lamp.floor) * fall).astype(np.float32), size)


def canvas(rng: np.random.Generator, size: Size, colour: Linear, depth: float) -> Linear:
    """Canvas painted by hand: clouds of paint in two tones, the brush's direction, the weave."""
    half = (-(-size[0] // 2), -(-size[1] // 2))
    long = max(half)
    clouds = fractal(rng, half, 3.0, 6, 0.6)
    drift = fractal(rng, half, 2.2, 3)
    other = fractal(rng, half, 2.6, 3)
    clouds = warped(clouds, drift, other, long * 0.035)
    strokes = warped(_strokes(rng, half), other, drift, long * 0.03)
    paint = 1 + 0.105 * np.tanh(clouds * 0.8) + 0.035 * strokes
    # The second tone is what the first coat was: a little warmer, a little darker.
    tone = 0.5 + 0.5 * np.tanh(warped(drift, clouds, other, long * 0.02))
    second = colour * vector([0.92, 0.86, 0.80]) + vector([0.004, 0.002, 0.0])
    cloth = colour + (second - colour) * (0.55 * tone)[..., None]
    lamp = Lamp(rng.uniform(-0.14, 0.14), rng.uniform(-0.12, 0.02), rng.uniform(0.62, 0.78), 0.16)
    whole = enlarged((cloth * (paint * pool(half, lamp))[..., None]).astype(np.float32), size)
    weave = fractal(rng, size, max(size) / 3.2, 2, 0.7) * (0.012 * (1 - depth))
    return defocus(whole * (1 + weave)[..., None], depth * _BLUR * max(size))


def paper(rng: np.random.Generator, size: Size, colour: Linear, depth: float) -> Linear:
    """Seamless paper: nothing but fall-off, a lamp from one side above, darker to the feet."""
    side = rng.choice([-1.0, 1.0])
    lamp = Lamp(side * rng.uniform(0.05, 0.2), rng.uniform(-0.2, -0.05), rng.uniform(0.9, 1.2), 0.2)
    light = pool(size, lamp)
    wide = cv2.resize(fractal(rng, (64, 64), 1.6, 2), size[::-1], interpolation=cv2.INTER_CUBIC)
    return np.asarray(
        (colour * (light * (1 + 0.008 * wide))[..., None]).astype(np.float32), np.float32
    )


def linen(rng: np.random.Generator, size: Size, colour: Linear, depth: float) -> Linear:
    """Hung linen: threads of uneven thickness, and the long soft folds of its own weight."""
    height, width = size
    long = max(size)
    fine = 1 - 0.85 * depth
    # The number of threads depends on the size; folds and lamp must not: a preview shows the same.
    weave = rng.spawn(1)[0]
    across = fractal(weave, (height, max(8, width // 24)), height / 2.6, 2, 0.7)
    down = fractal(weave, (max(8, height // 24), width), width / 2.6, 2, 0.7)
    threads = enlarged(across, size) + enlarged(down, size)
    slubs = fractal(weave, (height, max(8, width // 60)), height / 5, 2)
    threads = threads + 0.6 * np.maximum(enlarged(slubs, size) - 1.2, 0)
    small = (max(16, height // 8), max(16, width // 8))
    line = fractal(rng, (8, 128), 5.0, 3, 0.5)
    folds = enlarged(line, small) + 0.25 * fractal(rng, small, 2.0, 2)
    slope = cv2.GaussianBlur(np.gradient(folds, axis=1).astype(np.float32), (0, 0), long / 300)
    slope /= max(1e-6, float(slope.std()))
    relief = enlarged((1 + 0.055 * np.tanh(slope) + 0.03 * np.tanh(folds)).astype(np.float32), size)
    lamp = Lamp(rng.uniform(-0.2, 0.2), -0.08, rng.uniform(0.75, 1.0), 0.18)
    light = pool(size, lamp) * relief * (1 + 0.022 * fine * threads)
    return defocus((colour * light[..., None]).astype(np.float32), depth * _BLUR * long)


def plaster(rng: np.random.Generator, size: Size, colour: Linear, depth: float) -> Linear:
    """Trowelled plaster under a grazing lamp: relief as shading, pigment in clouds."""
    half = (-(-size[0] // 2), -(-size[1] // 2))
    long = max(half)
    drift, other = fractal(rng, half, 3.0, 2), fractal(rng, half, 3.4, 2)
    height = warped(_strokes(rng, half), drift, other, long * 0.012)
    height = 0.5 * height + 0.6 * fractal(rng, half, 12.0, 5, 0.62)
    angle = rng.uniform(-0.5, 0.5) + (0 if rng.random() < 0.5 else np.pi)
    dx, dy = cv2.Sobel(height, cv2.CV_32F, 1, 0), cv2.Sobel(height, cv2.CV_32F, 0, 1)
    slope = np.cos(angle) * dx + np.sin(angle) * dy
    slope /= max(1e-6, float(slope.std()))
    clouds = warped(fractal(rng, half, 2.4, 5, 0.55), drift, other, long * 0.04)
    stain = (1 + 0.035 * np.tanh(slope * 0.8)) * (1 + 0.07 * np.tanh(clouds))
    warm = 1 + 0.018 * other[..., None] * vector([1, 0, -1])
    from_left = 1.0 if np.cos(angle) > 0 else -1.0
    lamp = Lamp(-0.3 * from_left, -0.18, rng.uniform(0.85, 1.05), 0.2)
    painted = colour * warm * (stain * pool(half, lamp))[..., None]
    return defocus(enlarged(painted.astype(np.float32), size), depth * _BLUR * max(size))


def _strokes(rng: np.random.Generator, size: Size) -> Field:
    """Short strokes of a wide brush in two directions: noise stretched along each."""
    out = np.zeros(size, np.float32)
    long = max(size)
    for angle in (rng.uniform(20, 50), rng.uniform(110, 150)):
        side = int(long * 1.5)
        field = fractal(rng, (side, max(16, side // 7)), 44.0, 3, 0.6)
        field = cv2.resize(field, (side, side), interpolation=cv2.INTER_CUBIC)
        turn = cv2.getRotationMatrix2D((side / 2, side / 2), float(angle), 1.0)
        turn[:, 2] += np.array([size[1], size[0]]) / 2 - side / 2
        turned = cv2.warpAffine(field, turn, size[::-1], flags=cv2.INTER_LINEAR)
        out += turned * np.clip(fractal(rng, size, 5.0, 2) * 0.6 + 0.5, 0, 1)
    return out / max(1e-6, float(out.std()))


def window_light(rng: np.random.Generator, size: Size, colour: Linear, depth: float) -> Linear:
    """Make a plain wall with the light of a window on it: panes, slanted, soft at their edges."""
    small = (-(-size[0] // 2), -(-size[1] // 2))
    long = max(small)
    panes = np.zeros(small, np.float32)
    left, top = rng.uniform(-0.35, 0.0), rng.uniform(-0.1, 0.05)
    slant, wide, tall = rng.uniform(-0.32, 0.32), rng.uniform(0.36, 0.46), rng.uniform(0.4, 0.5)
    for column in range(3):
        for row in range(2):
            x, y = left + column * (wide + 0.03), top + row * (tall + 0.03)
            corners = [(x, y), (x + wide, y), (x + wide, y + tall), (x, y + tall)]
            shape = np.array([(u + slant * (v - 0.5), v + 0.22 * slant * u) for u, v in corners])
            cv2.fillConvexPoly(panes, np.round(shape * long * 16).astype(np.int32), 1.0, 16, 4)
    soft = defocus(panes[..., None].repeat(3, 2), long * rng.uniform(0.025, 0.04))[..., 0]
    leaves = np.clip(0.86 + 0.14 * fractal(rng, small, 4.0, 3, 0.5), 0.35, 1.0)
    light = 0.30 * pool(small, Lamp(0.0, -0.2, 1.3, 0.3)) + 0.80 * soft * leaves
    relief = 1 + 0.012 * fractal(rng, small, 60.0, 3, 0.7) * (1 - depth)
    warm = vector([1.0, 1.0, 1.0]) + soft[..., None] * vector([0.08, 0.0, -0.16])
    wall = colour * warm * (light * relief)[..., None]
    return defocus(enlarged(wall.astype(np.float32), size), depth * _BLUR * max(size))
