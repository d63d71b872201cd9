"""Backdrops, lights, grades and attire, each with the words that ask for it.

The embedded base model learns styles from portraits whose own wall was cut away: the person is
put before a procedural backdrop, lit and graded, and the caption says which.  Personalisation
puts the cut-out selfies before the same backdrops with the same words, so that the adapter
learns the person and not the room.  Training and product therefore share this file.

Arrays: pictures are uint8 [S, S, 3] RGB, mattes uint8 [S, S] (255 = person).  Inside, colours
are float 0..1.  Knows numpy and OpenCV only: no torch, no files, no faces.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Colour = tuple[float, float, float]
Picture = NDArray[np.floating[Any]]
Painter = Callable[[np.random.Generator, int], Picture]

PERSON = "sks person"
"""The subject of a personalised prompt.  "sks" means nothing before training."""

ANYONE = "a person"
"""The subject of a prompt without an adapter."""

_REFERENCE_SIZE = 192
"""Blur radii below are in pixels of a backdrop this large, and scale with it."""


def _gradient(rng: np.random.Generator, size: int, centre: Colour, edge: Colour) -> Picture:
    """A studio wall: a pool of light somewhere behind the head.  Float [size, size, 3]."""
    y, x = np.mgrid[0:size, 0:size].astype(np.float32) / size
    shift_x, shift_y = rng.uniform(-0.12, 0.12, 2)
    distance = np.hypot(x - (0.5 + shift_x), y - (0.45 + shift_y)) / 0.8
    falloff = np.clip(distance, 0, 1)[..., None] ** 1.3
    return (1 - falloff) * np.array(centre, np.float32) + falloff * np.array(edge, np.float32)


@dataclass(frozen=True)
class _Surroundings:
    """A place out of focus: `count` things in some of the colours before a flat or top-to-bottom
    base, blurred by `blur` pixels."""

    base: Colour | tuple[Colour, Colour]
    colours: Sequence[Colour]
    count: int
    blur: float = 9


def _blobs(
    rng: np.random.Generator,
    size: int,
    place: _Surroundings,
    radius: tuple[float, float] = (0.05, 0.2),
) -> Picture:
    """Out-of-focus discs: foliage, city lights."""
    canvas = _vertical(size, place.base)
    for _ in range(place.count):
        disc = np.zeros((size, size), np.float32)
        x, y = (int(v) for v in rng.integers(0, size, 2))
        cv2.circle(disc, (x, y), max(1, int(rng.uniform(*radius) * size)), 1.0, -1)
        weight = disc[..., None] * float(rng.uniform(0.5, 1))
        canvas = canvas * (1 - weight) + weight * np.array(
            place.colours[int(rng.integers(len(place.colours)))], np.float32
        )
    return _blurred(canvas, place.blur)


def _bars(
    rng: np.random.Generator,
    size: int,
    place: _Surroundings,
    *,
    vertical: bool = True,
    top: float = 0.0,
) -> Picture:
    """Soft bars: shelves, window frames, bricks, towers that begin at `top` (share of height)."""
    canvas = _vertical(size, place.base)
    for _ in range(place.count):
        start = int(rng.integers(-10, size))
        stop = start + max(1, int(rng.uniform(0.04, 0.2) * size))
        colour = place.colours[int(rng.integers(len(place.colours)))]
        if vertical:
            first_row = int(size * rng.uniform(top, min(1.0, top * 1.8))) if top else 0
            canvas[first_row:, max(0, start) : stop] = colour
        else:
            canvas[max(0, start) : stop] = colour
    return _blurred(canvas, place.blur)


def _vertical(size: int, base: Colour | tuple[Colour, Colour]) -> Picture:
    """A flat canvas, or one that goes from a top colour to a bottom colour."""
    ends = np.array(base, dtype=np.float32)
    if ends.ndim == 1:
        ends = np.stack([ends, ends])
    t = np.linspace(0, 1, size, dtype=np.float32)[:, None, None]
    return np.repeat((1 - t) * ends[0] + t * ends[1], size, axis=1)


def _blurred(canvas: Picture, sigma: float) -> Picture:
    size = canvas.shape[0]
    return cv2.GaussianBlur(canvas, (0, 0), sigma * size / _REFERENCE_SIZE)


def _studio(centre: Colour, edge: Colour) -> Painter:
    return partial(_gradient, centre=centre, edge=edge)


BACKDROPS: dict[str, Painter] = {
    "grey studio backdrop": _studio((0.66, 0.66, 0.67), (0.42, 0.42, 0.44)),
    "charcoal studio backdrop": _studio((0.27, 0.27, 0.29), (0.07, 0.07, 0.08)),
    "white studio backdrop": _studio((0.97, 0.97, 0.97), (0.90, 0.91, 0.92)),
    "navy studio backdrop": _studio((0.17, 0.25, 0.42), (0.05, 0.08, 0.17)),
    "blue studio backdrop": _studio((0.55, 0.68, 0.80), (0.30, 0.44, 0.58)),
    "beige studio backdrop": _studio((0.88, 0.81, 0.70), (0.68, 0.58, 0.46)),
    "teal studio backdrop": _studio((0.25, 0.58, 0.58), (0.07, 0.28, 0.32)),
    "pink studio backdrop": _studio((0.95, 0.74, 0.79), (0.80, 0.50, 0.58)),
    "bright office background": partial(
        _bars,
        place=_Surroundings(
            base=(0.78, 0.83, 0.88),
            colours=[(0.85, 0.9, 0.95), (0.95, 0.95, 0.92), (0.6, 0.68, 0.75), (0.45, 0.5, 0.55)],
            count=12,
            blur=7,
        ),
    ),
    "garden background": partial(
        _blobs,
        place=_Surroundings(
            base=(0.4, 0.55, 0.25),
            colours=[(0.35, 0.5, 0.2), (0.55, 0.68, 0.3), (0.8, 0.85, 0.5), (0.2, 0.34, 0.14)],
            count=22,
        ),
    ),
    "wood library background": partial(
        _bars,
        place=_Surroundings(
            base=(0.3, 0.17, 0.09),
            colours=[(0.36, 0.2, 0.1), (0.25, 0.13, 0.07), (0.5, 0.3, 0.15), (0.18, 0.1, 0.06)],
            count=16,
            blur=4,
        ),
    ),
    "brick loft background": partial(
        _bars,
        place=_Surroundings(
            base=(0.58, 0.33, 0.24),
            colours=[(0.62, 0.35, 0.25), (0.5, 0.27, 0.2), (0.7, 0.45, 0.33)],
            count=14,
            blur=4,
        ),
        vertical=False,
    ),
    "green studio backdrop": _studio((0.30, 0.46, 0.32), (0.10, 0.22, 0.13)),
    "burgundy studio backdrop": _studio((0.48, 0.12, 0.18), (0.22, 0.03, 0.07)),
    "lavender studio backdrop": _studio((0.76, 0.70, 0.88), (0.52, 0.45, 0.68)),
    "mustard studio backdrop": _studio((0.90, 0.70, 0.28), (0.66, 0.46, 0.10)),
    "sunset city background": partial(
        _bars,
        place=_Surroundings(
            base=((0.98, 0.76, 0.48), (0.85, 0.42, 0.36)),
            colours=[(0.42, 0.25, 0.30), (0.55, 0.32, 0.32), (0.35, 0.22, 0.32)],
            count=9,
            blur=5,
        ),
        top=0.45,
    ),
    "night city background": partial(
        _blobs,
        place=_Surroundings(
            base=((0.04, 0.05, 0.12), (0.08, 0.07, 0.13)),
            colours=[(1.0, 0.80, 0.45), (1.0, 0.62, 0.30), (0.55, 0.70, 1.0), (0.95, 0.90, 0.80)],
            count=26,
            blur=2.5,
        ),
        radius=(0.02, 0.05),
    ),
}
"""Words -> painter (rng, size) giving float [size, size, 3] in 0..1.  The first twelve are
words that the trained weights number and must stay; a painter may be mended, never renamed."""


def _black_and_white(picture: Picture) -> Picture:
    luma = picture @ np.array([0.3, 0.59, 0.11], np.float32)
    return np.repeat(luma[..., None], 3, axis=2)


def _contrast(picture: Picture) -> Picture:
    """An S-curve: 3x^2 - 2x^3 mixed with the identity."""
    x = np.clip(picture, 0, 1)
    return 0.3 * x + 0.7 * x * x * (3 - 2 * x)


GRADES: dict[str, Callable[[Picture], Picture]] = {
    "": lambda picture: picture,
    "warm": lambda picture: picture * np.array([1.07, 1.0, 0.88], np.float32),
    "cool": lambda picture: picture * np.array([0.92, 1.0, 1.08], np.float32),
    "black and white": _black_and_white,
    "sepia": lambda picture: _black_and_white(picture) * np.array([1.08, 0.94, 0.76], np.float32),
    "high contrast": _contrast,
}
"""Words -> function on float [S, S, 3] (values may leave 0..1; `compose` clips)."""

LIGHTS: tuple[str, ...] = ("flat", "left", "right", "top", "rim")
"""Where the light comes from, as seen in the picture.  "flat" adds no words."""

_LIGHT_WORDS = {
    "left": "left key light",
    "right": "right key light",
    "top": "top key light",
    "rim": "rim light",
}


def _lit(person: Picture, wall: Picture, matte: Picture, light: str) -> tuple[Picture, Picture]:
    """Person and wall under a light.  Floats [S, S, 3], [S, S, 3], [S, S]; same shapes back."""
    size = person.shape[0]
    ramp = np.linspace(1, -1, size, dtype=np.float32)
    if light == "flat":
        return person, wall
    if light in ("left", "right"):
        across = (ramp if light == "left" else -ramp)[None, :, None]
        # The wall falls off the other way: light that grazes a face misses the wall behind it.
        return person * (1 + 0.22 * across), wall * (1 - 0.10 * across)
    if light == "top":
        down = ramp[:, None, None]
        return person * (1.02 + 0.20 * down), wall * (0.94 + 0.08 * down)
    if light == "rim":
        inside = cv2.GaussianBlur(matte, (0, 0), size / 28)
        edge = np.clip((0.93 - inside) * 1.8, 0, 1) * matte
        # Only the upper part: a hair light hangs above and behind.
        height = np.linspace(1.25, -0.15, size, dtype=np.float32)[:, None]
        edge = cv2.GaussianBlur(edge * np.clip(height, 0, 1), (0, 0), size / 130)[..., None]
        return person * 0.92 + 0.34 * edge, wall * 0.92
    raise ValueError(f"unknown light: {light!r}")


def compose(
    rng: np.random.Generator,
    person: NDArray[np.uint8],
    matte: NDArray[np.uint8],
    *,
    backdrop: str,
    grade: str = "",
    light: str = "flat",
) -> NDArray[np.uint8]:
    """Put a cut-out person before a backdrop, lit and graded.

    person: uint8 [S, S, 3] RGB; matte: uint8 [S, S], 255 = person; the words are keys of
    `BACKDROPS` and `GRADES` and a member of `LIGHTS` (anything else is a `KeyError` or
    `ValueError`).  Returns uint8 [S, S, 3].  `rng` shapes the backdrop, nothing else.
    """
    size = person.shape[0]
    alpha: Picture = matte.astype(np.float32) / 255
    front: Picture = person.astype(np.float32) / 255
    grain = rng.normal(0, 0.006, (size, size, 1)).astype(np.float32)  # a flat wall would band
    wall: Picture = BACKDROPS[backdrop](rng, size) + grain
    front, wall = _lit(front, wall, alpha, light)
    # Spill: a wall throws a little of its colour on the edges of whoever stands before it.
    spill = 0.12 * (1 - cv2.GaussianBlur(alpha, (0, 0), size / 40)[..., None])
    front = front * (1 - spill) + wall * spill
    mixed = front * alpha[..., None] + wall * (1 - alpha[..., None])
    return (np.clip(GRADES[grade](mixed), 0, 1) * 255 + 0.5).astype(np.uint8)


def words_in(prompt: str) -> dict[str, str] | None:
    """What `compose` needs for the picture that a prompt asks for; None without a known backdrop.

    As `caption` writes them: parts between commas, those that are no words of ours left out.
    """
    parts = [part.strip() for part in prompt.split(",")]
    backdrop = next((part for part in parts if part in BACKDROPS), None)
    if backdrop is None:
        return None
    grade = next((part for part in parts if part in GRADES), "")
    light = next((light for light, words in _LIGHT_WORDS.items() if words in parts), "flat")
    return {"backdrop": backdrop, "grade": grade, "light": light}


def caption(
    *,
    backdrop: str,
    grade: str = "",
    light: str = "flat",
    subject: str = "a person",
    attire: str = "",
) -> str:
    """The words of a picture, in the order in which the base model has seen them.

    For example `photo of sks person, navy suit, navy studio backdrop, left key light, warm`.
    """
    words = [f"photo of {subject}", attire, backdrop, _LIGHT_WORDS.get(light, ""), grade]
    return ", ".join(word for word in words if word)
