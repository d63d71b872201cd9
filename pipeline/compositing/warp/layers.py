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


def developed(light: Floats, alpha: Floats, wall: Floats, grade: Grade) -> Floats:
    """A person, fitted to a wall and graded: float32 [H, W, 3], 0 to 1, not times alpha.

    light: linear light times alpha, float32 [H, W, 3]; alpha: [H, W]; wall: linear, [H, W, 3].
    Where alpha is small the colours go on as they are inside the edge, so that a moved pixel
    never mixes in what lies behind.
    """
    fitted = at_edges(light, alpha, shoulder(wall))
    return graded(_grown(fitted, alpha), grade)


def layer(values: Floats, alpha: Floats) -> Picture:
    """Values [H, W, 3] and alpha [H, W], 0 to 1, for `moved`: uint8 RGBA [2 H - 1, 2 W - 1, 4].

    Twice as fine: a picture that is read between its pixels gets softer than one read at them,
    and the first frame, which is, would flash among the others.
    """
    height, width = alpha.shape
    whole = cv2.convertScaleAbs(cv2.merge((*cv2.split(values), alpha)), alpha=255.0)
    twice = np.array([[2, 0, 0], [0, 2, 0]], np.float64)
    size = (2 * width - 1, 2 * height - 1)
    return np.asarray(
        cv2.warpAffine(
            whole, twice, size, flags=cv2.INTER_LANCZOS4, borderMode=cv2.BORDER_REFLECT_101
        ),
        np.uint8,
    )


def moved(person: Picture, x: Floats, y: Floats) -> Picture:
    """A person's layer as read at places x, y [H, W] of the canvas: uint8 RGBA [H, W, 4]."""
    return np.asarray(cv2.remap(person, x * 2, y * 2, cv2.INTER_CUBIC), np.uint8)


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
    return np.asarray(cv2.addWeighted(own, 1 - square, mixed, 1, 0, dtype=cv2.CV_8U), np.uint8)
