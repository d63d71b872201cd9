"""Ground truth for matting: portraits before plain walls, cut by the wall's own colour.

A wall is a smooth surface: a quadratic of x and y per channel plus a low-passed residual, fitted
where the segmenter is sure to see no person. What differs from it by more than its noise is the
person; closed-form matting decides only about the few pixels between. Portraits whose walls are
textured, or too like the person's edge, are refused: what remains cuts almost perfectly.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.compositing.segmenter import Segment

Floats = NDArray[np.float32]

MAX_WALL_NOISE = 4.5
"""95th percentile of the wall's difference from the fitted wall, grey levels of 255."""

MIN_CONTRAST = 26.0
"""Difference of 90 % of the person's edge from the wall before it, grey levels."""

MIN_AGREEMENT = 0.955
"""Overlap (intersection over union) of the person by colour and by the segmenter."""


@dataclass(frozen=True)
class Truth:
    """A person whose matte is known. colours: float32 [H, W, 3], alpha: float32 [H, W], 0 to 1.

    noise, contrast: of the wall, grey levels. agreement: with the segmenter, 0 to 1.
    """

    colours: Floats
    alpha: Floats
    noise: float
    contrast: float
    agreement: float


@dataclass(frozen=True)
class Key:
    """A person by colour alone, before any alpha. person: bool [H, W]."""

    person: NDArray[np.bool_]
    difference: Floats
    noise: float
    contrast: float
    agreement: float

    @property
    def fit(self) -> bool:
        """Whether the wall is plain enough for ground truth."""
        return (
            self.noise <= MAX_WALL_NOISE
            and self.contrast >= MIN_CONTRAST
            and self.agreement >= MIN_AGREEMENT
        )


def key(image: NDArray[np.uint8], segment: Segment) -> Key | None:
    """Separate a person from a plain wall by colour; None where hardly any wall is seen."""
    mask = segment(image)
    side = max(image.shape[:2])
    ink = image.astype(np.float32)
    if float(np.ptp(ink, axis=2).mean()) < 4:
        return None  # black and white: colour tells such a person from any room
    wall_seen = _shrunk(mask < 15, 0.03 * side)
    if wall_seen.mean() < 0.12:
        return None
    wall = _fitted_wall(ink, wall_seen, 0.04 * side)
    difference = np.abs(ink - wall).max(axis=2)
    noise = float(np.percentile(difference[wall_seen], 95))
    threshold = max(9.0, 2.5 * noise)
    person = _joined(difference > threshold, _shrunk(mask > 240, 0.03 * side))
    inner = _shrunk(person, 2) & ~_shrunk(person, max(5.0, 0.015 * side))
    if not inner.any():
        return None
    both = (person & (mask > 127)).sum() / max(1, (person | (mask > 127)).sum())
    contrast = float(np.percentile(difference[inner], 10))
    return Key(person, difference, noise, contrast, float(both))


def truth(image: NDArray[np.uint8], found: Key) -> Truth:
    """Turn a key into alpha and colours: closed form on the few pixels about its edge."""
    from pymatting import estimate_alpha_cf, estimate_foreground_ml

    side = max(image.shape[:2])
    reach = max(1.5, 0.005 * side)
    trimap = np.full(image.shape[:2], 0.5)
    trimap[_shrunk(found.person, 1.6 * reach)] = 1
    trimap[_shrunk(~found.person, reach)] = 0
    ink = image / 255.0
    alpha = estimate_alpha_cf(ink, trimap)
    alpha = np.clip((alpha - 0.02) / 0.96, 0, 1)
    colours = estimate_foreground_ml(ink, alpha)
    return Truth(
        colours.astype(np.float32),
        alpha.astype(np.float32),
        found.noise,
        found.contrast,
        found.agreement,
    )


def hair_width(alpha: Floats, box: tuple[float, float, float, float]) -> float:
    """How wide a head is beside and below the mouth, in widths of the face; long hair: above 1.2.

    box: the face's x, y, width, height.
    """
    _, top, width, height = box
    rows = alpha[max(0, int(top + 0.55 * height)) : max(1, int(top + height))]
    return float(rows.sum() / max(1, len(rows)) / width)


def _fitted_wall(ink: Floats, seen: NDArray[np.bool_], reach: float) -> Floats:
    """The wall behind everything: float32 [H, W, 3], fitted where it is seen."""
    height, width = ink.shape[:2]
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    x, y = x / width - 0.5, y / height - 0.5
    terms = np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], axis=2)
    rows = terms[seen]
    solved, *_ = np.linalg.lstsq(rows, ink[seen], rcond=None)
    wall = (terms @ solved).astype(np.float32)
    weight = cv2.GaussianBlur(seen.astype(np.float32), (0, 0), reach)[..., None]
    rest = cv2.GaussianBlur((ink - wall) * seen[..., None], (0, 0), reach)
    return np.asarray(wall + rest / (weight + 0.05), np.float32)


def _shrunk(area: NDArray[np.bool_], by: float) -> NDArray[np.bool_]:
    """The pixels of a bool [H, W] area at least `by` pixels inside it; the frame is no edge."""
    far = cv2.distanceTransform(area.astype(np.uint8), cv2.DIST_L2, 5) if not area.all() else None
    return area.copy() if far is None else np.asarray(far > by)


def _joined(differs: NDArray[np.bool_], sure: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """What differs from the wall and hangs together with the sure person, holes filled."""
    area = (differs | sure).astype(np.uint8)
    _, parts = cv2.connectedComponents(area, connectivity=8)
    kept = np.unique(parts[sure])
    person = np.isin(parts, kept[kept > 0])
    _, gaps, stats, _ = cv2.connectedComponentsWithStats((~person).astype(np.uint8))
    small = 0.002 * area.size  # larger gaps are wall seen through an arm or curls
    holes = np.flatnonzero(stats[:, cv2.CC_STAT_AREA] < small)
    return np.asarray(person | np.isin(gaps, holes[holes > 0]))
