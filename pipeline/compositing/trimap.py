"""From a coarse matte to a trimap: person, wall, and the unknown band in which alpha is solved.

Here also islands are thrown away and small holes are filled, before anything fine is computed.
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.compositing.refine import Coarse, Floats
from pipeline.imaging import Face

Area = NDArray[np.bool_]

PERSON, WALL = 0.96, 0.04
"""Coarse alpha above which a pixel may be known as person, and below which as wall."""

_INNER, _OUTER = 0.003, 0.003
"""How far known pixels stay from the coarse edge, as a share of the long side."""

_HAIR_INNER, _HAIR_OUTER = 0.006, 0.009
"""The same around the hair, where single strands leave the coarse edge."""

_DOUBT = 0.25
"""Disagreement of the mirrored masks above which a pixel is unknown whatever they say."""

_GAP = 0.004
"""Gaps inside the person smaller than this share of the picture are filled: no wall shows there."""


class Cleaned(NamedTuple):
    """A coarse matte without islands. alpha: float32 [h, w]. dropped: their share of the person.

    gaps: share of the person's silhouette that is enclosed wall and was left open.
    """

    alpha: Floats
    dropped: float
    gaps: float


def cleaned(alpha: Floats, face: Face | None) -> Cleaned:
    """Keep what hangs together with the face (or else the largest part) and fill small gaps.

    The face's coordinates are those of the matte.
    """
    solid = (alpha > 0.5).astype(np.uint8)
    count, parts, stats, _ = cv2.connectedComponentsWithStats(solid, connectivity=4)
    if count < 2:
        return Cleaned(np.zeros_like(alpha), 0.0, 0.0)
    person = _part_of_the_face(parts, face) or 1 + int(np.argmax(stats[1:, cv2.CC_STAT_AREA]))
    size = int(stats[person, cv2.CC_STAT_AREA])
    dropped = (int(solid.sum()) - size) / size
    kept = parts == person
    # Soft pixels belong to the part that they touch, so those nearer to an island go with it.
    near = cv2.dilate(kept.astype(np.uint8), disc(0.05 * max(alpha.shape))) > 0
    islands = (parts > 0) & ~kept
    if islands.any():
        to_person = cv2.distanceTransform((~kept).astype(np.uint8), cv2.DIST_L2, 5)
        to_island = cv2.distanceTransform((~islands).astype(np.uint8), cv2.DIST_L2, 5)
        near &= to_person < to_island
    alpha = np.where(near, alpha, 0).astype(np.float32)
    _, open_parts, open_stats, _ = cv2.connectedComponentsWithStats((alpha <= 0.5).astype(np.uint8))
    inside = [n for n in range(1, len(open_stats)) if not _touches_frame(open_stats[n], alpha)]
    small = [n for n in inside if open_stats[n, cv2.CC_STAT_AREA] < _GAP * alpha.size]
    filled = np.isin(open_parts, small)
    left = sum(int(open_stats[n, cv2.CC_STAT_AREA]) for n in inside if n not in small)
    alpha[filled] = np.maximum(alpha[filled], 0.5)  # half: the fine solver says what is there
    return Cleaned(alpha, dropped, left / (left + size))


def make_trimap(coarse: Coarse, alpha: Floats, face: Face | None) -> Floats:
    """Mark person 1, wall 0 and the unknown band 0.5: float32 [h, w].

    alpha: the coarse matte after `cleaned`. The band is wider about the hair and wherever the
    mirrored masks disagreed or the network moved far from the mask.
    """
    side = max(alpha.shape)
    from_wall = _distance(alpha > WALL)
    hair = hair_zone(alpha.shape, face)
    inner = np.where(hair, _HAIR_INNER, _INNER) * side
    outer = np.where(hair, _HAIR_OUTER, _OUTER) * side
    trimap = np.full(alpha.shape, 0.5, np.float32)
    inside = cv2.distanceTransform((alpha >= PERSON).astype(np.uint8), cv2.DIST_L2, 5)
    trimap[inside > inner] = 1
    trimap[from_wall > outer] = 0
    moved = np.abs(alpha - coarse.mask) > 0.6
    doubtful = (coarse.doubt > _DOUBT) | moved
    near_edge = (inside < 4 * inner) & (from_wall < 3 * outer)
    trimap[doubtful & near_edge] = 0.5
    return trimap


def hair_zone(shape: tuple[int, ...], face: Face | None) -> Area:
    """Where hair may be: about the head and down to the chest, without what is under the chin."""
    zone = np.zeros(shape[:2], np.uint8)
    if face is None:
        return np.ones(shape[:2], bool)
    left, top, width, height = face.box
    centre = (round(left + width / 2), round(top + 0.55 * height))
    cv2.ellipse(zone, centre, (round(1.15 * width), round(1.35 * height)), 0, 0, 360, 1, -1)
    return zone > 0


def disc(size: float) -> NDArray[np.uint8]:
    """A round structuring element of about `size` pixels across, at least 3."""
    return np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (max(3, int(size) | 1),) * 2))


def _distance(area: Area) -> Floats:
    """How far each pixel is from the nearest one of an area, pixels; large where there is none."""
    if not area.any():
        return np.full(area.shape, 1e6, np.float32)
    far = cv2.distanceTransform((~area).astype(np.uint8), cv2.DIST_L2, 5)
    return np.asarray(far, np.float32)


def _part_of_the_face(parts: NDArray[np.int32], face: Face | None) -> int | None:
    """The part that covers most of the face's middle; None where none does."""
    if face is None:
        return None
    left, top, width, height = face.box
    rows = slice(max(0, int(top + 0.2 * height)), max(0, int(top + 0.8 * height)) + 1)
    columns = slice(max(0, int(left + 0.2 * width)), max(0, int(left + 0.8 * width)) + 1)
    counts = np.bincount(parts[rows, columns].ravel())
    if counts.size < 2 or counts[1:].max() == 0:
        return None
    return 1 + int(np.argmax(counts[1:]))


def _touches_frame(stats: NDArray[np.int32], alpha: Floats) -> bool:
    """Whether a component reaches the picture's border."""
    left, top, width, height = (int(v) for v in stats[:4])
    return left == 0 or top == 0 or left + width == alpha.shape[1] or top + height == alpha.shape[0]
