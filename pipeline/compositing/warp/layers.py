"""What the frames of a moving portrait share: the person developed once, with colours beyond their
edge, and the wall. A frame then only moves the two and lays one over the other.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.compositing.colour import Floats, encoded, linear
from pipeline.compositing.composite import Grade, at_edges, graded, shoulder

Picture = NDArray[np.uint8]

_KNOWN = (0.05, 0.3)
"""Alpha below which a colour is taken from inside the edge; above the second it is its own."""


def person_layer(light: Floats, alpha: Floats, wall: Floats, grade: Grade) -> Picture:
    """A person, fitted to a wall and graded: uint8 RGBA [H, W, 4], colours not times alpha.

    light: linear light times alpha, float32 [H, W, 3]; alpha: [H, W]; wall: linear, [H, W, 3].
    Where alpha is small the colours go on as they are inside the edge, so that a moved pixel
    never mixes in what lies behind.
    """
    fitted = at_edges(light, alpha, shoulder(wall))
    values = graded(_grown(fitted, alpha), grade)
    rgb = cv2.convertScaleAbs(values, alpha=255.0)
    cover = cv2.convertScaleAbs(alpha, alpha=255.0)
    return np.asarray(cv2.merge((*cv2.split(rgb), cover)), np.uint8)


def _grown(fitted: Floats, alpha: Floats) -> Floats:
    """Colours [H, W, 3] of light times alpha, grown outwards from where they are known.

    A pyramid of averages weighted by alpha, filled from the coarsest down.
    """
    sure = np.clip((alpha - _KNOWN[0]) / (_KNOWN[1] - _KNOWN[0]), 0, 1)
    weight = sure * alpha
    whole = np.dstack([fitted * sure[..., None], weight])
    levels = [whole]
    while min(levels[-1].shape[:2]) > 4:
        levels.append(cv2.pyrDown(levels[-1]))
    grown = levels[-1][..., :3] / np.maximum(levels[-1][..., 3:], 1e-6)
    for level in levels[-2:0:-1]:
        grown = _over(level, cv2.pyrUp(grown, dstsize=level.shape[1::-1]))
    grown = cv2.pyrUp(grown, dstsize=alpha.shape[::-1])
    own = fitted / np.maximum(alpha, 1e-3)[..., None]
    return np.asarray(grown + (own - grown) * sure[..., None], np.float32)


def _over(level: Floats, coarser: Floats) -> Floats:
    """A level's own averages where it has enough weight, the coarser ones' elsewhere."""
    weight = level[..., 3:]
    share = np.minimum(weight * 4, 1)
    return np.asarray(
        coarser + (level[..., :3] / np.maximum(weight, 1e-6) - coarser) * share, np.float32
    )


def over(person: Picture, wall: Picture) -> Picture:
    """Lay a person RGBA [H, W, 4] over a wall RGB [H, W, 3], mixing as light does: uint8 RGB."""
    alpha = np.ascontiguousarray(person[..., 3])
    rgb = cv2.cvtColor(person, cv2.COLOR_RGBA2RGB)
    picture = cv2.copyTo(rgb, alpha, wall.copy())  # where alpha is 0 the wall stays
    edge = np.flatnonzero((alpha > 0) & (alpha < 255))
    if edge.size:
        cover = alpha.reshape(-1)[edge, None] / np.float32(255)
        front = linear(rgb.reshape(-1, 3)[edge])
        behind = linear(wall.reshape(-1, 3)[edge])
        mixed: Floats = np.asarray(behind + (front - behind) * cover, np.float32)
        picture.reshape(-1, 3)[edge] = cv2.convertScaleAbs(encoded(mixed), alpha=255.0)
    return np.asarray(picture, np.uint8)


def between(own: Picture, ends: tuple[Picture, Picture], at: float) -> Picture:
    """A person's layer in a light between three: at -1 the first of `ends`, 0 `own`, 1 the second.

    A parabola through the three, for each pixel; lights so near to each other need no more.
    """
    square = at * at
    first, second = (square - at) / 2, (square + at) / 2
    mixed = cv2.addWeighted(ends[0], first, ends[1], second, 0, dtype=cv2.CV_16S)
    return np.asarray(
        np.clip(cv2.addWeighted(own, 1 - square, mixed, 1, 0, dtype=cv2.CV_16S), 0, 255), np.uint8
    )
