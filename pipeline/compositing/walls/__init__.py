"""Walls that look photographed: studio walls in any colour, rooms out of focus, own pictures.

Walls are painted in linear light (float32 RGB [H, W, 3], windows and lamps far above 1) from a
seed: the same name, size, generator, colour and depth of field give the same wall.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from pipeline.compositing.walls import outdoors, rooms, studio
from pipeline.compositing.walls.lens import Linear, add_light, defocus, glow
from pipeline.compositing.walls.noise import Size, enlarged

__all__ = [
    "STUDIO",
    "WALLS",
    "Linear",
    "Wall",
    "from_picture",
    "is_picture",
    "linear_colour",
    "paint",
    "read_picture",
]

_Studio = Callable[[np.random.Generator, Size, Linear, float], Linear]
_Room = Callable[[np.random.Generator, Size, "Linear | None"], Linear]
_Lights = Callable[[np.random.Generator], list[outdoors.Light]]

_SHARPEST, _SOFTEST = 0.004, 0.034
"""Radius of a room's disc at depth of field 0 and 1, as shares of the longer side."""

_DISC_PX = 11.0
"""Radius of the disc in the small scene: edges of discs stay crisp once it is enlarged."""

_SMALLEST, _LARGEST = 320, 720
"""Bounds of the small scene's longer side in pixels."""

PICTURES = (".jpg", ".jpeg", ".png", ".webp")
"""Endings of files that a wall can be."""

PICTURE_PX = 512
"""The least shorter side of such a picture, pixels: it is shown out of focus."""

_GRAIN = 0.004
"""Standard deviation of the wall's own grain, as a share of its light: gradients do not band."""


@dataclass(frozen=True)
class Wall:
    """A wall by name.

    kind: "studio" (takes a colour) or "room" (a colour repaints its plainest surface).
    colour: what it has unless another is asked for, "#rrggbb"; empty: as the room is.
    studio, scene, lights: its painters; a room has a scene and, out of doors, lights.
    """

    name: str
    kind: str
    colour: str = ""
    studio: _Studio | None = None
    scene: _Room | None = None
    lights: _Lights | None = None
    blur: float = 1.0


def _dusk(rng: np.random.Generator, size: Size, accent: Linear | None) -> Linear:
    sky = [(0.055, 0.09, 0.20), (0.24, 0.20, 0.27), (0.85, 0.42, 0.22)]
    return outdoors.city(rng, size, sky, 0.5)


def _night(rng: np.random.Generator, size: Size, accent: Linear | None) -> Linear:
    sky = [(0.008, 0.012, 0.03), (0.022, 0.028, 0.055), (0.12, 0.085, 0.075)]
    return outdoors.city(rng, size, sky, 0.6)


WALLS: Mapping[str, Wall] = {
    wall.name: wall
    for wall in (
        Wall("canvas", "studio", "#8a8c92", studio=studio.canvas),
        Wall("paper", "studio", "#c9ccd0", studio=studio.paper),
        Wall("linen", "studio", "#cfc4b2", studio=studio.linen),
        Wall("plaster", "studio", "#c9b8a4", studio=studio.plaster),
        Wall("window-light", "studio", "#d9d2c6", studio=studio.window_light),
        Wall("office", "room", scene=rooms.office),
        Wall("lobby", "room", scene=rooms.lobby),
        Wall("library", "room", scene=rooms.library),
        Wall("bookshelf", "room", scene=rooms.bookshelf),
        Wall("loft", "room", scene=rooms.loft),
        Wall("brick", "room", scene=rooms.brick, blur=0.5),
        Wall("garden", "room", scene=outdoors.garden, lights=outdoors.garden_lights),
        Wall("city-dusk", "room", scene=_dusk, lights=lambda r: outdoors.city_lights(r, 110, 0.9)),
        Wall(
            "city-night", "room", scene=_night, lights=lambda r: outdoors.city_lights(r, 120, 0.7)
        ),
    )
}
"""Every wall by its name, as a look's `[photo]` table says it."""

STUDIO = tuple(name for name, wall in WALLS.items() if wall.kind == "studio")
"""Names of the walls whose colour is a choice."""


def paint(
    name: str,
    size: Size,
    rng: np.random.Generator,
    colour: str | None = None,
    depth_of_field: float = 0.5,
) -> Linear:
    """Paint a wall: float32 RGB [H, W, 3], linear light, not clipped.

    name: a key of `WALLS`, or the file of a picture (`read_picture`). size: H, W. colour:
    "#rrggbb" or None for the wall's own. depth_of_field: 0 (the wall as sharp as a room behind
    somebody gets) to 1 (wide open).

    Raises:
        KeyError: no such wall.
        ValueError: a colour that is not "#rrggbb", or a depth of field beyond 0..1.
    """
    if not 0 <= depth_of_field <= 1:
        raise ValueError(f"depth of field beyond 0..1: {depth_of_field}")
    if is_picture(name):
        return from_picture(read_picture(name), size, depth_of_field)
    wall = WALLS[name]
    if wall.studio is not None:
        light = wall.studio(rng, size, linear_colour(colour or wall.colour), depth_of_field)
    else:
        light = _room(wall, size, rng, linear_colour(colour) if colour else None, depth_of_field)
    return _grained(light, rng)


def is_picture(name: str) -> bool:
    """Whether a wall is told by the name of a file with a picture."""
    return Path(name).suffix.lower() in PICTURES


@lru_cache(maxsize=4)
def read_picture(name: str) -> NDArray[np.uint8]:
    """Read a picture of a wall: uint8 RGB [H, W, 3], upright.

    Raises:
        ValueError: it cannot be read, or its shorter side is below `PICTURE_PX`.
    """
    try:
        with Image.open(name) as image:
            picture = np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
    except (OSError, Image.DecompressionBombError):
        raise ValueError("it is not a picture that can be read") from None
    if min(picture.shape[:2]) < PICTURE_PX:
        raise ValueError(f"its shorter side needs {PICTURE_PX} pixels")
    return picture


def from_picture(picture: NDArray[np.uint8], size: Size, depth_of_field: float = 0.5) -> Linear:
    """Make a wall of a picture uint8 RGB [H, W, 3]: filled out to `size`, then out of focus.

    What is white in the picture is taken to be brighter than white: it was, before the camera.
    """
    height, width = size
    scale = max(height / picture.shape[0], width / picture.shape[1])
    shape = (
        max(width, round(picture.shape[1] * scale)),
        max(height, round(picture.shape[0] * scale)),
    )
    way = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    whole = cv2.resize(picture, shape, interpolation=way)
    top, left = (shape[1] - height) // 2, (shape[0] - width) // 2
    light = _TO_LINEAR[whole[top : top + height, left : left + width]]
    radius = depth_of_field * _SOFTEST * max(size)
    if radius < 0.75:
        return np.asarray(light, np.float32)
    peak = light.max(axis=2, keepdims=True)
    boost = 1 + 2.5 * np.clip((peak - 0.75) / 0.25, 0, 1) ** 2
    return _grained(defocus(light * boost, radius), np.random.default_rng(0))


def linear_colour(colour: str) -> Linear:
    """Turn "#rrggbb" (sRGB) into linear RGB float32 [3].

    Raises:
        ValueError: anything else.
    """
    if len(colour) != 7 or colour[0] != "#":
        raise ValueError(f"not a colour: {colour!r}")
    return _TO_LINEAR[list(bytes.fromhex(colour[1:]))]


def _room(
    wall: Wall, size: Size, rng: np.random.Generator, accent: Linear | None, depth: float
) -> Linear:
    """Paint a scene small, put it out of focus, add lamps as discs, enlarge."""
    assert wall.scene is not None
    share = (_SHARPEST + (_SOFTEST - _SHARPEST) * depth) * wall.blur
    long = min(max(size), int(np.clip(_DISC_PX / share, _SMALLEST, _LARGEST)))
    scale = long / max(size)
    small = (max(8, round(size[0] * scale)), max(8, round(size[1] * scale)))
    scene = defocus(wall.scene(rng, small, accent), share * long)
    for light in wall.lights(rng) if wall.lights else ():
        at = (light.x * small[1], light.y * small[0])
        add_light(scene, at, max(1.5, share * long * light.size), light.colour)
    return np.maximum(enlarged(glow(scene), size), 0)


def _grained(light: Linear, rng: np.random.Generator) -> Linear:
    grain = rng.standard_normal(light.shape[:2], np.float32)
    grain *= _GRAIN
    grain += 1
    return light * grain[..., None]


def _table() -> Linear:
    """sRGB 0..255 to linear light, IEC 61966-2-1."""
    x = np.arange(256) / 255
    return np.where(x <= 0.04045, x / 12.92, ((x + 0.055) / 1.055) ** 2.4).astype(np.float32)


_TO_LINEAR = _table()
