"""Render a portrait: a cut-out brought into its frame, lit, set before a wall and graded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.compositing.colour import linear
from pipeline.compositing.composite import Floats, Grade, composite
from pipeline.compositing.framing import Frame

_FADE = 0.25
"""Height of the fade above the photo's lower border, as a share of the portrait's."""


@dataclass(frozen=True)
class Lighting:
    """What happens to a photo's linear colours on their way into a frame.

    gain: the lights' field that multiplies them, float32 [h, w, 3] over the whole photo at any
    size. balance: exposure and white balance before that, float32 [3, 3]. None changes nothing.
    """

    gain: Floats | None = None
    balance: Floats | None = None


class Person(Protocol):
    """A cut-out: colours uint8 RGB [H, W, 3], alpha uint8 [H, W]."""

    @property
    def colours(self) -> NDArray[np.uint8]: ...

    @property
    def alpha(self) -> NDArray[np.uint8]: ...


def render(
    person: Person,
    frame: Frame,
    light: Lighting,
    wall: Floats,
    grade: Grade,
    rng: np.random.Generator,
) -> NDArray[np.uint8]:
    """Render a portrait: uint8 RGB of the frame's size.

    wall: float32 [H, W, 3] of the frame's size, see `walls.paint`.
    """
    colours, alpha = cut(person, frame, light)
    return composite(colours, alpha, as_soft(wall, frame), grade, rng)


def as_soft(wall: Floats, frame: Frame) -> Floats:
    """A wall [H, W, 3] as soft as a photo in this frame."""
    if frame.scale > 1.05:  # an enlarged photo is soft, a wall as fine as the paper would show it
        wall = cv2.GaussianBlur(wall, (0, 0), 0.45 + 0.8 * (frame.scale - 1))
    return wall


def cut(person: Person, frame: Frame, lighting: Lighting) -> tuple[Floats, Floats]:
    """Bring person and light into a frame: linear light times alpha [H, W, 3], alpha [H, W]."""
    photo = person.alpha.shape
    left, top, right, bottom = _needed(frame.affine, frame.size, photo)
    colours = person.colours[top:bottom, left:right]
    alpha = person.alpha[top:bottom, left:right].astype(np.float32) / 255
    cover = cv2.merge((alpha, alpha, alpha))
    whole = cv2.merge((*cv2.split(cv2.multiply(linear(colours), cover)), alpha))
    moved = _moved(whole, frame, (left, top))
    light, shape = np.maximum(moved[..., :3], 0), _covered(moved[..., 3], frame, photo)
    if frame.fade:
        light *= _fading(frame, photo)[..., None]
    if lighting.balance is not None:
        light = np.maximum(cv2.transform(light, lighting.balance), 0)
    if lighting.gain is not None:
        light *= _moved_gain(lighting.gain, frame.affine, frame.size, photo)
    return light, shape


def alpha_in(alpha: NDArray[np.uint8], frame: Frame) -> Floats:
    """The alpha that `cut` brings into a frame, [H, W], of a cut-out's alpha by itself."""
    left, top, right, bottom = _needed(frame.affine, frame.size, alpha.shape)
    part = alpha[top:bottom, left:right].astype(np.float32) / 255
    # As the last of four, as there: alone it is moved by other instructions, which round otherwise.
    moved = _moved(cv2.merge((part,) * 4), frame, (left, top))[..., 3]
    return _covered(moved, frame, alpha.shape)


def _covered(moved: Floats, frame: Frame, photo: tuple[int, ...]) -> Floats:
    """Moved alpha [H, W] within 0 to 1, faded out where the frame says so."""
    shape = np.clip(moved, 0, 1)
    shape[shape > 0.998] = 1
    return shape * _fading(frame, photo) if frame.fade else shape


def _moved(whole: Floats, frame: Frame, corner: tuple[int, int]) -> Floats:
    """A part of a photo, from its corner (x, y) on, in a frame: [H, W] or [H, W, C]."""
    here = frame.affine
    here[:, 2] += here[:, :2] @ np.array(corner)
    if frame.scale < 0.6:  # cubic alone would alias: shrink by area first
        shrunk = max(0.25, frame.scale / 0.85)
        before = whole.shape[:2]
        whole = cv2.resize(whole, None, fx=shrunk, fy=shrunk, interpolation=cv2.INTER_AREA)
        ratio = np.array([before[1] / whole.shape[1], before[0] / whole.shape[0]])
        here = from_resized(here, ratio)
    size = (frame.size[1], frame.size[0])
    return np.asarray(
        cv2.warpAffine(whole, here, size, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_CONSTANT),
        np.float32,
    )


def _needed(
    matrix: NDArray[np.float64], size: tuple[int, int], photo: tuple[int, ...]
) -> tuple[int, int, int, int]:
    """The part of a photo that a frame reads: left, top, right, bottom."""
    height, width = size
    corners = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float64)
    back = cv2.invertAffineTransform(matrix)
    seen = corners @ back[:, :2].T + back[:, 2]
    low, high = (
        np.floor(seen.min(axis=0)).astype(int) - 4,
        np.ceil(seen.max(axis=0)).astype(int) + 4,
    )
    left, top = (int(v) for v in np.clip(low, 0, [photo[1] - 1, photo[0] - 1]))
    right, bottom = (int(v) for v in np.clip(high, [left + 1, top + 1], [photo[1], photo[0]]))
    return left, top, right, bottom


def from_resized(matrix: NDArray[np.float64], ratio: NDArray[np.float64]) -> NDArray[np.float64]:
    """The map [2, 3] of a picture that was resized, given the map of the picture itself.

    ratio: how many pixels of the picture (x, y) one of the resized has; centres are whole numbers.
    """
    there = matrix.copy()
    there[:, 2] += there[:, :2] @ (0.5 * ratio - 0.5)
    there[:, :2] *= ratio
    return there


def fade_of(frame: Frame, photo: tuple[int, ...]) -> tuple[float, float]:
    """Where a person has faded out, and over what height: rows of the portrait.

    photo: height and width of the photo.
    """
    back = cv2.invertAffineTransform(frame.affine)
    # Height at which each side of the portrait meets the line y = last row of the photo.
    sides = np.array([0.0, frame.size[1] - 1])
    end = float(((photo[0] - 2 - back[1, 0] * sides - back[1, 2]) / back[1, 1]).min())
    return end, _FADE * frame.size[0]


def _fading(frame: Frame, photo: tuple[int, ...]) -> Floats:
    """Factor [H, 1] that ends at 0 above the photo's lower border, eased at both ends."""
    end, length = fade_of(frame, photo)
    t = (end - np.arange(frame.size[0], dtype=np.float32)) / np.float32(length)
    t = np.clip(t, 0, 1)
    return np.asarray(t * t * (3 - 2 * t), np.float32)[:, None]


def _moved_gain(
    gain: Floats, matrix: NDArray[np.float64], size: tuple[int, int], photo: tuple[int, ...]
) -> Floats:
    """The light's field in the frame: float32 [H, W, 3]."""
    ratio = np.array([photo[1] / gain.shape[1], photo[0] / gain.shape[0]])
    there = from_resized(matrix, ratio)
    return np.asarray(
        cv2.warpAffine(
            gain, there, size[::-1], flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        ),
        np.float32,
    )
