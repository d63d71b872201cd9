"""The photos of one session: check each, cut the person out, judge the set.

A photo becomes an encrypted PNG of kind "photo", the person's colours and alpha without their room,
and a record of kind "face" under the same name;
a photo that is turned away leaves only the record, so that the page can say why. Whether two
photos are nearly the same, and whether one shows somebody else, depends on the others: that is
judged anew from the records each time (`verdicts.py`), and never stored. Whose face it is, is
measured only after `compare`: cutting somebody out needs no identity.

Knows nothing of uploads and deadlines, nor what a good photo is (`quality.py`). How a person is cut
out is handed in.
"""

from __future__ import annotations

import threading
import time
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from errors import BadPhoto
from messages import Message
from pipeline.imaging import CutOut, Face
from pipeline.photos.crop import head_and_shoulders
from pipeline.photos.detection import Faces
from pipeline.photos.ingest import Decoder
from pipeline.photos.quality import check_photo
from pipeline.photos.record import CutOutPhoto, FaceNumbers, FaceRecord, Label
from pipeline.photos.similarity import Lack, lacking
from pipeline.photos.verdicts import PhotoRecord, judged, number_of, said_of, verdict
from privacy import kinds
from privacy.sessions import Session
from privacy.vault import File, Vault

PLAIN_WALL = 128
"""Grey that training sees behind a cut-out; it gets other walls there."""

MAX_LABEL = 80
"""Characters kept of a file name."""

MAX_REJECTED = 30
"""Rejected photos that are remembered for the page; the oldest are forgotten first."""

_NUMBERING = "numbering"
"""Name, among the records, of how many numbers were given: a removed photo's is not given again."""

_COMPARED = "compared"
"""Name, among the records, of the mark that faces may be compared."""


@dataclass(frozen=True)
class TrainingPhoto:
    """An accepted photo in RAM.

    image: uint8 RGB [H, W, 3], head and shoulders. landmarks: float32 [5, 2] in its pixels.
    embedding: float32 [128], unit length.
    """

    image: NDArray[np.uint8]
    landmarks: NDArray[np.float32]
    embedding: NDArray[np.float32]


@dataclass(frozen=True)
class Keeping:
    """How much is kept: photos of a session; most pixels on the longer side of a photo, and of the
    crop of it that training gets."""

    photos: int
    photo_px: int
    training_px: int


class Album:
    """Photos by session. Thread-safe; photos are opened and checked in parallel."""

    def __init__(
        self,
        vault: Vault,
        decoder: Decoder,
        faces: Faces,
        cut_out: Callable[[NDArray[np.uint8], Face], CutOut],
        keeping: Keeping,
    ) -> None:
        """
        Args:
            cut_out: given uint8 RGB [H, W, 3] and the face in it.
        """
        self._vault, self._decoder, self._faces = vault, decoder, faces
        self._cut_out, self._keeping = cut_out, keeping
        self.seconds_cut_out = 0.0  # of all photos, for reports
        self._writing = threading.Lock()  # numbers are given and photos counted under it

    def add(self, session: Session, data: bytes, label: Label) -> PhotoRecord:
        """Check an uploaded file and keep its cut-out; returns the verdict, in view of the others.

        A bad photo is a rejected record, not an exception. label: the visitor's file name, or what
        to call a photo that has none of theirs.

        Raises:
            UnknownSession: the session was erased meanwhile; nothing is kept.
            DiskFull: no room; nothing of this photo is kept.
            Busy: this session's photos took too long, or the server is shutting down.
            BaseUnavailable: the face models are missing.
        """
        label = label if isinstance(label, Message) else clean_label(label)
        try:
            image = self._decoder.decode(data, session.id)
            checked = check_photo(image, self._faces, self._keeping.photo_px)
        except BadPhoto as bad:
            return self._reject(session, label, bad)
        started = time.monotonic()
        cut_out = self._cut_out(checked.image, checked.face)
        self.seconds_cut_out += time.monotonic() - started
        numbers = replace(checked.numbers, faults=cut_out.faults)
        said, png = said_of(cut_out), cut_out.to_png()
        with self._writing:
            kept = len(self._vault.list(session, kinds.PHOTO))
            if kept < self._keeping.photos:
                photo_id = self._keep(session, label, said, numbers, png)
        if kept >= self._keeping.photos:
            return self._reject(session, label, BadPhoto("verdict.too_many", kept=kept))
        return next(record for record in self.records(session) if record.id == photo_id)

    def compare(self, session: Session) -> None:
        """Measure whose face each photo shows, now and of photos to come: the visitor agreed.

        Raises:
            UnknownSession: the session was erased. DiskFull: no room.
            BaseUnavailable: the face models are missing.
        """
        with self._writing:
            self._vault.put(session, kinds.FACE, _COMPARED, b"")
            for record in self._stored(session):
                if record.face is None or record.face.embedding is not None:
                    continue
                png = self._vault.open(session, kinds.PHOTO, record.id)
                measured = replace(record, face=self._measured(record.face, png))
                self._vault.put(session, kinds.FACE, record.id, measured.to_json())

    def records(self, session: Session) -> list[PhotoRecord]:
        """Every photo, in order of arrival, each judged in view of the others.

        Raises:
            UnknownSession: the session was erased.
        """
        return judged(self._stored(session))

    def overview(self, session: Session) -> tuple[list[PhotoRecord], list[Lack]]:
        """`records`, and what more variety the accepted ones could use (`similarity.lacking`).

        Raises:
            UnknownSession: the session was erased.
        """
        stored = self._stored(session)
        told = judged(stored)
        accepted = [r.face for r, v in zip(stored, told, strict=True) if v.accepted and r.face]
        return told, lacking(accepted)

    def remove(self, session: Session, photo_id: str) -> None:
        """Delete a photo and all that is known of it; harmless if there is none.

        Raises:
            UnknownSession: the session was erased, and the photo with it.
        """
        if number_of(photo_id) is not None:
            self._vault.delete(session, kinds.PHOTO, photo_id)
            self._vault.delete(session, kinds.FACE, photo_id)

    def image(self, session: Session, photo_id: str) -> bytes:
        """The kept cut-out of a photo as PNG, RGB and alpha.

        Raises:
            KeyError: no such photo, or one that was turned away.
            UnknownSession: the session was erased.
        """
        if number_of(photo_id) is None:
            raise KeyError(photo_id)
        return self._vault.open(session, kinds.PHOTO, photo_id)

    def training_photos(self, session: Session) -> list[TrainingPhoto]:
        """The accepted photos with their pixels, in order of arrival.

        Raises:
            UnknownSession: the session was erased.
        """
        photos = []
        for photo_id, face in self._accepted(session):
            png = self._vault.open(session, kinds.PHOTO, photo_id)
            embedding = self._measured(face, png).embedding
            assert embedding is not None
            person = CutOut.from_png(png).before(PLAIN_WALL)
            px = self._keeping.training_px
            image, landmarks = head_and_shoulders(person, face.landmarks, px)
            photos.append(TrainingPhoto(image, landmarks, embedding))
        return photos

    def usable_cut_outs(self, session: Session) -> list[str]:
        """Ids of the accepted photos whose cut-out can be used, in order of arrival.

        Raises:
            UnknownSession: the session was erased.
        """
        return [photo_id for photo_id, face in self._accepted(session) if not face.faults]

    def cut_out(self, session: Session, photo_id: str) -> CutOutPhoto:
        """One of `usable_cut_outs` with its pixels.

        Raises:
            KeyError: it was removed meanwhile. UnknownSession: the session was erased.
        """
        png = self._vault.open(session, kinds.PHOTO, photo_id)
        record = FaceRecord.from_json(photo_id, self._vault.open(session, kinds.FACE, photo_id))
        if record.face is None:
            raise KeyError(photo_id)
        cut = CutOut.from_png(png)
        face = record.face
        return CutOutPhoto(photo_id, cut, face.landmarks, face.embedding, face.sharpness)

    def without_wall(self, portrait: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The person of a portrait, uint8 RGB [H, W, 3], as RGBA [H, W, 4].

        Raises:
            BaseUnavailable: the face models are missing.
        """
        if found := self._faces.detect(portrait):
            cut = self._cut_out(portrait, found[0])
            return np.dstack([cut.colours, cut.alpha])
        return np.dstack([portrait, np.full(portrait.shape[:2], 255, np.uint8)])

    def _accepted(self, session: Session) -> list[tuple[str, FaceNumbers]]:
        stored = self._stored(session)
        return [
            (record.id, record.face)
            for record, told in zip(stored, judged(stored), strict=True)
            if told.accepted and record.face is not None
        ]

    def _stored(self, session: Session) -> list[FaceRecord]:
        records = []
        for entry in self._vault.list(session, kinds.FACE):
            if entry.name not in (_NUMBERING, _COMPARED):
                try:
                    data = self._vault.open(session, kinds.FACE, entry.name)
                except KeyError:
                    continue  # removed since it was listed
                records.append(FaceRecord.from_json(entry.name, data))
        return records

    def _keep(
        self, session: Session, label: Label, said: Message, face: FaceNumbers, png: bytes
    ) -> str:
        """Write pixels and record, or neither. Under the lock; returns the photo's id."""
        photo_id, numbering = self._next_id(session)
        if any(entry.name == _COMPARED for entry in self._vault.list(session, kinds.FACE)):
            face = self._measured(face, png)
        record = FaceRecord(photo_id, label, said, face).to_json()
        kept = [(kinds.PHOTO, photo_id, png), (kinds.FACE, photo_id, record)]
        self._vault.put_all(session, [numbering, *kept])
        return photo_id

    def _measured(self, face: FaceNumbers, png: bytes) -> FaceNumbers:
        """The same numbers with an embedding, of a kept cut-out."""
        if face.embedding is not None:
            return face
        person = CutOut.from_png(png).before(PLAIN_WALL)
        found = Face((0.0, 0.0, 0.0, 0.0), face.landmarks, 1.0)  # aligned by its points alone
        return replace(face, embedding=self._faces.embed(person, found))

    def _reject(self, session: Session, label: Label, bad: BadPhoto) -> PhotoRecord:
        """Remember why a photo was turned away; nothing of its pixels is kept."""
        with self._writing:
            photo_id, numbering = self._next_id(session)
            record = FaceRecord(photo_id, label, bad.message, None)
            self._vault.put_all(session, [numbering, (kinds.FACE, photo_id, record.to_json())])
            rejected = [record.id for record in self._stored(session) if record.face is None]
            for old in rejected[:-MAX_REJECTED]:
                self._vault.delete(session, kinds.FACE, old)
        return verdict(record)

    def _next_id(self, session: Session) -> tuple[str, File]:
        """A number no photo of this session has had, and the file that says it is given away.

        Under the lock.
        """
        try:
            given = int(self._vault.open(session, kinds.FACE, _NUMBERING))
        except KeyError:
            given = 0
        return f"photo-{given + 1:02d}", (kinds.FACE, _NUMBERING, str(given + 1).encode())


def clean_label(label: str) -> Label:
    """A file name fit to be shown: one line, no control or direction characters, not too long."""
    printable = "".join(c for c in label if unicodedata.category(c)[0] != "C" and c.isprintable())
    return printable.strip()[:MAX_LABEL] or Message("photos.nameless")
