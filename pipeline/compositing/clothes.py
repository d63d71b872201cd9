"""Tone a person's clothes to navy, charcoal, black or white; folds and texture stay.

What is clothes is told by where it is (below the chin, on the person) and by what it is not: skin,
whose colours are read from this person's own cheeks, and hair, read from above the face.  Where
the three cannot be told apart nothing is toned.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.compositing.framing import HEAD_PER_EYES

SURE = 0.5
"""Confidence below which clothes are left as they are."""

_WORK_PX = 384
"""Longer side at which the separation is made."""


@dataclass(frozen=True)
class Tone:
    """What clothes are toned to: CIE L* of their middle, a*, b*, the share of their own contrast
    and of their own colour differences that is kept, and the most L* that highlights reach."""

    lightness: float
    a: float
    b: float
    contrast: float
    most: float


TONES: Mapping[str, Tone] = {
    "navy": Tone(19, 2.5, -17, 0.55, 62),
    "charcoal": Tone(27, 0, -1.5, 0.6, 66),
    "black": Tone(11, 0, -0.5, 0.45, 50),
    "white": Tone(86, 0.3, 1.5, 0.55, 97),
}
"""Tones by name."""


@dataclass(frozen=True)
class Clothes:
    """Where clothes are: mask float32 [H, W], 0..1, and how sure the separation is, 0..1."""

    mask: NDArray[np.float32]
    confidence: float


def toned(
    colours: NDArray[np.uint8],
    alpha: NDArray[np.uint8],
    landmarks: NDArray[np.floating],
    tone: str,
) -> tuple[NDArray[np.uint8] | None, float]:
    """Tone the clothes of a cut-out: uint8 RGB [H, W, 3] or None if unsure, and the confidence.

    colours: uint8 RGB [H, W, 3]. alpha: uint8 [H, W]. landmarks: [5, 2], see `faces.Face`.

    Raises:
        KeyError: no such tone.
    """
    target = TONES[tone]
    found = separate(colours, alpha, landmarks)
    if found.confidence < SURE:
        return None, found.confidence
    return _changed(colours, found.mask, target), found.confidence


def separate(
    colours: NDArray[np.uint8], alpha: NDArray[np.uint8], landmarks: NDArray[np.floating]
) -> Clothes:
    """Find the clothes of a cut-out.

    The confidence is the least of: how much of the lower part is clearly one thing or the other,
    how far the clothes' colours are from skin, and whether enough clothes are in the picture.
    """
    scale = min(1.0, _WORK_PX / max(alpha.shape))
    small = cv2.resize(colours, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    size = (small.shape[1], small.shape[0])
    cover = cv2.resize(alpha, size, interpolation=cv2.INTER_AREA).astype(np.float32) / 255
    points = np.asarray(landmarks, np.float64).reshape(5, 2) * scale
    lab = cv2.cvtColor(small.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
    along, down, head = places(points, size)
    skin = _model(lab, (cover > 0.9) & _cheeks(points, size, head))
    hair = _model(lab, (cover > 0.9) & (down < -0.36 * head) & (np.abs(along) < 0.5 * head))
    # Shoulders and collars stand higher than the chin, but beside the face.
    beside = _beside(along, down, head)
    body = (cover > 0.5) & (beside > 0.5)
    core = (cover > 0.5) & (down > 0.66 * head) & (np.abs(along) < 1.3 * head)
    if skin is None or core.sum() < 0.02 * core.size:
        return Clothes(np.zeros(alpha.shape, np.float32), 0.0)
    to_skin = _distance(lab, skin)
    to_hair = _distance(lab, hair) if hair is not None else np.full_like(to_skin, 1e3)
    # Hair hangs from the head: only what is joined to it by hair's own colour counts.
    hangs = joined((to_hair < 9) & (cover > 0.3) & (down > -head), down < 0.2 * head)
    sure = body & (to_skin > 14) & ~hangs & ((down > 0.62 * head) | (to_hair > 14))
    sure = cv2.morphologyEx(sure.astype(np.uint8), cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    sure = _largest(joined(sure > 0, core).astype(np.uint8))
    doubtful = core & (to_skin > 7) & (to_skin < 16)
    doubtful |= core & hangs
    clothed = float((sure[core] > 0).mean())
    chroma = float(np.median(to_skin[sure > 0])) if sure.any() else 0.0
    clear = 1 - float(doubtful[core].mean()) * 1.6
    confidence = float(np.clip(min(clear, chroma / 26, clothed * 2.2), 0, 1))
    mask = _refined(sure, small, alpha.shape)
    around = cv2.resize(beside, alpha.shape[::-1], interpolation=cv2.INTER_CUBIC)
    return Clothes(np.clip(mask * around, 0, 1).astype(np.float32), confidence)


def places(points: NDArray[np.float64], size: tuple[int, ...]) -> tuple[Any, Any, float]:
    """Each pixel's place across and down from the eyes, upright, and the head's height."""
    eyes, mouth = points[:2].mean(axis=0), points[3:].mean(axis=0)
    across = points[1] - points[0]
    apart = max(float(np.hypot(*across)), 0.923 * float(np.hypot(*(mouth - eyes))))
    right = across / max(1e-6, float(np.hypot(*across)))
    y, x = np.mgrid[0 : size[1], 0 : size[0]].astype(np.float32)
    x, y = x - np.float32(eyes[0]), y - np.float32(eyes[1])
    along = x * np.float32(right[0]) + y * np.float32(right[1])
    down = y * np.float32(right[0]) - x * np.float32(right[1])
    return along, down, HEAD_PER_EYES * apart


def _beside(along: Any, down: Any, head: float) -> Any:
    """0 in an ellipse around face and beard and above the ears, 1 where clothes may be, [h, w]."""
    ellipse = np.hypot(along / (0.40 * head), (down - 0.05 * head) / (0.53 * head))
    lower = np.clip((down / head - 0.2) * 14, 0, 1)
    return (np.clip((ellipse - 0.97) * 16, 0, 1) * lower).astype(np.float32)


def _cheeks(points: NDArray[np.float64], size: tuple[int, int], head: float) -> NDArray[np.bool_]:
    """Both cheeks, the nose and the forehead between eyes and hair: bool [h, w]."""
    mask = np.zeros((size[1], size[0]), np.uint8)
    radius = max(2, int(head * 0.06))
    for eye, corner in ((0, 3), (1, 4)):
        place = points[eye] * 0.42 + points[corner] * 0.58
        cv2.circle(mask, (int(place[0]), int(place[1])), radius, 1, -1)
    eyes, mouth = points[:2].mean(axis=0), points[3:].mean(axis=0)
    for place in (points[2], eyes - (mouth - eyes) * 0.35, mouth + (mouth - eyes) * 0.35):
        cv2.circle(mask, (int(place[0]), int(place[1])), radius, 1, -1)
    return mask > 0


def _model(lab: Any, where: NDArray[np.bool_]) -> tuple[Any, Any] | None:
    """Median and spread of the CIELAB colours there; None if there are too few."""
    values = lab[where]
    if len(values) < 24:
        return None
    middle = np.median(values, axis=0)
    spread = np.percentile(np.abs(values - middle), 75, axis=0)
    return middle, np.clip(spread, [5, 2, 2], [16, 5, 5])


def _distance(lab: Any, model: tuple[Any, Any]) -> Any:
    """How far colours are from a model: hue counts in full, lightness little (shade), [h, w]."""
    middle, spread = model
    off = lab - middle.astype(np.float32)
    # Skin in shade loses colour with its light: compare at the same lightness.
    ratio = np.clip(lab[..., :1] / max(1.0, float(middle[0])), 0.25, 1.4)
    off[..., 1:] = lab[..., 1:] - middle[1:].astype(np.float32) * ratio
    weight = np.array([0.3 * 5 / spread[0], 1.0, 1.0], np.float32)
    return np.sqrt(np.square(off * weight).sum(axis=2))


def joined(here: NDArray[np.bool_], seed: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The parts of a mask that reach a seed."""
    _, parts = cv2.connectedComponents(here.astype(np.uint8))
    known = np.unique(parts[here & seed])
    return np.isin(parts, known[known > 0])


def _largest(mask: Any) -> Any:
    """Parts of at least a twentieth of the largest: shirt and jacket stay, specks go."""
    _, parts, stats, _ = cv2.connectedComponentsWithStats(mask)
    if len(stats) < 2:
        return mask
    areas = stats[1:, cv2.CC_STAT_AREA]
    kept = 1 + np.flatnonzero(areas > areas.max() / 20)
    return np.isin(parts, kept).astype(np.uint8)


def _refined(mask: Any, guide: NDArray[np.uint8], shape: tuple[int, ...]) -> Any:
    """Bring a mask to full size along the guide's edges: guided filter, He et al., 2013."""
    grey = cv2.cvtColor(guide, cv2.COLOR_RGB2GRAY).astype(np.float32) / 255
    soft = mask.astype(np.float32)
    window, least = (7, 7), 1e-3
    mean_i, mean_p = cv2.blur(grey, window), cv2.blur(soft, window)
    slope = (cv2.blur(grey * soft, window) - mean_i * mean_p) / (
        cv2.blur(grey * grey, window) - mean_i * mean_i + least
    )
    offset = mean_p - slope * mean_i
    fitted = np.clip(cv2.blur(slope, window) * grey + cv2.blur(offset, window), 0, 1)
    fitted = np.clip((fitted - 0.15) / 0.7, 0, 1)
    return cv2.resize(fitted, (shape[1], shape[0]), interpolation=cv2.INTER_CUBIC).clip(0, 1)


def _changed(
    colours: NDArray[np.uint8], mask: NDArray[np.float32], target: Tone
) -> NDArray[np.uint8]:
    """Move the clothes' lightness and colour to a tone, keeping folds and some pattern."""
    lab = cv2.cvtColor(colours.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
    worn = mask > 0.6
    light = lab[..., 0]
    middle = float(np.median(light[worn])) if worn.any() else 50.0
    spread = float(np.percentile(np.abs(light[worn] - middle), 80)) if worn.any() else 10.0
    # Contrasts of a bold pattern are tamed; those of folds in plain cloth are kept.
    keep = target.contrast * float(np.clip(14 / max(spread, 1e-3), 0.35, 1.25))
    fold = target.lightness + (light - middle) * keep
    low = np.float32(2.0)
    fold = np.where(fold < low + 4, low + 4 * np.exp((fold - low - 4) / 4), fold)
    over = np.maximum(fold - (target.most - 12), 0)
    fold = np.minimum(fold, target.most - 12) + 12 * (1 - np.exp(-over / 12))
    tint = np.clip(fold / max(target.lightness, 1.0), 0.3, 1.6)
    if target.lightness > 60:
        tint = np.ones_like(tint)
    new = np.stack([fold, target.a * tint, target.b * tint], axis=2).astype(np.float32)
    lab += (new - lab) * mask[..., None]
    rgb = cv2.cvtColor(lab, cv2.COLOR_LAB2RGB)
    changed = np.clip(np.rint(rgb * 255), 0, 255).astype(np.uint8)
    changed[mask == 0] = colours[mask == 0]  # not even a rounding error in a face
    return np.asarray(changed, np.uint8)
