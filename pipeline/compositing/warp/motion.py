"""How a portrait moves: presets as smooth periodic functions of time that begin and end at rest.

Angles are those of the head. They are small: what a person does who sits still and is alive.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import cos, pi, radians, sin

FPS = 25
FRAMES = 75
"""Three seconds, after which the first frame follows the last as any other."""


@dataclass(frozen=True)
class Pose:
    """How one frame differs from the portrait; all zero is the portrait.

    yaw, pitch, roll: of the head, radians; right, down and clockwise in the picture. breath: 0
    out, 1 in. closer: how much larger the person is, 0 as they are. wall: how far the wall goes
    to the right, as a share of the longer side. wall_closer: how much larger it is. key: where the
    key light stands, -1 to 1 between the two ends of its way, 0 where the look has it.
    """

    yaw: float = 0.0
    pitch: float = 0.0
    roll: float = 0.0
    breath: float = 0.0
    closer: float = 0.0
    wall: float = 0.0
    wall_closer: float = 0.0
    key: float = 0.0


WALL_REACH = 0.012
"""The most that the wall goes to either side."""


def _swaying(t: float, most: float) -> Pose:
    """Sit: a slow sway of the head, in which no two axes meet, and one breath."""
    return Pose(
        yaw=radians(2.6 * most) * sin(t),
        pitch=radians(0.9 * most) * (sin(2 * t + 0.6) - sin(0.6)),
        roll=radians(0.75 * most) * (sin(t + 0.9) - sin(0.9)),
        breath=_rise(t),
    )


def _calm(t: float) -> Pose:
    return _swaying(t, 1.0)


def _turn(t: float) -> Pose:
    """Look to one side and to the other; the camera goes round a little, so the wall goes by."""
    return Pose(
        yaw=radians(6.5) * sin(t),
        pitch=radians(1.6) * (sin(2 * t + 0.5) - sin(0.5)) * 0.5,
        roll=radians(0.9) * sin(t),
        breath=_rise(t),
        wall=-WALL_REACH * sin(t),
    )


def _light(t: float) -> Pose:
    still = _swaying(t, 0.5)
    return Pose(still.yaw, still.pitch, still.roll, still.breath, key=sin(t))


def _push_in(t: float) -> Pose:
    """Come nearer and go back: what is far away grows less."""
    still, near = _swaying(t, 0.7), _rise(t)
    return Pose(
        still.yaw,
        still.pitch,
        still.roll,
        still.breath,
        closer=0.075 * near,
        wall_closer=0.028 * near,
    )


def _rise(t: float) -> float:
    """0 at the beginning and the end, 1 in the middle."""
    return (1 - cos(t)) / 2


_PRESETS: Mapping[str, Callable[[float], Pose]] = {
    "calm": _calm,
    "turn": _turn,
    "light": _light,
    "push-in": _push_in,
}
PRESETS = tuple(_PRESETS)


def pose(preset: str, frame: float) -> Pose:
    """The pose of a frame, counted from 0; `FRAMES` is 0 again.

    Raises:
        KeyError: no such preset.
    """
    return _PRESETS[preset](2 * pi * frame / FRAMES)
