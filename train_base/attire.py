"""Painting a dark suit in another colour, and the words that ask for it.

A suit in a head-and-shoulders portrait is the dark, hardly coloured part of the person below
the chin.  Where such a part is found it can be repainted with its folds kept, which teaches the
base model what "navy suit" means from portraits that nearly all show black ones.

Pictures are uint8 [S, S, 3] RGB aligned to `pipeline.imaging`'s template; masks uint8 [S, S].
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.imaging import TEMPLATE_SIZE

ATTIRE: dict[str, tuple[int, int, int]] = {
    "navy suit": (38, 52, 92),
    "grey suit": (118, 120, 126),
    "beige blazer": (196, 174, 142),
    "burgundy blazer": (112, 32, 44),
    "green blazer": (46, 92, 66),
}
"""Words -> mean RGB of the painted cloth.  "dark suit" is what the portraits wear already."""

_CHIN = 118
"""Row at 160 px below which clothes may begin; the mouth is at 109, the chin near 128."""

_DARK = 92
"""Brightest value (HSV V, 0..255) of cloth that still counts as a dark suit."""


def attire_mask(person: NDArray[np.uint8], matte: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Where a dark suit is: uint8 [S, S], 255 = suit, soft edges; empty where there is none."""
    size = person.shape[0]
    unit = size / TEMPLATE_SIZE
    hsv = cv2.cvtColor(person, cv2.COLOR_RGB2HSV)
    brightness, saturation = hsv[..., 2].astype(int), hsv[..., 1].astype(int)
    # Colour strength is saturation times value: black cloth may have any hue.
    dull = brightness * saturation < 92 * 110
    cloth = (brightness < _DARK) & dull & (matte > 200)
    # Hair and beards are dark, too: only what hangs on the shoulders below the chin counts,
    # and beside the neck the region begins lower.
    below = np.arange(size)[:, None] > _CHIN * unit
    column = np.abs(np.arange(size)[None, :] - size / 2)
    cloth &= below & ((column > 20 * unit) | (np.arange(size)[:, None] > 134 * unit))
    mask = cloth.astype(np.uint8) * 255
    kernel = np.ones((3, 3), np.uint8)
    mask = cv2.morphologyEx(mask, cv2.MORPH_OPEN, kernel)
    mask = cv2.morphologyEx(mask, cv2.MORPH_CLOSE, np.ones((5, 5), np.uint8))
    return cv2.GaussianBlur(mask, (0, 0), 0.7 * unit)


def wears_dark_suit(mask: NDArray[np.uint8], matte: NDArray[np.uint8]) -> bool:
    """Whether a mask covers enough of both shoulders to be a suit and not hair or a shadow."""
    size = mask.shape[0]
    rows = slice(int(size * 0.84), size)
    half = size // 2
    shares = []
    for side in (slice(0, half - size // 10), slice(half + size // 10, size)):
        body = (matte[rows, side] > 200).sum()
        shares.append((mask[rows, side] > 127).sum() / max(1, body))
    return min(shares) > 0.6


def paint(person: NDArray[np.uint8], mask: NDArray[np.uint8], attire: str) -> NDArray[np.uint8]:
    """The person with the masked cloth in the colour of `attire` (a key of `ATTIRE`).

    Folds are kept: the cloth's deviation from its own mean brightness is stretched to what a
    cloth of the new brightness would show.  Returns uint8 [S, S, 3].
    """
    colour = np.array(ATTIRE[attire], np.float32)
    weight = (mask.astype(np.float32) / 255)[..., None]
    luma = cv2.cvtColor(person, cv2.COLOR_RGB2GRAY).astype(np.float32)
    inside = luma[mask > 127]
    if inside.size == 0:
        return person
    mean = float(np.median(inside))
    spread = max(float(inside.std()), 4.0)
    shade = np.clip((luma - mean) / spread, -2, 2.5)[..., None]
    depth = 0.10 * float(colour.mean()) + 5.0  # grey levels per standard deviation
    cloth = np.clip(colour + shade * depth, 0, 255)
    mixed = person * (1 - weight) + cloth * weight
    return np.clip(mixed + 0.5, 0, 255).astype(np.uint8)
