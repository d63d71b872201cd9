"""The photos of one session: check each, keep its head-and-shoulders crop, judge the set.

A photo becomes an encrypted PNG of kind "photo" and a record of kind "face" under the same name;
a photo that is turned away leaves only the record, so that the page can say why. Whether two
photos are nearly the same, and whether one shows somebody else, depends on the others: that is
judged anew from the records each time, and never stored.

Knows nothing of uploads and deadlines; `check.py` knows what a good photo is, `resemblance.py`
what a good set is.
"""

from __future__ import annotations

import io
import threading
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from errors import BadPhoto
from pipeline.photos.detection import Faces
from pipeline.photos.ingest import Decoder
from pipeline.photos.quality import check_photo
from pipeline.photos.record import FaceNumbers, FaceRecord
from pipeline.photos.similarity import Lack, lacking, near_duplicates, strangers
from privacy.sessions import Session
from privacy.vault import File, Vault
from words import say

PHOTO, FACE = "photo", "face"

MAX_LABEL = 80
"""Characters kept of a file name."""

MAX_REJECTED = 30
"""Rejected photos that are remembered for the page; the oldest are forgotten first."""

_NUMBERING = "numbering"
"""Name, among the records, of how many numbers were given: a removed photo's is not given again."""


@dataclass(frozen=True)
class PhotoRecord:
    """What the page shows of a photo.

    id: "photo-01" and so on. label: the visitor's own file name. code: None if accepted, else a
    code of `ingest.py` or `check.py`, "duplicate", "different_person" or "too_many".
    """

    id: str
    label: str
    accepted: bool
    code: str | None
    sentence: str


@dataclass(frozen=True)
class TrainingPhoto:
    """An accepted photo in RAM.

    image: uint8 RGB [H, W, 3], head and shoulders. landmarks: float32 [5, 2] in its pixels.
    embedding: float32 [128], unit length.
    """

    image: NDArray[np.uint8]
    landmarks: NDArray[np.float32]
    embedding: NDArray[np.float32]


class Album:
    """Photos by session. Thread-safe; photos are opened and checked in parallel."""

    def __init__(
        self, vault: Vault, decoder: Decoder, faces: Faces, *, max_photos: int, photo_px: int
    ) -> None:
        """
        Args:
            max_photos: how many photos of a session are kept.
            photo_px: the most pixels on the longer side of a kept photo.
        """
        self._vault, self._decoder, self._faces = vault, decoder, faces
        self._max_photos, self._photo_px = max_photos, photo_px
        self._writing = threading.Lock()  # numbers are given and photos counted under it

    def add(self, session: Session, data: bytes, label: str) -> PhotoRecord:
        """Check an uploaded file and keep its crop; returns the verdict, in view of the others.

        A bad photo is a rejected record, not an exception.

        Raises:
            UnknownSession: the session was erased meanwhile; nothing is kept.
            DiskFull: no room; nothing of this photo is kept.
            Busy: the server is shutting down.
            BaseUnavailable: the face models are missing.
        """
        label = clean_label(label)
        try:
            checked = check_photo(self._decoder.decode(data), self._faces, self._photo_px)
        except BadPhoto as bad:
            return self._reject(session, label, bad)
        png = _png(checked.image)
        with self._writing:
            kept = len(self._vault.list(session, PHOTO))
            if kept < self._max_photos:
                photo_id = self._keep(session, label, checked.face, png)
        if kept >= self._max_photos:
            full = BadPhoto(say("verdict.too_many", kept=kept), "too_many")
            return self._reject(session, label, full)
        return next(record for record in self.records(session) if record.id == photo_id)

    def records(self, session: Session) -> list[PhotoRecord]:
        """Every photo, in order of arrival, each judged in view of the others.

        Raises:
            UnknownSession: the session was erased.
        """
        return _judged(self._stored(session))

    def overview(self, session: Session) -> tuple[list[PhotoRecord], list[Lack]]:
        """`records`, and what more variety the accepted ones could use (`resemblance.lacking`).

        Raises:
            UnknownSession: the session was erased.
        """
        stored = self._stored(session)
        verdicts = _judged(stored)
        accepted = [r.face for r, v in zip(stored, verdicts, strict=True) if v.accepted and r.face]
        return verdicts, lacking(accepted)

    def remove(self, session: Session, photo_id: str) -> None:
        """Delete a photo and all that is known of it; harmless if there is none.

        Raises:
            UnknownSession: the session was erased, and the photo with it.
        """
        if _number(photo_id) is not None:
            self._vault.delete(session, PHOTO, photo_id)
            self._vault.delete(session, FACE, photo_id)

    def image(self, session: Session, photo_id: str) -> bytes:
        """The kept crop of a photo as PNG.

        Raises:
            KeyError: no such photo, or one that was turned away.
            UnknownSession: the session was erased.
        """
        if _number(photo_id) is None:
            raise KeyError(photo_id)
        return self._vault.open(session, PHOTO, photo_id)

    def training_photos(self, session: Session) -> list[TrainingPhoto]:
        """The accepted photos with their pixels, in order of arrival.

        Raises:
            UnknownSession: the session was erased.
        """
        stored = self._stored(session)
        photos = []
        for record, verdict in zip(stored, _judged(stored), strict=True):
            if verdict.accepted and record.face is not None:
                image = _pixels(self._vault.open(session, PHOTO, record.id))
                photos.append(TrainingPhoto(image, record.face.landmarks, record.face.embedding))
        return photos

    def _stored(self, session: Session) -> list[FaceRecord]:
        records = []
        for entry in self._vault.list(session, FACE):
            if entry.name != _NUMBERING:
                try:
                    data = self._vault.open(session, FACE, entry.name)
                except KeyError:
                    continue  # removed since it was listed
                records.append(FaceRecord.from_json(entry.name, data))
        return records

    def _keep(self, session: Session, label: str, face: FaceNumbers, png: bytes) -> str:
        """Write pixels and record, or neither. Under the lock; returns the photo's id."""
        photo_id, numbering = self._next_id(session)
        record = FaceRecord(photo_id, label, None, say("verdict.good"), face)
        kept = [(PHOTO, photo_id, png), (FACE, photo_id, record.to_json())]
        self._vault.put_all(session, [numbering, *kept])
        return photo_id

    def _reject(self, session: Session, label: str, bad: BadPhoto) -> PhotoRecord:
        """Remember why a photo was turned away; nothing of its pixels is kept."""
        with self._writing:
            photo_id, numbering = self._next_id(session)
            record = FaceRecord(photo_id, label, bad.code, bad.sentence, None)
            self._vault.put_all(session, [numbering, (FACE, photo_id, record.to_json())])
            rejected = [record.id for record in self._stored(session) if record.face is None]
            for old in rejected[:-MAX_REJECTED]:
                self._vault.delete(session, FACE, old)
        return _verdict(record)

    def _next_id(self, session: Session) -> tuple[str, File]:
        """A number no photo of this session has had, and the file that says it is given away.

        Under the lock.
        """
        try:
            given = int(self._vault.open(session, FACE, _NUMBERING))
        except KeyError:
            given = 0
        return f"photo-{given + 1:02d}", (FACE, _NUMBERING, str(given + 1).encode())


def clean_label(label: str) -> str:
    """A file name fit to be shown: one line, no control or direction characters, not too long."""
    printable = "".join(c for c in label if unicodedata.category(c)[0] != "C" and c.isprintable())
    return printable.strip()[:MAX_LABEL] or say("photos.nameless")


def _number(photo_id: str) -> int | None:
    """3 of "photo-03"; None for anything that is no photo's id."""
    prefix, _, digits = photo_id.partition("-")
    if (
        prefix != "photo"
        or not 2 <= len(digits) <= 6
        or not (digits.isascii() and digits.isdigit())
    ):
        return None
    return int(digits)


def _judged(stored: Sequence[FaceRecord]) -> list[PhotoRecord]:
    """The verdicts of the single photos, and of the set on those that passed."""
    good = [(record, record.face) for record in stored if record.face is not None]
    twins = near_duplicates([face for _, face in good])
    single = [
        (record, face) for (record, face), twin in zip(good, twins, strict=True) if twin is None
    ]
    foreign = strangers([face.embedding for _, face in single])
    against = {
        record.id: _duplicate_of(good[twin][0])
        for (record, _), twin in zip(good, twins, strict=True)
        if twin is not None
    } | {
        record.id: _different_person()
        for (record, _), is_foreign in zip(single, foreign, strict=True)
        if is_foreign
    }
    return [_verdict(record, against.get(record.id)) for record in stored]


def _verdict(record: FaceRecord, against: BadPhoto | None = None) -> PhotoRecord:
    """A record as the page shows it; `against` is what speaks against it in view of the others."""
    if against is not None:
        return PhotoRecord(record.id, record.label, False, against.code, against.sentence)
    accepted = record.code is None
    return PhotoRecord(record.id, record.label, accepted, record.code, record.sentence)


def _duplicate_of(first: FaceRecord) -> BadPhoto:
    return BadPhoto(say("verdict.duplicate", number=_number(first.id)), "duplicate")


def _different_person() -> BadPhoto:
    return BadPhoto(say("verdict.different_person"), "different_person")


def _png(image: NDArray[np.uint8]) -> bytes:
    """Pixels as PNG, with nothing beside them."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


def _pixels(png: bytes) -> NDArray[np.uint8]:
    with Image.open(io.BytesIO(png), formats=("PNG",)) as image:
        return np.array(image.convert("RGB"))
