"""What is written down about a photo, and how: the JSON of kind "face".

Numbers only, no pixels but a 16 x 16 grey miniature. It is biometric data all the same: it is
kept in the vault alone, and goes with the session.
"""

from __future__ import annotations

import base64
import json
import unicodedata
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from messages import Message
from pipeline.imaging import CutOut

MINIATURE_SIDE = 16

PLAIN_WALL = 128
"""Grey behind the cut-outs that training gets; it gives them other walls."""

SAMPLE = "photos.sample"
"""Key of what a sample photo is called; no visitor's own photo has a key."""

WAITING = "photos.waiting"
"""Key of what is said of a good photo until its person is cut out."""

ARRIVING = "photos.arriving"
"""Key of what is said of a photo that is on its way, and of which a preview was good."""

FileData = bytes | memoryview
"""A file as it was uploaded."""

Label = str | Message
"""A visitor's file name, or what to call a photo that has none of theirs."""

MAX_LABEL = 80
"""Characters kept of a file name."""


@dataclass(frozen=True)
class FaceNumbers:
    """One face of a good photo.

    landmarks: float32 [5, 2] x, y in pixels of the kept crop. embedding: float32 [128], unit
    length, None until the visitor agreed that faces are compared. miniature: uint8 [16, 16].
    sharpness, brightness: as measured by `quality.py`.
    """

    landmarks: NDArray[np.float32]
    embedding: NDArray[np.float32] | None
    miniature: NDArray[np.uint8]
    sharpness: float
    brightness: float
    faults: tuple[str, ...] = ()


class Stroke(NamedTuple):
    """A stroke with which something was taken away from a cut-out.

    points: x, y as shares of its width and height. radius: as a share of its longer side.
    """

    points: tuple[tuple[float, float], ...]
    radius: float


@dataclass(frozen=True)
class CutOutPhoto:
    """An accepted photo in RAM, as the photo way needs it.

    landmarks: float32 [5, 2] in its pixels. embedding: float32 [128], unit length, None where
    faces are not compared. sharpness: of the face, see `quality.sharpness`. strokes: how many took
    something away from it.
    """

    id: str
    cut_out: CutOut
    landmarks: NDArray[np.float32]
    embedding: NDArray[np.float32] | None
    sharpness: float
    strokes: int = 0


@dataclass(frozen=True)
class TrainingPhoto:
    """An accepted photo in RAM.

    image: uint8 RGB [H, W, 3] before `PLAIN_WALL`. landmarks: float32 [5, 2] in its pixels.
    embedding: float32 [128], unit length. alpha: uint8 [H, W], None if it was not cut out.
    said: what its captions say beside person and wall.
    """

    image: NDArray[np.uint8]
    landmarks: NDArray[np.float32]
    embedding: NDArray[np.float32]
    alpha: NDArray[np.uint8] | None = None
    said: str = ""


@dataclass(frozen=True)
class FaceRecord:
    """A photo's record.

    verdict: what is thought of it by itself. face: None if it was turned away. taken: what the
    visitor took away from its cut-out.
    """

    id: str
    label: Label
    verdict: Message
    face: FaceNumbers | None
    taken: tuple[Stroke, ...] = ()

    def to_json(self) -> bytes:
        """The record without its id, which is its name in the vault."""
        fields: dict[str, Any] = {
            "label": self.label.to_json() if isinstance(self.label, Message) else self.label,
            "verdict": self.verdict.to_json(),
        }
        if self.taken:
            fields["taken"] = self.taken
        if self.face is not None:
            fields |= {
                "landmarks": self.face.landmarks.tolist(),
                "miniature": _packed(self.face.miniature),
                "sharpness": self.face.sharpness,
                "brightness": self.face.brightness,
                "faults": list(self.face.faults),
            }
            if self.face.embedding is not None:
                fields["embedding"] = _packed(self.face.embedding.astype("<f4"))
        return json.dumps(fields).encode()

    @classmethod
    def from_json(cls, photo_id: str, data: bytes) -> FaceRecord:
        """Back from `to_json`. The vault returns what was written, so nothing is checked."""
        fields = json.loads(data)
        face = None
        if "miniature" in fields:
            side = MINIATURE_SIDE
            packed = fields.get("embedding")
            face = FaceNumbers(
                np.array(fields["landmarks"], np.float32),
                None if packed is None else np.frombuffer(base64.b64decode(packed), "<f4"),
                np.frombuffer(base64.b64decode(fields["miniature"]), np.uint8).reshape(side, side),
                fields["sharpness"],
                fields["brightness"],
                tuple(fields["faults"]),
            )
        label = fields["label"]
        label = Message.from_json(label) if isinstance(label, dict) else label
        taken = (
            Stroke(tuple((x, y) for x, y in points), r) for points, r in fields.get("taken", ())
        )
        return cls(photo_id, label, Message.from_json(fields["verdict"]), face, tuple(taken))


def _packed(array: NDArray[Any]) -> str:
    return base64.b64encode(array.tobytes()).decode()


def clean_label(label: str) -> Label:
    """A file name fit to be shown: one line, no control or direction characters, not too long."""
    printable = "".join(c for c in label if unicodedata.category(c)[0] != "C" and c.isprintable())
    return printable.strip()[:MAX_LABEL] or Message("photos.nameless")
