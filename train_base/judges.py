"""A held-out person through the product's own training and generation: is it still them?

Used by `evaluate` for many people and by the benchmark `likeness_embedded` for a few.
"""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dev.make_selfies import selfies
from pipeline.bases.base import Base
from pipeline.photos.album import TrainingPhoto
from pipeline.photos.detection import SAME_PERSON, Faces
from pipeline.portraits.generate import generate, plan
from pipeline.portraits.score import person_vector
from pipeline.portraits.style import Style
from pipeline.training.train import recipe_for, train

Picture = NDArray[np.uint8]
PHOTOS = 8
SEED = 7


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


def training_photos(faces: Faces, portrait: Picture, count: int = PHOTOS) -> list[TrainingPhoto]:
    """Pictures made from one portrait, as the album would hand them to training."""
    photos = []
    for picture in selfies(portrait, faces, count=count):
        face = faces.detect(picture)[0]
        photos.append(TrainingPhoto(picture, face.landmarks, faces.embed(picture, face)))
    return photos


def personalise(
    base: Base,
    faces: Faces,
    portrait: Path,
    styles: list[Style],
    *,
    count: int,
    unpersonalised: int = 8,
    second: Path | None = None,
) -> Judged:
    """Train on eight pictures of a person, make `count` portraits, score them."""
    original = _read(portrait)
    photos = training_photos(faces, original)
    person = person_vector(photos)
    shots = plan(styles, count, SEED)
    before = [p for _, p in generate(base, None, shots[:unpersonalised], stop=never)]
    started = time.monotonic()
    adapter = train(
        base,
        photos,
        faces,
        recipe_for(base, len(photos)),
        seed=SEED,
        report=lambda _: None,
        stop=never,
    )
    trained = time.monotonic()
    made = [(shot.style, picture) for shot, picture in generate(base, adapter, shots, stop=never)]
    finished = time.monotonic()
    pictures = [picture for _, picture in made]
    real = embedding(faces, original)
    later = None if second is None else embedding(faces, _read(second))
    return Judged(
        photos=[photo.image for photo in photos],
        portraits=made,
        before=_scores(faces, before, person),
        after=_scores(faces, pictures, person),
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
