"""One random training picture: a person, turned a little, lit, dressed and put before a wall.

All randomness comes from the generator that is passed in; the words that describe the picture
come back with it.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.compositing.backdrops import BACKDROPS, GRADES, LIGHTS, caption, compose
from pipeline.imaging import TEMPLATE_SIZE
from train_base.attire import ATTIRE, attire_mask, paint, wears_dark_suit
from train_base.data import MARGIN, Portraits

_GRADE_CHANCES = {
    "": 0.60, "warm": 0.10, "cool": 0.10, "black and white": 0.10, "sepia": 0.04,
    "high contrast": 0.06,
}  # fmt: skip
_LIGHT_CHANCES = {"flat": 0.5, "left": 0.15, "right": 0.15, "top": 0.1, "rim": 0.1}
_GREY_GRADES = ("black and white", "black and white", "black and white", "sepia")
"""For photographs without colour; one in four as sepia, so that the word is learnt."""

_STRETCH = 0.05
"""So that a face is seldom seen twice the same: the base must know faces, and nobody's."""

_PAINTED = 0.35
"""Share of dark suits that are painted in another colour."""

_SAYS_SEX = 0.3
"""Share of captions that say woman or man, where the label is near certain."""


_OPENINGS = ("portrait of", "headshot of", "professional photo of", "natural photo of")
"""Said instead of "photo of" once in eight, so that people's usual words are known."""


@dataclass(frozen=True)
class Person:
    """One photograph ready to be restyled.  All arrays uint8, 192 px on a side."""

    image: NDArray[np.uint8]
    matte: NDArray[np.uint8]
    woman: float
    in_colour: bool


def person_at(table: Portraits, row: int, woman: NDArray[np.float32]) -> Person:
    return Person(table.image[row], table.matte[row], float(woman[row]), bool(table.in_colour[row]))


def jitter(
    rng: np.random.Generator,
    person: Person,
    strength: float = 1.0,
    *,
    mirror: bool = True,
    stretch: float = 0.0,
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """A 160 px crop and matte, turned, scaled, shifted and (`mirror`) half the time mirrored.

    stretch: how much wider or narrower the face becomes at most, as a share.
    """
    centre = (MARGIN + TEMPLATE_SIZE / 2, MARGIN + TEMPLATE_SIZE / 2)
    turn = float(rng.uniform(-3, 3)) * strength
    scale = 1 + float(rng.uniform(-0.05, 0.06)) * strength
    transform = cv2.getRotationMatrix2D(centre, turn, scale)
    if stretch:
        wider = 1 + float(rng.uniform(-stretch, stretch))
        transform[:, :2] *= (wider, 1 / wider)
        transform[:, 2] = centre - transform[:, :2] @ centre
    transform[:, 2] += rng.uniform(-3, 3, 2) * strength - MARGIN
    size = (TEMPLATE_SIZE, TEMPLATE_SIZE)
    image, matte = (
        cv2.warpAffine(layer, transform, size, flags=flags, borderMode=cv2.BORDER_REPLICATE)
        for layer, flags in ((person.image, cv2.INTER_CUBIC), (person.matte, cv2.INTER_LINEAR))
    )
    if mirror and rng.random() < 0.5:
        image, matte = image[:, ::-1], matte[:, ::-1]
    return np.ascontiguousarray(image), np.ascontiguousarray(matte)


def exposure(rng: np.random.Generator, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A slightly different camera: gamma and gain within a tenth.  uint8 [S, S, 3]."""
    gamma, gain = rng.uniform(0.9, 1.12), rng.uniform(0.93, 1.06)
    table = np.clip(255 * gain * (np.arange(256) / 255) ** gamma, 0, 255).astype(np.uint8)
    return table[image]


def restyle(rng: np.random.Generator, person: Person) -> tuple[NDArray[np.uint8], str]:
    """A styled picture uint8 [160, 160, 3] and the words for it."""
    image, matte = jitter(rng, person, stretch=_STRETCH)
    image = exposure(rng, image)
    backdrop = str(rng.choice(list(BACKDROPS)))
    if person.in_colour:
        grade = str(rng.choice(list(GRADES), p=[_GRADE_CHANCES[g] for g in GRADES]))
    else:
        grade = str(rng.choice(_GREY_GRADES))
    light = str(rng.choice(LIGHTS, p=[_LIGHT_CHANCES[name] for name in LIGHTS]))
    attire = ""
    if person.in_colour:
        mask = attire_mask(image, matte)
        if wears_dark_suit(mask, matte):
            attire = "dark suit"
            if rng.random() < _PAINTED:
                attire = str(rng.choice(list(ATTIRE)))
                image = paint(image, mask, attire)
            elif rng.random() < 0.4:
                attire = ""  # the words stay optional
    picture = compose(rng, image, matte, backdrop=backdrop, grade=grade, light=light)
    subject = "a person"
    if rng.random() < _SAYS_SEX and not 0.03 < person.woman < 0.97:
        subject = "a woman" if person.woman > 0.5 else "a man"
    words = caption(backdrop=backdrop, grade=grade, light=light, subject=subject, attire=attire)
    if rng.random() < 1 / 8:
        words = words.replace("photo of", str(rng.choice(_OPENINGS)), 1)
    return picture, words
