"""One training picture: a person of a plain wall in a room, with others behind, as photos have it.

Everything is uint8 RGB [H, W, 3] or uint8 alpha [H, W], and follows from the random generator.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from dev import rooms

Picture = NDArray[np.uint8]

SHAPES = ((320, 224), (320, 256), (320, 320), (224, 320))
"""Heights and widths of training pictures: all that photos have, at the network's long side;
multiples of 32."""

_OTHERS = 0.4
"""Share of pictures in which somebody else stands."""

_DROP = 0.35
"""How fast shoulders fall beyond the frame that cut them, pixels down per pixel outwards."""


@dataclass(frozen=True)
class Person:
    """Colours uint8 RGB [H, W, 3] and alpha uint8 [H, W].

    box: the face's x, y, width, height in pixels. weight: how often, 1 = as the others.
    """

    colours: Picture
    alpha: Picture
    box: tuple[float, float, float, float]
    weight: float


@dataclass(frozen=True)
class Scene:
    """picture: uint8 RGB [H, W, 3]; alpha: uint8 [H, W] of the one asked for; box: their face."""

    picture: Picture
    alpha: Picture
    box: tuple[float, float, float, float]


def draw(
    rng: np.random.Generator, people: Sequence[Person], walls: Sequence[tuple[Picture, Picture]]
) -> Scene:
    """Set somebody before a room, framed and lit by chance; walls: photos and their masks."""
    odds = np.array([person.weight for person in people])
    person = people[int(rng.choice(len(odds), p=odds / odds.sum()))]
    height, width = SHAPES[int(rng.integers(len(SHAPES)))]
    zoom = rng.uniform(0.55, 1) if rng.random() < 0.5 else rng.uniform(1, 1.45)
    scale = height / person.alpha.shape[0] * zoom
    wide = person.alpha.shape[1] * scale
    left = (width - wide) / 2 + rng.normal(0, 0.13) * width
    lowest = height - person.alpha.shape[0] * scale  # the portrait's frame at the picture's
    if zoom > 1:
        top = rng.uniform(-0.1, 0.12) * height
    else:
        top = rng.uniform(0.03 * height, max(lowest, 0.04 * height))
    ink, alpha, box = _placed(rng, person, (height, width), (left, top, scale))
    room = _room(rng, people, walls, (height, width), scale * person.box[3])
    ink = _lit(rng, ink)
    share = alpha[..., None]
    together = ink * share + room * (1 - share)
    return Scene(_taken(rng, together), np.asarray(alpha * 255 + 0.5, np.uint8), box)


def _placed(
    rng: np.random.Generator,
    person: Person,
    size: tuple[int, int],
    place: tuple[float, float, float],
) -> tuple[NDArray[np.float32], NDArray[np.float32], tuple[float, float, float, float]]:
    """Colours 0 to 255, alpha 0 to 1 and face of a person at (left, top, scale) of a picture.

    What the portrait's frame cut off goes on: the body downwards, the shoulders outwards, falling.
    """
    height, width = size
    left, top, scale = place
    mirrored = rng.random() < 0.5
    across, down = np.meshgrid(np.arange(width), np.arange(height))
    x = ((across + 0.5 - left) / scale - 0.5).astype(np.float32)
    y = ((down + 0.5 - top) / scale - 0.5).astype(np.float32)
    tall, wide = person.alpha.shape
    if mirrored:
        x = wide - 1 - x
    beyond = np.maximum(0, np.maximum(-x, x - (wide - 1)))
    y = np.where(y >= 0, y - beyond * (_DROP + beyond / wide), y)
    x, y = np.clip(x, 0, wide - 1), np.minimum(y, tall - 1)
    ink = cv2.remap(person.colours, x, y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    alpha = cv2.remap(person.alpha, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
    bx, by, bw, bh = person.box
    if mirrored:
        bx = wide - bx - bw
    box = (bx * scale + left, by * scale + top, bw * scale, bh * scale)
    return ink.astype(np.float32), (alpha / 255.0).astype(np.float32), box


def _room(
    rng: np.random.Generator,
    people: Sequence[Person],
    walls: Sequence[tuple[Picture, Picture]],
    size: tuple[int, int],
    face: float,
) -> NDArray[np.float32]:
    """A painted room, or a wall out of a photo; sometimes others stand in it, sharp or blurred."""
    height, width = size
    room: Picture | None = None
    if rng.random() < 0.5:
        photo, mask = walls[int(rng.integers(len(walls)))]
        room = rooms.taken(rng, photo, mask, height, width)
    if room is None:
        room = rooms.painted(rng, height, width)
    filled = room.astype(np.float32)
    if rng.random() >= _OTHERS:
        return filled
    softness = float(rng.choice((0.0, rng.uniform(0, 1.5), rng.uniform(1, 6))))
    for _ in range(int(rng.choice((1, 1, 1, 2, 3)))):
        other = people[int(rng.integers(len(people)))]
        scale = face * rng.uniform(0.3, 1.05) / other.box[3]
        wide = other.alpha.shape[1] * scale
        left = rng.uniform(-0.6 * wide, width - 0.4 * wide)
        top = rng.uniform(-0.15, 0.45) * height
        ink, alpha, _ = _placed(rng, other, size, (left, top, scale))
        share = alpha[..., None]
        filled = _lit(rng, ink) * share + filled * (1 - share)
    if softness > 0.4:
        filled = cv2.GaussianBlur(filled, (0, 0), softness)
    return filled


def _lit(rng: np.random.Generator, ink: NDArray[np.float32]) -> NDArray[np.float32]:
    """Another exposure, contrast and colour of light, sometimes from one side. 0 to 255."""
    lit = 255 * (np.clip(ink, 0, 255) / 255) ** rng.uniform(0.6, 1.5) * rng.uniform(0.75, 1.15)
    lit = lit * rng.uniform(0.88, 1.12, 3)
    if rng.random() < 0.3:
        slope = np.linspace(rng.uniform(0.6, 1.3), rng.uniform(0.6, 1.3), ink.shape[1])
        lit = lit * slope[None, :, None]
    return np.asarray(np.clip(lit, 0, 255), np.float32)


def _taken(rng: np.random.Generator, ink: NDArray[np.float32]) -> Picture:
    """What a camera makes of it: a little blur, noise, and often a JPEG's blocks."""
    if rng.random() < 0.3:
        ink = cv2.GaussianBlur(ink, (0, 0), float(rng.uniform(0.4, 1.1)))
    noisy = ink + rng.normal(0, rng.uniform(0, 3.5), ink.shape)
    picture = np.asarray(np.clip(noisy + 0.5, 0, 255), np.uint8)
    if rng.random() < 0.4:
        quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(55, 95))]
        _, coded = cv2.imencode(".jpg", picture[..., ::-1], quality)
        picture = np.asarray(cv2.imdecode(coded, cv2.IMREAD_COLOR), np.uint8)[..., ::-1]
    return np.ascontiguousarray(picture)
