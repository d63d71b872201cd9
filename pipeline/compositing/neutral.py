"""Bring photos of different rooms to one neutral standard of exposure and white balance.

Nobody's skin is pulled towards a standard skin. One photo alone is changed only where its skin
has a colour that no skin has under neutral light, or where exposure failed by the white of the
eyes, which is alike in all people. Several photos of one person are brought to their own middle.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.compositing.colour import (
    LUMINANCE,
    SRGB_TO_XYZ,
    XYZ_TO_SRGB,
    Floats,
    from_lab,
    lab,
)
from pipeline.compositing.skin import Skin

MAX_STOPS = 1.0
"""Most that the exposure is changed by, in EV, up or down."""

MAX_GAIN = 1.35
"""Most that one cone response is changed by against another; 1.35 is candle light halved."""

_HUE = (36.0, 62.0)
"""Hue of skin in CIELAB, degrees. 70 strangers' photos: 5 to 95 % within 30 to 61, median 45."""

_CHROMA = (10.0, 34.0)
"""Chroma of skin in CIELAB. The same photos: 5 to 95 % within 13 to 36, median 24."""

_LIGHTNESS = (24.0, 86.0)
"""L* of skin that is left alone. The same photos: 5 to 95 % within 32 to 81. Skin
that is burnt out has lost its colour: made darker it would turn grey, so little is taken back."""

_EYES = 0.08
"""Luminance of the white of the eyes below which a photo of dark lightness is too dark. Those
photos: half within 0.15 to 0.36, whatever the skin. Deep-set eyes lie in the shade and are darker,
so the eyes alone decide nothing: see `_DOUBTFUL`."""

_HIDDEN = 0.03
"""Luminance below which it is dark glasses or closed lids that were measured."""

_DOUBTFUL = 42.0
"""L* of skin below which dark skin and too little light look alike, and the eyes are asked."""

_GREY = 5.0
"""Chroma below which a photo is black and white: its balance is then left alone."""

# Bradford's cone responses (Lam 1985; ICC.1:2010, annex E).
_XYZ_TO_LMS = np.array(
    [[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]]
)
_SRGB_TO_LMS = _XYZ_TO_LMS @ SRGB_TO_XYZ
_LMS_TO_SRGB = XYZ_TO_SRGB @ np.linalg.inv(_XYZ_TO_LMS)


@dataclass(frozen=True)
class Correction:
    """What one photo's linear colours are multiplied with.

    matrix: float32 [3, 3], exposure and balance together; stops: the exposure's part in EV.
    """

    matrix: Floats
    stops: float

    def applied(self, colours: Floats) -> Floats:
        """Correct linear RGB [H, W, 3] or [n, 3]; float32, not clipped at 1."""
        flat = np.ascontiguousarray(colours).reshape(-1, 1, 3)
        done = np.asarray(cv2.transform(flat, self.matrix), np.float32).reshape(colours.shape)
        return np.maximum(done, 0)


def standard(skins: Sequence[Skin]) -> Floats:
    """Choose the skin colour, linear RGB [3], that all photos of one person are brought to.

    Raises:
        ValueError: there is no photo.
    """
    if not skins:
        raise ValueError("a standard needs at least one photo")
    wanted = np.stack([_plausible(skin) for skin in skins])
    middle = np.median(wanted, axis=0)
    coloured = wanted[np.hypot(wanted[:, 1], wanted[:, 2]) >= _GREY]
    if len(coloured):  # photos in black and white do not vote on the colour
        middle[1:] = np.median(coloured[:, 1:], axis=0)
    return from_lab(middle)


def correction(skin: Skin, target: Floats) -> Correction:
    """Work out how one photo's skin is brought to a colour, linear RGB [3], within the bounds."""
    here, there = np.maximum(skin.colour, 1e-4), np.maximum(target, 1e-4)
    stops = float(np.log2((there @ LUMINANCE) / (here @ LUMINANCE)))
    stops = float(np.clip(stops, -MAX_STOPS, MAX_STOPS))
    balance = np.eye(3)
    _, a, b = lab(here)
    if np.hypot(a, b) >= _GREY:
        cones = (_SRGB_TO_LMS @ there) / (_SRGB_TO_LMS @ here)
        cones = np.maximum(cones, 1e-3)
        cones = np.clip(cones / np.exp(np.log(cones).mean()), 1 / MAX_GAIN, MAX_GAIN)
        balance = _LMS_TO_SRGB @ np.diag(cones) @ _SRGB_TO_LMS
        # Balance must not change the exposure: that is the other number's part.
        balance = balance * ((here @ LUMINANCE) / max(float((balance @ here) @ LUMINANCE), 1e-6))
    return Correction((balance * 2**stops).astype(np.float32), stops)


def neutral(skins: Sequence[Skin]) -> list[Correction]:
    """Work out the correction of each photo of one person, in the order given.

    Raises:
        ValueError: there is no photo.
    """
    target = standard(skins)
    return [correction(skin, target) for skin in skins]


def _plausible(skin: Skin) -> NDArray[np.float64]:
    """CIELAB [3] of the skin as neutral light would show it: moved only as far as it must be."""
    lightness, a, b = (float(value) for value in skin.lab)
    chroma, hue = float(np.hypot(a, b)), float(np.degrees(np.arctan2(b, a)))
    if chroma >= _GREY:
        hue = float(np.clip(hue, *_HUE))
        chroma = float(np.clip(chroma, *_CHROMA))
    lightness = float(np.clip(lightness, *_LIGHTNESS))
    if _HIDDEN < skin.eyes < _EYES and lightness < _DOUBTFUL:
        brighter = skin.colour * np.sqrt(_EYES / skin.eyes)
        lightness = max(lightness, float(lab(brighter)[0]))
    angle = np.radians(hue)
    return np.array([lightness, chroma * np.cos(angle), chroma * np.sin(angle)])
