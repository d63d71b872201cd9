"""What a base looks at while it paints: the person's own face, out of their best photos.

An adapter knows a face in general; pictures hold what is particular: a scar, the line of a brow.
Only for bases that see pictures (`bases.folder`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from pipeline.imaging import align
from pipeline.photos.record import TrainingPhoto
from pipeline.portraits.generate import Shot
from pipeline.portraits.score import person_vector

MOST = 1
"""Pictures: each is a quarter of a portrait's size, so four would make painting twice the work.
Manifests say the same (`references`), for the plans."""


def shown(shots: Sequence[Shot], photos: Sequence[TrainingPhoto]) -> list[Shot]:
    """The same shots, each with the faces of up to `MOST` photos to look at."""
    seen = partial(_faces, best(photos))
    return [replace(shot, seen=seen) for shot in shots]


def best(photos: Sequence[TrainingPhoto]) -> list[TrainingPhoto]:
    """Up to `MOST` photos that look most like the person as all of them show them, best first."""
    person = person_vector(photos)
    return sorted(photos, key=lambda photo: -float(photo.embedding @ person))[:MOST]


def _faces(photos: Sequence[TrainingPhoto], side: int) -> NDArray[np.uint8]:
    """Aligned faces before a grey wall, [n, side, side, 3]."""
    return np.stack([align(photo.image, photo.landmarks, side) for photo in photos])
