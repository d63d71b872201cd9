"""A look's `[photo]` table: how a photo is lit, before what, graded and framed.

    [photo]
    wall = "canvas"
    colour = "#8a8c92"
    depth_of_field = 0.4
    light = "soft"
    grade = "neutral"
    frame = "head_and_shoulders"

`light` is a name or a table, for example `{azimuth = -50, elevation = 35, strength = 1.2}`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from errors import BadSettings
from pipeline.compositing.composite import GRADES
from pipeline.compositing.framing import DISTANCES
from pipeline.compositing.relight import LIGHTS, LIMITS
from pipeline.compositing.walls import STUDIO, WALLS, is_picture, linear_colour, read_picture

LIGHT_NAMES = tuple(LIGHTS)
"""In the order in which they are offered."""

LIGHT_LIMITS: Mapping[str, tuple[float, float]] = {
    **LIMITS,
    "azimuth": (-90, 90),
    "elevation": (-10, 80),
    "temperature_k": (2500, 9000),
}
"""Keys of a light's table and their bounds: those of any light, for one that stands before the
person, as a studio's key light does, and is no candle and no blue sky."""

_KEYS = ("wall", "colour", "depth_of_field", "light", "grade", "frame", "fade")


@dataclass(frozen=True)
class Alike:
    """What the portraits of many people have alike, so that they look like one session's.

    eyes: the line of the eyes from above; head: height of the head, crown to chin; both as shares
    of the portrait's height. clothes: a key of `clothes.TONES`, or None for as they are. The light
    then never changes its side and leaves the exposure of skin as it was, and the wall is the same
    one each time.
    """

    eyes: float = 0.46
    head: float = 0.6
    clothes: str | None = None


@dataclass(frozen=True)
class PhotoLook:
    """How a look treats a photo.

    wall: a key of `walls.WALLS`, or the path of a picture. colour: "#rrggbb", or None for the
    wall's own. depth_of_field: 0 to 1. light: one of `LIGHT_NAMES`, or values by the keys of
    `LIGHT_LIMITS`. grade: a key of `composite.GRADES`. frame: a key of `framing.DISTANCES`. fade:
    whether a person whom the photo cuts below may fade into the wall. alike: what all portraits
    have alike, None where they may differ.
    """

    wall: str
    colour: str | None = None
    depth_of_field: float = 0.5
    light: str | Mapping[str, float] = field(default="soft", hash=False)
    grade: str = "neutral"
    frame: str = "head_and_shoulders"
    fade: bool = False
    alike: Alike | None = None

    @property
    def eyes(self) -> float | None:
        """The line of the eyes that all have alike; None for that of the shape."""
        return self.alike.eyes if self.alike else None


def photo_look(file: Path, table: Any, name: str = "photo") -> PhotoLook:
    """Check the `[photo]` table of a look's file; a picture for its wall lies beside it.

    name: of the table, for the sentence.

    Raises:
        BadSettings: a mistake; the sentence names the file and the key.
    """
    where = f"{file.name} [{name}]"
    if not isinstance(table, dict):
        raise BadSettings(f"{file.name}: 'photo' must be a table.")
    only(where, table, _KEYS)
    needed(where, table, ("wall",))
    if isinstance(table["wall"], str) and is_picture(table["wall"]):
        table = table | {"wall": _picture(where, file.parent, table["wall"])}
    else:
        member(where, "wall", table["wall"], tuple(WALLS))
    for key, known in (("grade", GRADES), ("frame", DISTANCES)):
        member(where, key, table.get(key), tuple(known))
    if "colour" in table:
        _colour(where, table["colour"], table["wall"])
    if "depth_of_field" in table:
        number(where, "depth_of_field", table["depth_of_field"], (0, 1))
    if type(table.get("fade", False)) is not bool:
        raise BadSettings(f"{where}: 'fade' must be true or false.")
    _light(where, table.get("light"))
    return PhotoLook(**table)


def only(where: str, table: Mapping[str, Any], keys: Collection[str]) -> None:
    """Check that a table has no other keys than these.

    Raises:
        BadSettings: it has.
    """
    for key in table:
        if key not in keys:
            raise BadSettings(f"{where}: {key!r} is not one of {', '.join(keys)}.")


def needed(where: str, table: Mapping[str, Any], keys: Iterable[str]) -> None:
    """Check that a table has all of these keys.

    Raises:
        BadSettings: it lacks one.
    """
    for key in keys:
        if key not in table:
            raise BadSettings(f"{where}: the key {key!r} is missing.")


def member(where: str, key: str, value: Any, known: tuple[str, ...]) -> None:
    """Check that a value is left out or among those that are known.

    Raises:
        BadSettings: it is neither.
    """
    if value is not None and (not isinstance(value, str) or value not in known):
        raise BadSettings(f"{where}: {key!r} must be one of {', '.join(known)}, not {value!r}.")


def _picture(where: str, folder: Path, name: str) -> str:
    """The path of a picture beside the look, which can be read."""
    if Path(name).name != name:
        raise BadSettings(f"{where}: the picture {name!r} must lie beside the look.")
    try:
        read_picture(str(folder / name))
    except ValueError as problem:
        raise BadSettings(f"{where}: the picture {name!r} cannot be a wall: {problem}.") from None
    return str(folder / name)


def _colour(where: str, value: Any, wall: str) -> None:
    try:
        linear_colour(value)
    except (ValueError, TypeError):
        raise BadSettings(f"{where}: 'colour' must be like \"#8a8c92\", not {value!r}.") from None
    if wall not in STUDIO:
        raise BadSettings(f"{where}: 'colour' is for studio walls ({', '.join(STUDIO)}) only.")


def number(where: str, key: str, value: Any, bounds: tuple[float, float]) -> None:
    """Check that a value is a number within bounds, both allowed.

    Raises:
        BadSettings: it is not.
    """
    # bool is a number to Python, not to whoever wrote the file.
    good = type(value) in (int, float) and bounds[0] <= value <= bounds[1]
    if not good:
        raise BadSettings(f"{where}: {key!r} must be a number from {bounds[0]} to {bounds[1]}.")


def _light(where: str, value: Any) -> None:
    if not isinstance(value, dict):
        member(where, "light", value, LIGHT_NAMES)
        return
    only(where, value, LIGHT_LIMITS)
    for key, amount in value.items():
        number(where, key, amount, LIGHT_LIMITS[key])
