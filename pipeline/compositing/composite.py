"""Set a cut-out person before a wall, in linear light, and grade the whole picture.

Nothing here changes a pixel that is wholly the person's (alpha 1) except the grade.  What makes a
picture look pasted sits at the edge: the old room's light on hair and cheeks, an edge harder than
the lens, a wall without the photo's grain.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.compositing.colour import LUMINANCE, encoded_exact

Floats = NDArray[np.float32]

_STEPS = 16383
"""Entries of the table from linear light to graded values; spaced by square roots of light."""

_KNEE = 0.72
"""Linear light above which a wall's brightness is bent towards white instead of cut off."""

_WRAP = 0.22
"""Share of the wall's light that reaches round a half-covered edge."""

_MOST_WRAP, _LEAST_WRAP = 0.35, 0.012
"""It adds at most this share of the edge's own light, and this much where that is black."""

_FRINGE_UP, _FRINGE_DOWN = 1.4, 0.6
"""Bounds of an edge's brightness beside that of the person just inside it."""

_LEAST_GRAIN, _MOST_GRAIN = 0.5 / 255, 7 / 255
"""Bounds of the wall's grain, standard deviation of encoded values: below the first it bands."""

_MONO = np.array([0.34, 0.54, 0.12], np.float32)
"""Weights of a black-and-white film behind a light yellow filter: calm skin, darker skies."""


@dataclass(frozen=True)
class Grade:
    """How a picture is developed.

    exposure: stops. contrast: 0 none to 1 strong, below 0 flatter. saturation: 1 as it is.
    warmth: -1 cool to 1 warm. lift: how grey black is, 0 to 0.2. monochrome: without colour.
    """

    exposure: float = 0.0
    contrast: float = 0.0
    saturation: float = 1.0
    warmth: float = 0.0
    lift: float = 0.0
    monochrome: bool = False


GRADES: Mapping[str, Grade] = {
    "neutral": Grade(),
    "crisp": Grade(contrast=0.18, saturation=1.02),
    "bright": Grade(exposure=0.12, contrast=0.05),
    "warm": Grade(contrast=0.12, warmth=0.3),
    "golden": Grade(contrast=0.16, warmth=0.55, saturation=0.97),
    "cool": Grade(contrast=0.12, warmth=-0.25, saturation=0.96),
    "film": Grade(contrast=0.2, warmth=0.12, saturation=0.88, lift=0.025),
    "muted": Grade(contrast=0.08, saturation=0.8, lift=0.02),
    "rich": Grade(contrast=0.26, saturation=1.08),
    "black-white": Grade(contrast=0.3, monochrome=True),
    "noir": Grade(exposure=-0.15, contrast=0.6, monochrome=True),
    "silver": Grade(exposure=0.08, contrast=0.1, lift=0.03, monochrome=True),
}
"""Grades by the name that a look's `[photo]` table says."""


def composite(
    person: Floats, alpha: Floats, wall: Floats, grade: Grade, rng: np.random.Generator
) -> NDArray[np.uint8]:
    """Lay a person over a wall: uint8 RGB [H, W, 3].

    person: float32 [H, W, 3], linear light times alpha. alpha: float32 [H, W], 0..1. wall: float32
    [H, W, 3], linear, may exceed 1. rng: for the wall's grain.
    """
    behind = shoulder(wall)
    rest = 1 - alpha
    picture = _times(behind, rest)
    picture += at_edges(person, alpha, behind)
    values = graded(picture, grade)
    rest *= wall_grain(values, alpha, rng)
    values += cv2.merge((rest, rest, rest))
    # One pass: rounds to the nearest and stops at 255; what is below 0 is below half a level.
    return np.asarray(cv2.convertScaleAbs(values, alpha=255.0), np.uint8)


def wall_grain(values: Floats, alpha: Floats, rng: np.random.Generator) -> Floats:
    """Grain for a wall, as strong as the person's: float32 [H, W] of encoded values 0..1.

    values: a graded picture of the person, [H, W, 3]; alpha: [H, W].
    """
    level = float(np.clip(grain(values, alpha), _LEAST_GRAIN, _MOST_GRAIN))
    return _noise(rng, alpha.shape) * np.float32(level)


def shoulder(light: Floats) -> Floats:
    """Bend light above `_KNEE` towards 1, as film does, so that windows have no hard rim."""
    if float(light.max()) <= _KNEE:
        return light
    # Most of a room is below: only the pixels above pay for the exponential.
    flat = light.reshape(-1).copy()
    bright = np.flatnonzero(flat > _KNEE)
    over = flat[bright] - np.float32(_KNEE)
    room = np.float32(1 - _KNEE)
    flat[bright] = np.float32(_KNEE) + room * (1 - np.exp(over * np.float32(-0.62 / room)))
    return flat.reshape(light.shape)


def at_edges(person: Floats, alpha: Floats, wall: Floats) -> Floats:
    """Fit half-covered pixels to the new wall; those of alpha 1 and 0 stay.

    First the old room's light is bounded by the person's own colours just inside the edge, then a
    little of the new wall's light is let round it, never more than the edge itself has.
    """
    rows, columns = np.nonzero((alpha > 0.004) & (alpha < 0.996))
    if rows.size == 0:
        return person
    height, width = alpha.shape
    small = small_size(alpha.shape)
    solid = (alpha > 0.98).astype(np.float32)
    reach = _reach(small)
    inside = cv2.resize(_times(person, solid), small, interpolation=cv2.INTER_AREA)
    inside = cv2.GaussianBlur(inside, (0, 0), reach)
    weight = cv2.GaussianBlur(cv2.resize(solid, small, interpolation=cv2.INTER_AREA), (0, 0), reach)
    at_x = ((columns + 0.5) * (small[0] / width) - 0.5).astype(np.float32)
    at_y = ((rows + 0.5) * (small[1] / height) - 0.5).astype(np.float32)
    outside = light_around(alpha, wall, small)
    inner, share, around = (_sampled(field, at_x, at_y) for field in (inside, weight, outside))
    cover = alpha[rows, columns][:, None]
    own: Floats = person[rows, columns] / cover
    known = np.clip((share[:, None] - 0.02) * 12, 0, 1)
    inner = (inner / np.maximum(share[:, None], 1e-4)).astype(np.float32)
    own_y, inner_y = own @ LUMINANCE + 1e-5, inner @ LUMINANCE + 1e-5
    ratio = np.clip(inner_y / own_y * _FRINGE_UP, None, 1.0) * np.clip(
        inner_y / own_y * _FRINGE_DOWN, 1.0, 3.0
    )
    pull = known * np.minimum(4 * (1 - cover), 0.95)
    own = (own * (1 + (ratio[:, None] - 1) * pull)).astype(np.float32)
    wrap = np.minimum(around * (_WRAP * (1 - cover)), _MOST_WRAP * own + _LEAST_WRAP)
    result = person.copy()
    result[rows, columns] = (own + wrap) * cover
    return result


def unwrapped(light: Floats, around: Floats, cover: Floats) -> Floats:
    """Take the wall's light out of edges again, where `at_edges` let it round them.

    light, around: float32 [N, 3], of the edge and of the wall beside it; cover: alpha [N, 1].
    """
    most = (light - _LEAST_WRAP) / (1 + _MOST_WRAP)
    return np.asarray(np.maximum(light - around * (_WRAP * (1 - cover)), most), np.float32)


def light_around(alpha: Floats, wall: Floats, small: tuple[int, int]) -> Floats:
    """The wall's light beside the person, blurred: float32 [h, w, 3] of a `small_size`."""
    gap = 1 - cv2.resize(alpha, small, interpolation=cv2.INTER_AREA)
    outside = _times(cv2.resize(wall, small, interpolation=cv2.INTER_AREA), gap)
    return np.asarray(cv2.GaussianBlur(outside, (0, 0), _reach(small)), np.float32)


def small_size(shape: tuple[int, ...]) -> tuple[int, int]:
    """Width and height at which light near edges is looked at."""
    return max(8, shape[1] // 8), max(8, shape[0] // 8)


def _reach(small: tuple[int, int]) -> float:
    return max(1.0, 0.012 * max(small))


def graded(picture: Floats, grade: Grade) -> Floats:
    """Develop linear light [H, W, 3] into encoded values 0..1, float32."""
    if grade.monochrome:
        picture = cv2.transform(picture, _MONO[None])
        grey = _look_up(picture, grade)
        return np.asarray(cv2.merge((grey, grey, grey)))
    mix = _mix(grade.saturation, grade.warmth)
    if mix is not None:
        picture = cv2.transform(picture, mix)
    return _look_up(picture, grade)


def development(grade: Grade, steps: int) -> tuple[Floats, Floats]:
    """What `graded` does, as data: matrix [3, 3] of linear light, and encoded values [steps] of
    the light (i / (steps - 1))^2, 0 to 1."""
    if grade.monochrome:
        matrix: Floats = np.broadcast_to(_MONO, (3, 3)).copy()
    else:
        mix = _mix(grade.saturation, grade.warmth)
        matrix = np.eye(3, dtype=np.float32) if mix is None else mix
    light = np.square(np.linspace(0, 1, steps, dtype=np.float32))
    return matrix, _look_up(light, grade)


def grain(values: Floats, alpha: Floats) -> float:
    """Measure the noise of the person's pixels: standard deviation of encoded values 0..1.

    Median of the absolute second differences in the quietest quarter of blocks of 8 by 8
    (Immerkær, Fast Noise Variance Estimation, 1996, made robust by the median).
    """
    step = max(1, min(alpha.shape) // 1024)
    green = values[::step, ::step, 1]
    solid = alpha[::step, ::step] > 0.999
    kernel = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32) / 6
    rough = np.abs(cv2.filter2D(green, cv2.CV_32F, kernel))
    rows, columns = (n // 8 for n in green.shape)
    if rows == 0 or columns == 0:
        return 0.0
    shape = (columns, rows)
    whole = cv2.resize(solid.astype(np.float32)[: rows * 8, : columns * 8], shape, interpolation=3)
    mean = cv2.resize(rough[: rows * 8, : columns * 8], shape, interpolation=cv2.INTER_AREA)
    light = cv2.resize(green[: rows * 8, : columns * 8], shape, interpolation=cv2.INTER_AREA)
    blocks = mean[(whole > 0.99) & (light > 0.12) & (light < 0.93)]
    if blocks.size < 16:
        return 0.0
    # Mean of |x| of a normal x is 0.80 of its deviation.
    return float(np.percentile(blocks, 25)) / 0.8


def _sampled(field: Floats, x: Floats, y: Floats) -> Floats:
    """Read a small field at N places, bilinear: [N, C] or [N]."""
    # OpenCV's remap takes at most 32767 rows or columns: a list of places is folded.
    count = len(x)
    wide = min(count, 8192)
    fill = -count % wide
    across, down = (np.pad(a, (0, fill), mode="edge").reshape(-1, wide) for a in (x, y))
    read = cv2.remap(field, across, down, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(read.reshape(-1, *field.shape[2:])[:count], np.float32)


def _noise(rng: np.random.Generator, shape: tuple[int, ...]) -> Floats:
    """Grain of deviation 1, as fine as a camera's after its own smoothing, from one tile."""
    tile = cv2.GaussianBlur(rng.standard_normal((512, 512), np.float32), (3, 3), 0.55)
    tile /= tile.std()
    repeats = [-(-shape[0] // 512), -(-shape[1] // 512)]
    return np.tile(tile, repeats)[: shape[0], : shape[1]]


def _mix(saturation: float, warmth: float) -> Floats | None:
    """Matrix [3, 3] of warmth (luminance kept) and saturation; None if it changes nothing."""
    if saturation == 1 and warmth == 0:
        return None
    lamp = np.array([1 + 0.14 * warmth, 1.0, 1 - 0.2 * warmth], np.float32)
    lamp /= float(lamp @ LUMINANCE)
    grey = np.broadcast_to(LUMINANCE, (3, 3))
    mix = grey + saturation * (np.eye(3, dtype=np.float32) - grey)
    return np.ascontiguousarray(mix * lamp[None], np.float32)


@lru_cache(maxsize=64)
def _table(grade: Grade) -> Floats:
    """Encoded, exposed and curved values of the light (i / _STEPS)^2."""
    light = np.square(np.arange(_STEPS + 1) / _STEPS) * 2.0**grade.exposure
    if grade.exposure > 0:
        light = shoulder(light.astype(np.float32))
    x = encoded_exact(light).astype(np.float64)
    # The usual S through 0, 1/2 and 1, moved down to where skin's middle is.
    bent = x**1.12
    curve = bent * bent * (3 - 2 * bent)
    curve = np.where(bent > 0, curve ** (1 / 1.12), 0)
    x = (1 - grade.contrast) * x + grade.contrast * curve
    return (grade.lift + (1 - grade.lift) * np.clip(x, 0, 1)).astype(np.float32)


def _look_up(light: Floats, grade: Grade) -> Floats:
    """Read the table of a grade, at most an eighth of a grey level from its curve."""
    place = np.maximum(light, 0)
    cv2.sqrt(place, place)
    place *= np.float32(_STEPS)
    place += np.float32(0.5)
    np.minimum(place, np.float32(_STEPS), out=place)
    return _table(grade)[place.astype(np.uint16)]


def _times(picture: Floats, plane: Floats) -> Floats:
    """Multiply [H, W, 3] with [H, W]; faster than broadcasting over the last axis."""
    return np.asarray(cv2.multiply(picture, cv2.merge((plane, plane, plane))), np.float32)
