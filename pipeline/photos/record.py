"""What is written down about a photo, and how: the JSON of kind "face".

Numbers only, no pixels but a 16 x 16 grey miniature. It is biometric data all the same: it is
kept in the vault alone, and goes with the session.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from words import Sentence, say

MINIATURE_SIDE = 16


@dataclass(frozen=True)
class FaceNumbers:
    """One face of a good photo.

    landmarks: float32 [5, 2] x, y in pixels of the kept crop. embedding: float32 [128], unit
    length. miniature: uint8 [16, 16]. sharpness, brightness: as measured by `check.py`.
    """

    landmarks: NDArray[np.float32]
    embedding: NDArray[np.float32]
    miniature: NDArray[np.uint8]
    sharpness: float
    brightness: float
    faults: tuple[str, ...] = ()


@dataclass(frozen=True)
class FaceRecord:
    """A photo's record. label: the visitor's file name. code, sentence, face: either the photo was
    turned away with a code and a sentence, or it has a face. The sentence is stored as what the
    catalogue needs to say it, and read in the language of whoever reads it."""

    id: str
    label: str
    code: str | None
    sentence: str
    face: FaceNumbers | None

    def to_json(self) -> bytes:
        """The record without its id, which is its name in the vault."""
        fields: dict[str, Any] = {
            "label": self.label,
            "code": self.code,
            "sentence": _stored(self.sentence),
        }
        if self.face is not None:
            fields |= {
                "landmarks": self.face.landmarks.tolist(),
                "embedding": _packed(self.face.embedding.astype("<f4")),
                "miniature": _packed(self.face.miniature),
                "sharpness": self.face.sharpness,
                "brightness": self.face.brightness,
                "faults": list(self.face.faults),
            }
        return json.dumps(fields).encode()

    @classmethod
    def from_json(cls, photo_id: str, data: bytes) -> FaceRecord:
        """Back from `to_json`. The vault returns what was written, so nothing is checked."""
        fields = json.loads(data)
        face = None
        if "embedding" in fields:
            side = MINIATURE_SIDE
            face = FaceNumbers(
                np.array(fields["landmarks"], np.float32),
                np.frombuffer(base64.b64decode(fields["embedding"]), "<f4"),
                np.frombuffer(base64.b64decode(fields["miniature"]), np.uint8).reshape(side, side),
                fields["sharpness"],
                fields["brightness"],
                tuple(fields["faults"]),
            )
        return cls(photo_id, fields["label"], fields["code"], _told(fields["sentence"]), face)


def _stored(sentence: str) -> str | dict[str, Any]:
    if isinstance(sentence, Sentence):
        return {"key": sentence.key, "values": sentence.values}
    return sentence


def _told(stored: str | dict[str, Any]) -> str:
    if isinstance(stored, str):
        return stored
    try:
        return say(stored["key"], **stored["values"])
    except KeyError:  # the server was updated while the session was open, and says it differently
        return ""


def _packed(array: NDArray[Any]) -> str:
    return base64.b64encode(array.tobytes()).decode()
