"""Photos of a person -> training pictures of a large base: what the camera saw, near and far.

A large base knows walls, lights and turned heads already; what it is to learn is one person.  So
nothing is painted, turned or enlarged: the cut-outs are cropped, near and far, before an even wall
that the caption names, and the loss looks at the person: `weight_of`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.compositing.backdrops import PERSON
from pipeline.compositing.clothes import separate
from pipeline.compositing.segmenter import Segment
from pipeline.imaging import CutOut
from pipeline.photos.crop import aligned_square
from pipeline.photos.record import PLAIN_WALL
from pipeline.training.dataset import Example

if TYPE_CHECKING:
    from pipeline.photos.record import TrainingPhoto

CLOTHES, ELSEWHERE = 0.3, 0.1
"""How much an error counts there; on the person it counts 1."""

BUCKETS = (1.0, 0.75, 0.5, 0.25)
"""Sides of pictures, as shares of the base's resolution; those of one size are learnt at once."""

ENOUGH = 0.5
"""A framing with fewer pixels, as a share of the resolution, is left out if there is another."""

NEARLY = 0.8
"""Share of a framing's side that a photo must have, for the framing to be called that."""

WALLS = {"white": 245, "light grey": 200, "grey": 128, "dark grey": 60}

SHIFT = 0.03
"""Share of a crop's side by which it may lie aside, either way."""


class Framing(NamedTuple):
    """What is shown: `side`, in sides of the square that alignment cuts out, and how far it begins
    `above` that square, in its own."""

    words: str
    side: float
    above: float


FRAMINGS = (
    Framing("close-up", 0.85, 0.0),
    Framing("head and shoulders", 1.3, 0.1),
    Framing("upper body", 2.1, 0.12),
)
"""The nearest first; the last is hardly less than is kept of a photo (`crop.KEPT_MARGIN`)."""


def framed(
    photos: Sequence[TrainingPhoto],
    segment: Segment,
    size: int,
    *,
    variants: int,
    rng: np.random.Generator,
    subject: str = PERSON,
) -> Iterator[Example]:
    """`variants` pictures of every photo, at most `size` pixels on a side, one after the other.

    segment: for photos without alpha. subject: what captions call the person.
    """
    for photo in photos:
        person = _Person(photo, segment, round(BUCKETS[-1] * size))
        framings = person.framings(ENOUGH * size)
        for number in range(variants):
            yield person.example(framings[number % len(framings)], size, subject, rng)


def weight_of(
    image: NDArray[np.uint8], alpha: NDArray[np.uint8], landmarks: NDArray[np.float32]
) -> NDArray[np.float32]:
    """How much each pixel of a cut-out counts, float32 [H, W], `ELSEWHERE` to 1.

    Clothes are taken as found, however surely: unlike in a portrait, nobody sees a mistake here.
    """
    worn = separate(image, alpha, landmarks).mask
    cover = alpha.astype(np.float32) / 255
    return np.asarray(ELSEWHERE + cover * (1 - ELSEWHERE - (1 - CLOTHES) * worn), np.float32)


class _Person:
    """A photo in full: picture before `PLAIN_WALL`, alpha, and the weight of each pixel."""

    def __init__(self, photo: TrainingPhoto, segment: Segment, least: int) -> None:
        """least: pixels of the shorter side; a smaller photo gets more wall, not larger pixels."""
        self.original, self.least, self.said = photo.image.shape[:2], least, photo.said
        image, alpha = photo.image, photo.alpha
        if alpha is None:
            alpha = segment(image)
            image = CutOut(image, alpha).before(PLAIN_WALL)
        weight = weight_of(image, alpha, photo.landmarks)
        below, beside = (max(0, least - side) for side in self.original)

        def widened(plane: NDArray, value: float) -> NDArray:  # type: ignore[type-arg]
            around = (0, below, 0, beside, cv2.BORDER_CONSTANT)
            return cv2.copyMakeBorder(plane, *around, value=[value] * 3)

        self.image = widened(image, PLAIN_WALL)
        self.alpha, self.weight = widened(alpha, 0), widened(weight, ELSEWHERE)
        self.box = aligned_square(photo.landmarks)
        self.widest = min(self.alpha.shape)

    def framings(self, enough: float) -> list[Framing]:
        """Those that the photo has with at least `enough` pixels; else the widest that it has."""
        there = [f for f in FRAMINGS if self.widest >= NEARLY * self._side(f)] or [FRAMINGS[0]]
        return [f for f in there if self._side(f) >= enough] or there[-1:]

    def _side(self, framing: Framing) -> float:
        return framing.side * (self.box.right - self.box.left)

    def example(
        self, framing: Framing, size: int, subject: str, rng: np.random.Generator
    ) -> Example:
        left, top, side = self._place(framing, rng)
        px = max(round(b * size) for b in BUCKETS if round(b * size) <= side)

        def cropped(plane: NDArray) -> NDArray:  # type: ignore[type-arg]
            part = plane[top : top + side, left : left + side]
            return cv2.resize(part, (px, px), interpolation=cv2.INTER_AREA)

        wall = list(WALLS)[rng.integers(len(WALLS))]
        plain = f"plain {wall} background"
        behind = 1 - cropped(self.alpha)[..., None].astype(np.float32) / 255
        image = cropped(self.image) + (WALLS[wall] - PLAIN_WALL) * behind
        corner = (round(edge * px / side) for edge in (top, left))
        return Example(
            np.clip(np.rint(image), 0, 255).astype(np.uint8),
            ", ".join(filter(None, (f"{framing.words} photo of {subject}", self.said, plain))),
            cropped(self.weight),
            (*self.original, *corner, px, px),
        )

    def _place(self, framing: Framing, rng: np.random.Generator) -> tuple[int, int, int]:
        """Left, top and side of a crop, in pixels, within the photo."""
        side = min(max(round(self._side(framing)), self.least), self.widest)
        x, y = rng.uniform(-SHIFT, SHIFT, 2) * side
        left = (self.box.left + self.box.right - side) / 2 + x
        top = self.box.top - framing.above * self._side(framing) + y
        height, width = self.alpha.shape
        return (
            int(np.clip(round(left), 0, width - side)),
            int(np.clip(round(top), 0, height - side)),
            side,
        )
