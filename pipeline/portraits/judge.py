"""What is known of a painted portrait, and whether it is worth another try.

A portrait is measured against the person's own photos, not against some ideal: narrow eyes are not
closed ones, and smooth skin is not plastic where the photos show no more.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from pipeline.compositing.face_mesh import FaceMesh
from pipeline.compositing.ranking import eyes_open
from pipeline.compositing.texture import cheek_texture
from pipeline.imaging import Face
from pipeline.photos.detection import Faces
from pipeline.photos.record import TrainingPhoto
from pipeline.portraits.generate import Shot
from pipeline.portraits.score import PortraitRecord, appearance, person_vector, record_for

Flaw = Literal["no_face", "two_faces", "unlike", "eyes_closed", "plastic"]

LEAST_TEXTURE = 0.6
"""Share of the photos' texture of the cheeks below which skin looks like plastic."""

LEAST_OPEN = 0.5
"""Share of the photos' height of the eyes below which they are closed."""

TEXTURE_COUNTS = 0.1
"""How much the share of the photos' texture adds to likeness where portraits are compared."""

SECOND_FACE = 0.4
"""Width of another face, as a share of the person's, from which it is somebody."""


@dataclass(frozen=True)
class Judged:
    """A portrait's record, and what is wrong with it; None if nothing is."""

    record: PortraitRecord
    flaw: Flaw | None


class Judge:
    """Knows one person by their photos."""

    def __init__(self, faces: Faces, mesh: FaceMesh, photos: Sequence[TrainingPhoto]) -> None:
        """photos: at least one."""
        self._faces, self._mesh = faces, mesh
        self._person = person_vector(photos)
        self._texture = _middle(cheek_texture(p.image, p.landmarks) for p in photos)
        self._open = _middle(eyes_open(mesh.points(p.image, p.landmarks)) for p in photos)

    def judged(self, number: str, shot: Shot, image: NDArray[np.uint8]) -> Judged:
        """The record, with this name, and the flaw of a portrait, uint8 RGB [H, W, 3]."""
        found = self._faces.detect(image)
        if not found:
            return Judged(record_for(number, shot, -1.0), "no_face")
        face, embedding = self._likest(image, found)
        likeness = float(embedding @ self._person)
        height, width = image.shape[:2]
        box = tuple(np.asarray(face.box) / (width, height, width, height))
        record = record_for(number, shot, likeness, box, appearance(image, embedding))
        others = [one for one in found if one is not face and _beside(one, face)]
        flaw: Flaw | None = "two_faces" if others else None
        return Judged(
            replace(record, px=(width, height)),
            flaw or ("unlike" if record.doubtful else self._fault(image, face)),
        )

    def worth(self, image: NDArray[np.uint8]) -> float:
        """How much of the person a portrait has, to compare those of one person: its likeness, and
        `TEXTURE_COUNTS` by the share of the photos' texture that its cheeks have. -1 with no face.
        """
        found = self._faces.detect(image)
        if not found:
            return -1.0
        face, embedding = self._likest(image, found)
        texture = min(1.0, cheek_texture(image, face.landmarks) / max(self._texture, 1e-6))
        return float(embedding @ self._person) + TEXTURE_COUNTS * texture

    def _likest(
        self, image: NDArray[np.uint8], found: Sequence[Face]
    ) -> tuple[Face, NDArray[np.float32]]:
        """Which of the faces is the person's, with its embedding."""
        embedded = [(face, self._faces.embed(image, face)) for face in found]
        return max(embedded, key=lambda one: float(one[1] @ self._person))

    def _fault(self, image: NDArray[np.uint8], face: Face) -> Flaw | None:
        """What is wrong with the person's own face."""
        if eyes_open(self._mesh.points(image, face.landmarks)) < LEAST_OPEN * self._open:
            return "eyes_closed"
        if cheek_texture(image, face.landmarks) < LEAST_TEXTURE * self._texture:
            return "plastic"
        return None


def _beside(other: Face, face: Face) -> bool:
    return other.box[2] >= SECOND_FACE * face.box[2]


def _middle(values: Iterable[float]) -> float:
    return float(np.median(list(values)))
