"""Photos on their way into the album: check each, cut the person out, keep that.

A photo becomes an encrypted PNG of kind "photo", the person's colours and alpha without their room,
and a record of kind "face" under the same name; a photo that is turned away leaves only the record,
so that the page can say why. Between check and cut-out, which takes longer, a good photo is in RAM
alone (`pending.py`). One that takes long to come may be announced by a small preview, so that its
verdict need not wait. Whose face it is, is measured only after `compare`: cutting somebody out
needs no identity. How a person is cut out is handed in.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from errors import BadPhoto, UnknownSession
from messages import Message
from pipeline.imaging import CutOut, Face
from pipeline.photos.detection import Faces
from pipeline.photos.face_records import FaceRecords, in_order
from pipeline.photos.ingest import Decoder
from pipeline.photos.pending import Pending, Waiting
from pipeline.photos.quality import CheckedPhoto, check_photo
from pipeline.photos.record import (
    PLAIN_WALL,
    FaceNumbers,
    FaceRecord,
    FileData,
    Label,
    clean_label,
)
from pipeline.photos.strokes import Strokes
from pipeline.photos.verdicts import PhotoRecord, judged, said_of, verdict
from privacy import kinds
from privacy.sealed import Files
from privacy.sessions import Session


@dataclass(frozen=True)
class Keeping:
    """How much is kept: photos of a session; most pixels on the longer side of a photo, and of the
    head and shoulders that training gets of it, None for all that is kept."""

    photos: int
    photo_px: int
    training_px: int | None


class Arrivals:
    """The way in of an `Album`, and the records of what is there. Thread-safe."""

    def __init__(
        self,
        vault: Files,
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
        self._records, self.pending = FaceRecords(vault), Pending()
        self._writing = threading.Lock()  # numbers are given and photos counted under it
        self.strokes = Strokes(vault, self._writing)

    def add(self, session: Session, data: FileData, label: Label) -> PhotoRecord:
        """`judge` and, if it is good, `finish`; the verdict then, in view of the others.

        Raises:
            UnknownSession, DiskFull, Busy, BaseUnavailable: as those two.
        """
        judged = self.judge(session, data, label)
        self.finish(session, judged.id)
        return next((one for one in self.records(session) if one.id == judged.id), judged)

    def judge(self, session: Session, data: FileData, label: Label) -> PhotoRecord:
        """Check an uploaded file: a bad photo is a rejected record, not an exception; a good one
        waits for `finish`.

        label: the visitor's file name, or what to call a photo that has none of theirs.

        Raises:
            UnknownSession: the session was erased meanwhile; nothing is kept.
            DiskFull: no room; nothing of this photo is kept.
            Busy: this session's photos took too long, or the server is shutting down.
            BaseUnavailable: the face models are missing.
        """
        label = label if isinstance(label, Message) else clean_label(label)
        try:
            checked = self._checked(session, data)
        except BadPhoto as bad:
            return self._reject(session, label, bad)
        told = self._wait(session, Waiting(label, data, checked.numbers, checked))
        if told is None:
            full = BadPhoto("verdict.too_many", kept=self._keeping.photos)
            return self._reject(session, label, full)
        return told

    def announce(self, session: Session, preview: FileData, label: str) -> str | None:
        """Check the preview of a photo that is on its way. If it is good, it is told of, and
        nothing else is kept of it until the photo does `arrive`.

        preview: a small file of the same picture.

        Returns:
            The id to `arrive` with; None where only the photo itself can be judged.

        Raises:
            UnknownSession, DiskFull, Busy, BaseUnavailable: as `judge`.
        """
        try:
            numbers = self._checked(session, preview).numbers
        except BadPhoto:
            return None
        told = self._wait(session, Waiting(clean_label(label), None, numbers, None))
        return told.id if told else None

    def arrive(self, session: Session, photo_id: str, data: FileData) -> None:
        """`judge` and `finish` the file of a photo that was announced; harmless if that was removed
        meanwhile.

        Raises:
            UnknownSession, DiskFull, Busy, BaseUnavailable: as `judge`; the photo is gone then.
        """
        if (announced := self.pending.get(session.id, photo_id)) is None:
            return
        try:
            checked = self._checked(session, data)
            one = Waiting(announced.label, data, checked.numbers, checked)
            if self.pending.replace(session.id, photo_id, one):
                self.finish(session, photo_id)
        except BadPhoto as bad:
            self._turn_away(session, photo_id, announced.label, bad)
        finally:
            self.pending.forget(session.id, photo_id)

    def finish(self, session: Session, photo_id: str) -> None:
        """Cut the person out of a waiting photo, and keep that; harmless if it does not wait, or is
        still on its way.

        Raises:
            UnknownSession, DiskFull, Busy, BaseUnavailable: as `judge`; the photo is gone then.
        """
        waiting = self.pending.get(session.id, photo_id)
        if waiting is None or waiting.data is None:
            return
        with waiting.working:
            try:
                if self.pending.get(session.id, photo_id) is waiting:
                    self._cut_and_keep(session, photo_id, waiting)
            except BadPhoto as bad:  # opening it anew took too long
                self._turn_away(session, photo_id, waiting.label, bad)
            finally:
                self.pending.forget(session.id, photo_id)

    def finish_all(self, session: Session) -> None:
        """`finish` whatever waits: somebody wants portraits of it now."""
        for photo_id in self.pending.ids(session.id):
            self.finish(session, photo_id)

    def compare(self, session: Session) -> None:
        """Measure whose face each photo shows, now and of photos to come: the visitor agreed.

        Raises:
            UnknownSession: the session was erased. DiskFull: no room.
            BaseUnavailable: the face models are missing.
        """
        with self._writing:
            self._records.allow_comparing(session)
            for record in self._records.stored(session):
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
        return judged(self._all(session))

    def _all(self, session: Session) -> list[FaceRecord]:
        """What is stored and what waits: looked at first, since it may be stored meanwhile."""
        waiting = {record.id: record for record in self.pending.records(session.id)}
        stored = {record.id: record for record in self._records.stored(session)}
        return in_order([*(waiting | stored).values()])

    def _wait(self, session: Session, one: Waiting) -> PhotoRecord | None:
        """Let a photo wait, and what is told of it; None if as many are there as may be."""
        with self._writing:
            waiting = set(self.pending.ids(session.id))
            kept = waiting.union(entry.name for entry in self._vault.list(session, kinds.PHOTO))
            if len(kept) >= self._keeping.photos:
                return None
            photo_id = self._records.give_number(session)
            self.pending.add(session.id, photo_id, one)
        try:
            return next(told for told in self.records(session) if told.id == photo_id)
        except UnknownSession:
            self.pending.forget(session.id)  # it was added after the erasure had looked
            raise

    def _checked(self, session: Session, data: FileData) -> CheckedPhoto:
        image = self._decoder.decode(data, session.id)
        return check_photo(image, self._faces, self._keeping.photo_px)

    def _cut_and_keep(self, session: Session, photo_id: str, waiting: Waiting) -> None:
        """Write pixels and record, or neither; neither if the photo was removed meanwhile."""
        assert waiting.data is not None
        checked = waiting.checked or self._checked(session, waiting.data)
        started = time.monotonic()
        cut_out = self._cut_out(checked.image, checked.face)
        self.seconds_cut_out += time.monotonic() - started
        face, png = replace(checked.numbers, faults=cut_out.faults), cut_out.to_png()
        with self._writing:
            if self.pending.get(session.id, photo_id) is not waiting:
                return
            if self._records.comparing(session):
                face = self._measured(face, png)
            record = FaceRecord(photo_id, waiting.label, said_of(cut_out), face).to_json()
            kept = [(kinds.PHOTO, photo_id, png), (kinds.FACE, photo_id, record)]
            self._vault.put_all(session, kept)

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
            return verdict(self._records.reject(session, label, bad.message))

    def _turn_away(self, session: Session, photo_id: str, label: Label, bad: BadPhoto) -> None:
        """The same of a photo that waited, unless it was removed meanwhile."""
        with self._writing:
            if self.pending.get(session.id, photo_id) is not None:
                self._records.reject(session, label, bad.message, photo_id)
