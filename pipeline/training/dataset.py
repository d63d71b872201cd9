"""Photos of a person -> training pictures with words: aligned, cut out, before studio backdrops.

Eight selfies from one kitchen teach a model the kitchen.  So the person is cut out and set before
many backdrops, lights and grades, each with the words that ask for it; what all the pictures have
in common is then the person, under the one word that has no meaning yet.  Nothing is flipped (a
face is not symmetric) and nothing is retouched.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pipeline.compositing.backdrops import BACKDROPS, GRADES, LIGHTS, PERSON, caption, compose
from pipeline.compositing.segmenter import Segment
from pipeline.imaging import align, moved

if TYPE_CHECKING:
    from pipeline.photos.record import TrainingPhoto

Picture = NDArray[np.uint8]

PLAIN = 0.5
"""Probability that a picture has no grade, and that it has flat light: as styles mostly ask."""


@dataclass(frozen=True)
class Example:
    """A training picture uint8 [S, S, 3] and the words for it.

    weight: how much each pixel counts in the loss, float32 [S, S]; None where only the face does.
    sizes: see `Base.told_sizes`; empty for a whole picture.
    """

    image: Picture
    caption: str
    weight: NDArray[np.float32] | None = None
    sizes: tuple[int, ...] = ()


def recompose(
    photos: Sequence[TrainingPhoto],
    segment: Segment,
    size: int,
    *,
    variants: int,
    knows: Callable[[str], bool],
    rng: np.random.Generator,
) -> Iterator[Example]:
    """`variants` pictures of every photo, `size` pixels on a side, one after the other.

    knows: whether the base understands a text; what it does not understand is not used, because
    it would be learnt as part of the person.
    """
    backdrops = [words for words in BACKDROPS if knows(words)]
    grades = [words for words in GRADES if words and knows(words)]
    lights = [light for light in LIGHTS if light != "flat" and knows(_words_of(light))]
    order = _shuffled(backdrops, rng)
    for photo in photos:
        person = align(photo.image, photo.landmarks, size)
        matte = segment(person)
        for _ in range(variants):
            turned, cut = moved(person, matte, rng)
            words = {
                "backdrop": next(order),
                "grade": _maybe(grades, rng, otherwise=""),
                "light": _maybe(lights, rng, otherwise="flat"),
            }
            image = compose(rng, turned, cut, **words)
            yield Example(image, caption(subject=PERSON, attire=photo.said, **words))


def _words_of(light: str) -> str:
    return caption(backdrop="", light=light).partition(", ")[2]


def _shuffled(items: list[str], rng: np.random.Generator) -> Iterator[str]:
    """Endless; every item once per round, so that none is rare."""
    while True:
        yield from (items[i] for i in rng.permutation(len(items)))


def _maybe(items: list[str], rng: np.random.Generator, *, otherwise: str) -> str:
    if not items or rng.random() < PLAIN:
        return otherwise
    return items[rng.integers(len(items))]
