"""Light a person again: a smooth gain that is multiplied onto the photo's linear colours.

The gain is the ratio of two shadings of the same normals: by the new lights, and by the light that
the photo was taken in. So skin, hair and cloth keep every bit of texture.
It is computed at the small size of the shape and enlarged to any portrait.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.compositing.colour import LUMINANCE, XYZ_TO_SRGB, Floats
from pipeline.compositing.shading import direction, lambert, photo_shading
from pipeline.compositing.shape import Shape

LIMITS: dict[str, tuple[float, float]] = {
    "azimuth": (-180, 180),
    "elevation": (-60, 90),
    "size": (0, 1),
    "strength": (0, 2),
    "temperature_k": (2500, 10000),
    "fill": (0, 1),
    "rim": (0, 1),
    "ambient": (0, 1),
}
"""Bounds of each value of a `Light`."""

DAYLIGHT_K = 5500.0
"""Colour temperature in kelvin of a light that leaves colours alone."""


@dataclass(frozen=True)
class Light:
    """A studio's lights around one person.

    azimuth: degrees to the right of the camera, as seen in the picture, where the key light stands
    (-90 = from the left of the picture, 180 = behind the person); elevation: degrees above the
    eyes; size: 0 a bare lamp, 1 a window; strength: 0 leaves the photo as it is, 1 is natural, 2
    the most; temperature_k: of the key light in kelvin, 5500 is neutral; fill: light from the
    camera beside a key of 1; rim: light from behind along the silhouette; ambient: even light from
    everywhere.

    Raises:
        ValueError: a value is outside its range; the sentence names it.
    """

    azimuth: float = 0.0
    elevation: float = 20.0
    size: float = 0.7
    strength: float = 1.0
    temperature_k: float = DAYLIGHT_K
    fill: float = 0.25
    rim: float = 0.0
    ambient: float = 0.3

    def __post_init__(self) -> None:
        for field in fields(self):
            low, high = LIMITS[field.name]
            value = getattr(self, field.name)
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise ValueError(f"The light's {field.name} must be a number.")
            if not low <= value <= high:  # also refuses NaN
                raise ValueError(
                    f"The light's {field.name} must be between {low:g} and {high:g}, not {value:g}."
                )

    def mirrored(self) -> Light:
        """The same lights with left and right exchanged."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return Light(**{**values, "azimuth": -self.azimuth})


LIGHTS: dict[str, Light] = {
    "soft": Light(azimuth=-40, elevation=30, size=1.0, strength=1.2, fill=0.25, ambient=0.35),
    "left": Light(azimuth=-62, elevation=20, size=0.6, strength=1.5, fill=0.12, ambient=0.22),
    "right": Light(azimuth=62, elevation=20, size=0.6, strength=1.5, fill=0.12, ambient=0.22),
    "top": Light(azimuth=0, elevation=62, size=0.6, strength=1.4, fill=0.15, ambient=0.25),
    "firm": Light(
        azimuth=-50, elevation=38, size=0.25, strength=1.6, fill=0.06, rim=0.2, ambient=0.16
    ),
    "flat": Light(azimuth=0, elevation=5, size=1.0, fill=0.6, ambient=0.8),
    "rim": Light(azimuth=-40, elevation=25, size=0.7, strength=1.2, rim=0.7),
}
"""Named lights. They are data: a look may name one or write out its own."""

_LEAST, _MOST = 0.3, 1.9
"""Bounds of the gain: beyond them noise of dark parts shows, and pale skin turns chalky."""

_BURNT = 0.8
"""Blurred linear brightness above which colour begins to be lost."""

_CAMERA = direction(0, 12)
"""Where the fill stands: a little above the camera."""

_RIM_AZIMUTH = 150.0
_RIM_GAIN = 1.1


def gain(shape: Shape, light: Light) -> Floats:
    """Compute what linear colours are multiplied with: float32 [h, w, 3] at the shape's size.

    Exactly 1 everywhere at strength 0; the face keeps its mean brightness at any strength.
    """
    if light.strength == 0:
        return np.ones((*shape.normals.shape[:2], 3), np.float32)
    normals = shape.normals
    before = photo_shading(normals, shape.azimuth)
    key = lambert(normals, direction(light.azimuth, light.elevation), 0.2 + 0.6 * light.size)
    even = light.ambient + light.fill * lambert(normals, _CAMERA, 0.5)
    now = even[..., None] + key[..., None] * key_colour(light.temperature_k)
    ratio = now / before[..., None]
    # A photographer sets the exposure by the face: it stays as bright as it was.
    weight = shape.face / max(float(shape.face.sum()), 1e-6)
    mean = float(np.exp((weight * np.log(np.maximum(ratio @ LUMINANCE, 1e-3))).sum()))
    bent = np.power(np.maximum(ratio / max(mean, 1e-3), 1e-3), np.float32(light.strength))
    bent = _bounded(bent)
    if light.rim > 0:
        bent = bent * (1 + light.rim * light.strength * _rim(shape, light))[..., None]
    return _held_back(bent.astype(np.float32), shape.peak)


def lit(colours: Floats, field: Floats) -> Floats:
    """Multiply linear colours [H, W, 3] with a gain of any size: float32 [H, W, 3], 0 and more."""
    height, width = colours.shape[:2]
    if field.shape[:2] != (height, width):
        field = np.asarray(
            cv2.resize(field, (width, height), interpolation=cv2.INTER_LINEAR), np.float32
        )
    return np.asarray(cv2.multiply(colours, field), np.float32)


def key_colour(kelvin: float) -> Floats:
    """Colour of a lamp beside daylight: linear RGB [3] of luminance 1.

    Planckian locus by the cubic of Kim et al., US patent 7024034 (2002), 1667 to 25000 K.
    """
    lamp, day = _planck(kelvin), _planck(DAYLIGHT_K)
    relative = lamp / day
    return np.asarray(relative / float(relative @ LUMINANCE), np.float32)


def _planck(kelvin: float) -> NDArray[np.float64]:
    t = 1000.0 / kelvin
    if kelvin <= 4000:
        x = -0.2661239 * t**3 - 0.2343589 * t**2 + 0.8776956 * t + 0.179910
        y = -0.9549476 * x**3 - 1.37418593 * x**2 + 2.09137015 * x - 0.16748867
    else:
        x = -3.0258469 * t**3 + 2.1070379 * t**2 + 0.2226347 * t + 0.240390
        y = 3.0817580 * x**3 - 5.87338670 * x**2 + 3.75112997 * x - 0.37001483
    return np.asarray(XYZ_TO_SRGB @ np.array([x / y, 1.0, (1 - x - y) / y]))


def _rim(shape: Shape, light: Light) -> Floats:
    """Where a light from behind, opposite the key, touches the silhouette: float32 [h, w]."""
    side = -1.0 if light.azimuth > 0 else 1.0
    from_behind = direction(side * _RIM_AZIMUTH, 35)
    across = np.clip(shape.normals[..., :2] @ from_behind[:2] * 1.6, 0, 1)
    return np.asarray(_RIM_GAIN * across * shape.edge, np.float32)


def _bounded(ratio: Floats) -> Floats:
    """Bend a ratio softly into `_LEAST` to `_MOST`; 1 stays 1, and near 1 nothing changes."""
    up, down = np.log(_MOST), -np.log(_LEAST)
    stops = np.log(ratio)
    bent = np.where(stops > 0, up * np.tanh(stops / up), down * np.tanh(stops / down))
    return np.asarray(np.exp(bent), np.float32)


def _held_back(field: Floats, peak: Floats) -> Floats:
    """Let what is bright already rise less, and what is burnt out fall less.

    Or white collars burn out, and burnt skin, which has no colour left, turns grey. By the blurred
    brightness: a pixel's own would flatten the texture of bright skin.
    """
    bright = np.clip(peak, 0, 1)[..., None]
    more, less = np.maximum(field - 1, 0), np.maximum(1 - field, 0)
    burnt = np.clip((bright - _BURNT) / (1 - _BURNT), 0, 1)
    raised = field / (1 + more * bright * bright)
    return np.asarray(raised + less * burnt * (1 - 0.3 * burnt), np.float32)
