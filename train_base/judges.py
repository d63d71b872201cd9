"""A held-out person through the product's own training and generation: is it still them?

Used by `evaluate` for many people and by the benchmark `likeness_embedded` for a few.
"""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dev.make_selfies import selfies
from pipeline.bases.base import Base
from pipeline.compositing.segmenter import Segment, Segmenter
from pipeline.photos.detection import SAME_PERSON, Faces
from pipeline.photos.record import TrainingPhoto
from pipeline.portraits.generate import generate, plan
from pipeline.portraits.score import person_vector
from pipeline.portraits.starts import Starts
from pipeline.portraits.style import Style
from pipeline.training.train import Personalisation, recipe_for, train

Picture = NDArray[np.uint8]
PHOTOS = 8
SEED = 7
UNPERSONALISED = 8
"""Portraits made without the adapter, to compare with."""


@dataclass(frozen=True)
class Likeness:
    """Share of portraits above the same-person line, and their median cosine."""

    share: float
    median: float

    @classmethod
    def of(cls, scores: NDArray[np.floating]) -> Likeness:
        return cls(
            round(float((scores > SAME_PERSON).mean()), 3), round(float(np.median(scores)), 3)
        )

    def as_dict(self) -> dict[str, float]:
        return asdict(self)


@dataclass(frozen=True)
class Judged:
    """What became of one person.

    photos: the eight pictures trained on. portraits: style and picture. before, after: cosine to
    the person's photos without and with the adapter, as the product scores. real: cosine to the
    real portrait. later: cosine of portraits and (last number) of the real portrait to a second
    photo of another day; empty without one.
    """

    photos: list[Picture]
    portraits: list[tuple[Style, Picture]]
    before: NDArray[np.float64]
    after: NDArray[np.float64]
    real: NDArray[np.float64]
    later: NDArray[np.float64]
    train_s: float
    generate_s: float

    def numbers(self) -> dict[str, object]:
        """For a report: medians and shares."""
        found: dict[str, object] = {
            "before": Likeness.of(self.before).as_dict(),
            "after": Likeness.of(self.after).as_dict(),
            "to_real_portrait": Likeness.of(self.real).as_dict(),
            "train_s": round(self.train_s, 1),
            "generate_s": round(self.generate_s, 1),
        }
        if len(self.later):
            found["to_second_photo"] = Likeness.of(self.later[:-1]).as_dict()
            found["real_to_second_photo"] = round(float(self.later[-1]), 3)
        return found


def portrait_of(name: str, folder: Path) -> Path:
    """The file of a name in `heldout.txt`, such as "bioguide/014617"."""
    source, _, number = name.partition("/")
    kept_in = {"portraits": "portraits", "bioguide": "portraits-bioguide"}[source]
    return folder / kept_in / f"{number}.jpg"


def embedding(faces: Faces, picture: Picture) -> NDArray[np.float32] | None:
    """Unit vector [128] of the largest face, or None."""
    found = faces.detect(picture)
    return faces.embed(picture, found[0]) if found else None


def training_photos(
    faces: Faces, segment: Segment, portrait: Picture, count: int = PHOTOS
) -> list[TrainingPhoto]:
    """Pictures made from one portrait, as the album would hand them to training."""
    photos = []
    for picture in selfies(portrait, faces, segment, count=count):
        face = faces.detect(picture)[0]
        photos.append(TrainingPhoto(picture, face.landmarks, faces.embed(picture, face)))
    return photos


@dataclass(frozen=True)
class HeldOut:
    """Somebody whom the base has never seen: a portrait, and a photo of another day, if any."""

    portrait: Path
    second: Path | None = None


class Judge:
    """Puts people through the product's training and generation on one base, and scores them."""

    def __init__(self, base: Base, models: Path) -> None:
        """models: the folder of the face models."""
        self.base = base
        self.faces, self.segment = Faces(models), Segmenter(models).matte

    def judged(self, who: HeldOut, styles: list[Style], *, count: int) -> Judged:
        """Train on eight pictures of a person, make `count` portraits, score them."""
        base, faces = self.base, self.faces
        original = _read(who.portrait)
        photos = training_photos(faces, self.segment, original)
        vector = person_vector(photos)
        shots = Starts(photos, self.segment).given(plan(styles, count, SEED))
        nobody = [replace(shot, start=None) for shot in shots[:UNPERSONALISED]]
        before = [p for _, p in generate(base, None, nobody, stop=never)]
        started = time.monotonic()
        person = Personalisation(photos, self.segment, recipe_for(base, len(photos)), SEED)
        adapter = train(base, person, report=lambda _: None, stop=never)
        trained = time.monotonic()
        made = [(shot.style, p) for shot, p in generate(base, adapter, shots, stop=never)]
        finished = time.monotonic()
        pictures = [picture for _, picture in made]
        real = embedding(faces, original)
        later = None if who.second is None else embedding(faces, _read(who.second))
        return Judged(
            photos=[photo.image for photo in photos],
            portraits=made,
            before=_scores(faces, before, vector),
            after=_scores(faces, pictures, vector),
            real=_scores(faces, pictures, real),
            later=np.empty(0) if later is None else _scores(faces, [*pictures, original], later),
            train_s=trained - started,
            generate_s=finished - trained,
        )


def _scores(
    faces: Faces, pictures: list[Picture], person: NDArray[np.float32] | None
) -> NDArray[np.float64]:
    if person is None:
        return np.empty(0)
    return np.array([faces.likeness(picture, person) for picture in pictures])


def _read(path: Path) -> Picture:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def never() -> bool:
    """For whom nobody can stop."""
    return False
