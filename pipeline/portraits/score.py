"""Who does a portrait look like?  Scores, order, doubt, and which ones are nearly the same.

Likeness is the cosine of SFace embeddings, -1 to 1, against the mean of the person's own photos.
It says whether a face recogniser would take the portrait for the person, not whether it is
beautiful.  Knows numbers only: no models, no torch.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pipeline.orders import Way
from pipeline.photos.detection import SAME_PERSON

if TYPE_CHECKING:
    from pipeline.photos.record import TrainingPhoto
    from pipeline.portraits.generate import Shot

# Measured on 100 portraits of the built-in base: two that a person would call the same differ by
# less than 9 grey levels of 255 in an 8 x 8 miniature, and share a face above 0.55. Two of the same
# look differ by 9 to 17 in most cases, two of different looks by more than 15.
SAME_FACE = 0.55
SAME_PICTURE = 9.0
_SIDE = 8  # of the miniature, pixels
_VECTOR = 128


@dataclass(frozen=True)
class PortraitRecord:
    """What is known of a portrait.

    id: its name in the vault; style: a style's key; likeness: -1 to 1, -1 without a face, None
    where faces are not compared;
    doubtful: no face, or not surely the same person; face: left, top, width, height of its box as
    shares of the picture, None without a face; appearance: see `appearance`, empty without a face;
    way: how it was made; photo: id of the photo that the "photo" way made it of; px: width and
    height, None where nobody noted it; affine: the 2 x 3 matrix from that photo's pixels to the
    portrait's, row by row, None where it is not known; fade: the person fades out below; recipe:
    the row of a `recipe.Recipe` by which it can be composed again, None where there is none.
    """

    id: str
    style: str
    seed: int
    likeness: float | None
    doubtful: bool
    face: tuple[float, ...] | None = None
    appearance: str = ""
    way: Way = "painted"
    photo: str = ""
    px: tuple[int, int] | None = None
    affine: tuple[float, ...] | None = None
    fade: bool = False
    recipe: Mapping[str, Any] | None = field(default=None, compare=False, repr=False)

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> PortraitRecord:
        """A record from its JSON object."""
        listed = {name: row.get(name) for name in ("face", "px", "affine")}
        tuples = {name: None if v is None else tuple(v) for name, v in listed.items()}
        return cls(**{**row, **tuples})


def person_vector(photos: Sequence[TrainingPhoto]) -> NDArray[np.float32]:
    """The mean of the photos' embeddings as a unit vector [128]."""
    return _mean([photo.embedding for photo in photos])


def baseline(photos: Sequence[TrainingPhoto]) -> float:
    """How alike the person's photos are among themselves: what a portrait can be measured by.

    The median likeness of each photo to the mean of the others; 1.0 for a single photo.
    """
    vectors = [photo.embedding for photo in photos]
    if len(vectors) < 2:
        return 1.0
    alike = [
        float(vector @ _mean(vectors[:i] + vectors[i + 1 :])) for i, vector in enumerate(vectors)
    ]
    return float(np.median(alike))


def record_for(
    portrait_id: str,
    shot: Shot,
    likeness: float,
    face: Sequence[float] | None = None,
    appearance: str = "",
) -> PortraitRecord:
    """The record of a shot whose portrait scored `likeness` against `person_vector`."""
    return PortraitRecord(
        id=portrait_id,
        style=shot.style.key,
        seed=shot.seed,
        likeness=round(likeness, 4),
        doubtful=likeness < SAME_PERSON,
        face=None if face is None else tuple(round(float(share), 4) for share in face),
        appearance=appearance,
    )


def appearance(image: NDArray[np.uint8], embedding: NDArray[np.float32] | None) -> str:
    """What `fold` compares, in 428 characters: a miniature of the picture and whose face it is.

    Args:
        image: uint8 RGB [H, W, 3], at least 8 pixels each way.
        embedding: float32 [128] of unit length; None where faces are not compared.
    """
    rows = [np.mean(band, axis=0) for band in np.array_split(image, _SIDE, axis=0)]
    cells = [np.mean(cell, axis=1) for cell in np.array_split(np.stack(rows), _SIDE, axis=1)]
    miniature = np.round(np.stack(cells, axis=1)).astype(np.uint8)
    known = np.zeros(_VECTOR, np.float32) if embedding is None else embedding
    vector = np.round(np.clip(known, -1, 1) * 127).astype(np.int8)
    return base64.b64encode(vector.tobytes() + miniature.tobytes()).decode()


def fold(portraits: Iterable[PortraitRecord]) -> list[list[PortraitRecord]]:
    """Portraits in groups of near-duplicates, in the order given; each group led by its first.

    A portrait joins the first group whose leader has its look and its doubt and shows nearly the
    same picture. Records without an appearance stand alone.
    """
    groups: list[list[PortraitRecord]] = []
    seen: list[tuple[NDArray[np.float32], NDArray[np.float32]] | None] = []
    for portrait in portraits:
        parts = _parts(portrait.appearance)
        for group, leader in zip(groups, seen, strict=True):
            same_look = (group[0].style, group[0].doubtful) == (portrait.style, portrait.doubtful)
            if same_look and parts and leader and _alike(parts, leader):
                group.append(portrait)
                break
        else:
            groups.append([portrait])
            seen.append(parts)
    return groups


def _parts(text: str) -> tuple[NDArray[np.float32], NDArray[np.float32]] | None:
    """Unit vector [128] and miniature [192], 0 to 255; None for what is no appearance."""
    data = base64.b64decode(text)
    if len(data) != _VECTOR + 3 * _SIDE * _SIDE:
        return None
    vector = np.frombuffer(data[:_VECTOR], np.int8).astype(np.float32)
    length = max(float(np.linalg.norm(vector)), 1e-12)
    return vector / length, np.frombuffer(data[_VECTOR:], np.uint8).astype(np.float32)


def _alike(
    one: tuple[NDArray[np.float32], NDArray[np.float32]],
    other: tuple[NDArray[np.float32], NDArray[np.float32]],
) -> bool:
    if float(np.mean(np.abs(one[1] - other[1]))) > SAME_PICTURE:
        return False
    unknown = not one[0].any() and not other[0].any()  # of one person's photos, uncompared
    return unknown or float(one[0] @ other[0]) >= SAME_FACE


def rank(portraits: Iterable[PortraitRecord]) -> list[PortraitRecord]:
    """Best first, doubtful last; ties, and what was not compared, in the order of their ids."""
    return sorted(
        portraits, key=lambda p: (p.doubtful, -1.0 if p.likeness is None else -p.likeness, p.id)
    )


def _mean(vectors: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
    mean = np.mean(vectors, axis=0)
    return (mean / max(float(np.linalg.norm(mean)), 1e-12)).astype(np.float32)
