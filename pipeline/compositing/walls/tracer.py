"""Look into a box-shaped room: which surface each pixel of the picture sees, and how it is lit.

Metres; x to the right, y up, z away from the camera, the camera at 0, 0, 0 at the height of eyes.
A room is seen through its surfaces' own painters, so that shelves and windows run towards one
vanishing point as in a photograph.  Vectors are float32 [N, 3].
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]
Painter = Callable[[Vectors], tuple[Any, Any]]
"""Points [N, 3] on a surface -> reflectance and own light, each [N, 3], [3] or a number."""

LEFT, RIGHT, FLOOR, CEILING, BACK = range(5)
_NORMALS = np.array(
    [[1, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0], [0, 0, -1]], np.float32
)  # fmt: skip
_FRONT = -1.5
"""Where the room ends behind the camera: nobody sees it, reflections may."""


@dataclass(frozen=True)
class Box:
    """A piece of furniture: corners in metres, reflectance and own light."""

    low: tuple[float, float, float]
    high: tuple[float, float, float]
    colour: tuple[float, float, float]
    light: tuple[float, float, float] = (0.0, 0.0, 0.0)


@dataclass(frozen=True)
class Bulb:
    """Light that falls on surfaces: where from, how much (linear RGB at one metre)."""

    at: tuple[float, float, float]
    power: tuple[float, float, float]


@dataclass(frozen=True)
class Room:
    """A room: walls at x = left and right, y = floor and ceiling, z = back."""

    left: float
    right: float
    floor: float
    ceiling: float
    back: float
    painters: Mapping[int, Painter]
    bulbs: Sequence[Bulb]
    boxes: Sequence[Box] = ()
    ambient: tuple[float, float, float] = (0.1, 0.1, 0.1)
    mirror: float = 0.0
    walls: NDArray[np.float32] = field(init=False)

    def __post_init__(self) -> None:
        low, high = (self.left, self.floor, _FRONT), (self.right, self.ceiling, self.back)
        object.__setattr__(self, "walls", np.array([low, high], np.float32))


@dataclass(frozen=True)
class Camera:
    """Where it looks: yaw and pitch in radians, and the tangent of half the longer side's view."""

    yaw: float = 0.0
    pitch: float = 0.0
    view: float = 0.42

    def rays(self, size: tuple[int, int]) -> Vectors:
        """Directions of all pixels, row by row, of length 1."""
        height, width = size
        y, x = np.mgrid[0:height, 0:width].astype(np.float32) + np.float32(0.5)
        half = max(size) / 2
        x, y = (x - width / 2) / half * self.view, (height / 2 - y) / half * self.view
        cos, sin = np.cos(self.pitch), np.sin(self.pitch)
        y, z = y * cos + sin, cos - y * sin
        cos, sin = np.cos(self.yaw), np.sin(self.yaw)
        rays = np.stack([x * cos + z * sin, y, z * cos - x * sin], axis=-1).reshape(-1, 3)
        length = np.sqrt(np.einsum("ij,ij->i", rays, rays))[:, None]
        return np.asarray((rays / length).astype(np.float32), np.float32)


def look(room: Room, camera: Camera, size: tuple[int, int]) -> NDArray[np.float32]:
    """See the room: float32 [H, W, 3] linear light."""
    rays = camera.rays(size)
    origin = np.zeros((1, 3), np.float32)
    eye = np.zeros(3, np.float32)
    light, point, surface = _seen(room, origin, rays, eye)
    if room.mirror > 0:
        floor = np.flatnonzero(surface == FLOOR)
        if floor.size:
            bounced = rays[floor] * np.array([1, -1, 1], np.float32)
            above = point[floor] + np.array([0, 1e-3, 0], np.float32)
            # All mirrored rays come from one eye below the floor.
            below = np.array([0, 2 * room.floor, 0], np.float32)
            image, _, _ = _seen(room, above, bounced, below)
            # Schlick's approximation: floors shine the more the flatter one looks at them.
            share = room.mirror * (0.15 + 0.85 * (1 - np.abs(rays[floor, 1:2])) ** 5)
            light[floor] += share * np.minimum(image, 4.0)
    return light.reshape(*size, 3)


def _seen(
    room: Room, origin: Vectors, rays: Vectors, eye: NDArray[np.float32]
) -> tuple[Vectors, Vectors, Any]:
    """Light, point and surface (5 and up are boxes) that each ray meets; all come from `eye`."""
    with np.errstate(divide="ignore", invalid="ignore"):
        inverse = 1 / np.where(np.abs(rays) < 1e-6, np.float32(1e-6), rays)
    far = np.where(rays > 0, (room.walls[1] - origin) * inverse, (room.walls[0] - origin) * inverse)
    axis = np.argmin(far, axis=1)
    distance = np.take_along_axis(far, axis[:, None], 1)[:, 0]
    positive = np.take_along_axis(rays, axis[:, None], 1)[:, 0] > 0
    sides: list[Any] = [np.where(positive, RIGHT, LEFT), np.where(positive, CEILING, FLOOR), BACK]
    surface = np.choose(axis, sides)
    normal = _NORMALS[surface]
    for number, box in enumerate(room.boxes, 5):
        maybe = np.flatnonzero(rays @ _axis(box, eye) > _cosine(box, eye))
        start = origin if len(origin) == 1 else origin[maybe]
        low = (np.array(box.low, np.float32) - start) * inverse[maybe]
        high = (np.array(box.high, np.float32) - start) * inverse[maybe]
        near = np.minimum(low, high)
        enter, leave = near.max(axis=1), np.maximum(low, high).min(axis=1)
        met = np.flatnonzero((enter < leave) & (enter > 0.05) & (enter < distance[maybe]))
        if met.size:
            hit, side = maybe[met], np.argmax(near[met], axis=1)
            distance[hit], surface[hit] = enter[met], number
            normal[hit] = np.eye(3, dtype=np.float32)[side] * -np.sign(rays[hit])
    point = origin + rays * distance[:, None]
    colour = np.zeros_like(rays)
    own = np.zeros_like(rays)
    for key in np.unique(surface):
        here = np.flatnonzero(surface == key)
        if key > BACK:
            box = room.boxes[int(key) - 5]
            colour[here], own[here] = box.colour, box.light
        else:
            colour[here], own[here] = room.painters[int(key)](point[here])
    return colour * _lit(room, point, normal) + own, point, surface


def _axis(box: Box, eye: NDArray[np.float32]) -> NDArray[np.float32]:
    """Direction of a box's middle."""
    way = (np.array(box.low) + np.array(box.high)) / 2 - eye
    return np.asarray((way / np.linalg.norm(way)).astype(np.float32), np.float32)


def _cosine(box: Box, eye: NDArray[np.float32]) -> float:
    """Cosine of the cone around a box, so that most rays need no closer look."""
    low, high = np.array(box.low), np.array(box.high)
    away = max(1e-6, float(np.linalg.norm((low + high) / 2 - eye)))
    share = float(np.linalg.norm(high - low)) / 2 / away
    return float(np.sqrt(1 - share**2)) if share < 1 else -1.0


def _lit(room: Room, point: Vectors, normal: Vectors) -> Vectors:
    """Light that falls on points: bulbs by the cosine law, the rest darker in corners."""
    gap = np.minimum(point - room.walls[0], room.walls[1] - point)
    gap = np.partition(np.abs(gap), 1, axis=1)[:, 1]
    open_ = (1 - 0.45 * np.exp(-gap / 0.45))[:, None]
    total = np.array(room.ambient, np.float32) * open_
    for bulb in room.bulbs:
        way = np.array(bulb.at, np.float32) - point
        squared = np.einsum("ij,ij->i", way, way)
        cosine = np.einsum("ij,ij->i", way, normal) / np.sqrt(squared + 1e-6)
        # Half-Lambert: a lamp has a size, and a room throws its light back.
        fall = np.clip(cosine * 0.8 + 0.2, 0, None) / (squared + 0.15)
        total = total + fall[:, None].astype(np.float32) * np.array(bulb.power, np.float32)
    return total.astype(np.float32)
