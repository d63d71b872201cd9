"""What has no box around it: a garden, a terrace of trees, a city at dusk and at night, plants.

Scenes are float32 [H, W, 3] linear light, before the lens; `lights` come after it, as discs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from pipeline.compositing.walls.lens import Linear, vector
from pipeline.compositing.walls.noise import Size, enlarged, fractal, warped

_LEAVES = np.array(
    [[0.022, 0.05, 0.014], [0.05, 0.105, 0.022], [0.11, 0.19, 0.035], [0.21, 0.29, 0.06],
     [0.03, 0.06, 0.03]],
    np.float32,
)  # fmt: skip


@dataclass(frozen=True)
class Light:
    """A lamp far behind: x, y as shares of width and height; disc size beside the usual one."""

    x: float
    y: float
    colour: tuple[float, float, float]
    size: float = 1.0


def garden(rng: np.random.Generator, size: Size, accent: Linear | None) -> Linear:
    """See trees and hedges in the afternoon: masses of leaves, sun between them, a lawn below."""
    height, width = size
    y = np.linspace(0, 1, height, dtype=np.float32)[:, None]
    masses = warped(fractal(rng, size, 3.2, 4, 0.6), *_drift(rng, size), width * 0.03)
    fine = fractal(rng, size, 34.0, 3, 0.7)
    sun = np.clip(0.5 + 0.55 * fractal(rng, size, 2.1, 2) + 0.25 * masses, 0, 1.6)
    tone = np.clip(1.7 + 0.85 * masses + 0.55 * fine, 0, 3)
    lower = np.minimum(tone.astype(np.int64), 2)
    part = (tone - lower)[..., None]
    scene = _LEAVES[lower] * (1 - part) + _LEAVES[lower + 1] * part
    scene *= (0.35 + 1.5 * sun)[..., None] * vector([1.06, 1.0, 0.82])
    lawn = np.clip((y - rng.uniform(0.66, 0.8)) * 9 + 0.35 * masses, 0, 1)[..., None]
    grass = vector([0.17, 0.25, 0.055]) * (0.5 + 0.7 * sun[..., None])
    scene = scene * (1 - lawn) + grass * lawn
    for _ in range(int(rng.integers(2, 5))):
        x, thick = rng.uniform(-0.1, 1.1) * width, rng.uniform(0.012, 0.045) * width
        trunk = np.array([[x, -9], [x + thick, -9], [x + thick * 1.3, height * 0.75],
                          [x - thick * 0.3, height * 0.75]], np.int32)  # fmt: skip
        bark = vector([0.045, 0.035, 0.024]) * rng.uniform(0.6, 2.2)
        cv2.fillConvexPoly(scene, trunk, tuple(map(float, bark)))
    # Sky shows where the crowns are thin, and more so towards the top.
    gaps = np.clip((fractal(rng, size, 22.0, 3, 0.7) - 1.35 - 2.2 * (y - 0.1)) * 3, 0, 1)
    sky = vector([1.5, 1.6, 1.35]) if accent is None else accent * 2.4
    scene = scene + gaps[..., None] * (sky - scene)
    return np.asarray(scene.astype(np.float32), np.float32)


def garden_lights(rng: np.random.Generator) -> list[Light]:
    """Glints of sun on leaves."""
    lights = []
    for _ in range(110):
        power = float(rng.lognormal(-2.9, 0.7))
        warm = rng.uniform(0.35, 0.8)
        colour = (power, power * 1.02, power * warm)
        x, y = float(rng.uniform(-0.03, 1.03)), float(rng.beta(1.3, 2.4))
        lights.append(Light(x, y, colour, float(rng.uniform(0.55, 1.05))))
    return lights


def city(
    rng: np.random.Generator, size: Size, sky: Sequence[Sequence[float]], haze: float
) -> Linear:
    """See towers before a sky from a high window. sky: top, middle, horizon; haze: 0..1."""
    height, width = size
    stops = vector(sky)
    y = np.linspace(0, 1, height, dtype=np.float32)
    column = np.stack([np.interp(y, (0, 0.38, 0.66), stops[:, c]) for c in range(3)], -1)
    scene = np.repeat(column[:, None].astype(np.float32), width, axis=1)
    clouds = np.clip(fractal(rng, (height, max(8, width // 3)), 6.0, 4), 0, 2)
    scene *= 1 + 0.12 * enlarged(clouds, size)[..., None]
    near = vector([0.016, 0.018, 0.026])
    for layer, far in enumerate((0.75, 0.45, 0.1)):
        x = -rng.uniform(0, 0.1)
        while x < 1:
            wide = rng.uniform(0.06, 0.16) * (0.7 + 0.3 * layer)
            top = rng.uniform(0.30, 0.58) + 0.07 * layer + (0.12 if rng.random() < 0.3 else 0)
            mist = stops[2] * far * haze + near * (1 - far * haze)
            shade = mist * rng.uniform(0.75, 1.25)
            box = tuple(int(v) for v in (x * width, top * height, (x + wide) * width))
            cv2.rectangle(scene, box[:2], (box[2], height), tuple(map(float, shade)), -1)
            # The side that the last sun meets.
            edge = int((x + wide * 0.3) * width)
            lit = shade + stops[2] * 0.10 * (1 - far)
            cv2.rectangle(scene, box[:2], (edge, height), tuple(map(float, lit)), -1)
            x += wide + rng.uniform(0, 0.05)
    return scene


def city_lights(rng: np.random.Generator, count: int, power: float) -> list[Light]:
    """Windows of towers in columns, a street of lamps and cars below."""
    warm = (
        (1.0, 0.66, 0.30),
        (1.0, 0.75, 0.46),
        (1.0, 0.52, 0.2),
        (0.85, 0.9, 1.0),
        (0.6, 0.78, 1.0),
    )
    lights = []
    towers = rng.uniform(-0.02, 1.02, 11)
    for _ in range(count):
        colour = vector(warm[rng.choice(5, p=(0.34, 0.28, 0.16, 0.14, 0.08))])
        x = float(towers[rng.integers(11)] + rng.normal(0, 0.025))
        strength = power * float(rng.lognormal(-1.25, 0.8))
        lights.append(Light(x, float(rng.uniform(0.42, 0.95)), _rgb(colour * strength),
                            rng.uniform(0.75, 1.0)))  # fmt: skip
    for _ in range(count // 3):
        red = rng.random() < 0.35
        colour = vector([1.0, 0.10, 0.05] if red else [1.0, 0.8, 0.55])
        lights.append(Light(float(rng.uniform(0, 1)), float(rng.normal(0.86, 0.03)),
                            _rgb(colour * power * rng.uniform(0.25, 0.9)), 1.0))  # fmt: skip
    return lights


def plant(scene: Linear, rng: np.random.Generator, x: float, y: float, tall: float) -> None:
    """Paint a pot plant into a scene, in place: foot at shares x, y, height as a share."""
    height, width = scene.shape[:2]
    foot, top = np.array([x * width, y * height]), tall * height
    light = float(np.clip(scene.mean() * 2.2, 0.3, 1.6))
    for _ in range(60):
        angle = rng.normal(0, 0.55)
        reach = top * rng.uniform(0.25, 1)
        tip = foot + np.array([np.sin(angle), -np.cos(angle)]) * reach
        colour = _LEAVES[rng.integers(5)] * light * rng.uniform(0.5, 1.6)
        axes = (
            max(1, int(top * rng.uniform(0.06, 0.15))),
            max(1, int(top * rng.uniform(0.018, 0.045))),
        )
        turn = float(np.degrees(angle) - 90 + rng.normal(0, 30))
        cv2.ellipse(scene, (int(tip[0]), int(tip[1])), axes, turn, 0, 360, _rgb(colour), -1)


def _drift(rng: np.random.Generator, size: Size) -> tuple[Linear, Linear]:
    return fractal(rng, size, 4.0, 2), fractal(rng, size, 4.0, 2)


def _rgb(colour: Linear) -> tuple[float, float, float]:
    red, green, blue = (float(c) for c in colour)
    return red, green, blue
