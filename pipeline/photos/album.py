"""The photos of one session: check each, cut the person out, judge the set.

A photo becomes an encrypted PNG of kind "photo", the person's colours and alpha without their room,
and a record of kind "face" under the same name; a photo that is turned away leaves only the record,
so that the page can say why. Between check and cut-out, which takes longer, a good photo is in RAM
alone (`pending.py`). Whether two photos are nearly the same, and whether one shows somebody else,
depends on the others: that is judged anew from the records each time (`verdicts.py`), and never
stored. Whose face it is, is measured only after `compare`: cutting somebody out needs no identity.
How a person is cut out is handed in.
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
from pipeline.photos.crop import head_and_shoulders
from pipeline.photos.detection import Faces
from pipeline.photos.face_records import FaceRecords, in_order
from pipeline.photos.ingest import Decoder
from pipeline.photos.pending import Pending, Waiting
from pipeline.photos.quality import CheckedPhoto, check_photo
from pipeline.photos.record import (
    PLAIN_WALL,
    CutOutPhoto,
    FaceNumbers,
    FaceRecord,
    Label,
    TrainingPhoto,
    clean_label,
)
from pipeline.photos.similarity import Lack, lacking
from pipeline.photos.strokes import Strokes, without
from pipeline.photos.verdicts import PhotoRecord, judged, number_of, said_of, verdict
from privacy import kinds
from privacy.sessions import Session
from privacy.vault import Vault


@dataclass(frozen=True)
class Keeping:
    """How much is kept: photos of a session; most pixels on the longer side of a photo, and of the
    head and shoulders that training gets of it, None for all that is kept."""

    photos: int
    photo_px: int
    training_px: int | None


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
        self._records, self.pending = FaceRecords(vault), Pending()
        self._writing = threading.Lock()  # numbers are given and photos counted under it
        self.strokes = Strokes(vault, self._writing)

    def add(self, session: Session, data: bytes, label: Label) -> PhotoRecord:
        """`judge` and, if it is good, `finish`; the verdict then, in view of the others.

        Raises:
            UnknownSession, DiskFull, Busy, BaseUnavailable: as those two.
        """
        judged = self.judge(session, data, label)
        self.finish(session, judged.id)
        return next((one for one in self.records(session) if one.id == judged.id), judged)

    def judge(self, session: Session, data: bytes, label: Label) -> PhotoRecord:
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
        with self._writing:
            waiting = set(self.pending.ids(session.id))
            kept = len(waiting.union(one.name for one in self._vault.list(session, kinds.PHOTO)))
            if kept < self._keeping.photos:
                photo_id = self._records.give_number(session)
                one = Waiting(label, data, checked.numbers, checked)
                self.pending.add(session.id, photo_id, one)
        if kept >= self._keeping.photos:
            return self._reject(session, label, BadPhoto("verdict.too_many", kept=kept))
        try:
            return next(one for one in self.records(session) if one.id == photo_id)
        except UnknownSession:
            self.pending.forget(session.id)  # it was added after the erasure had looked
            raise

    def finish(self, session: Session, photo_id: str) -> None:
        """Cut the person out of a waiting photo, and keep that; harmless if it does not wait.

        Raises:
            UnknownSession, DiskFull, Busy, BaseUnavailable: as `judge`; the photo is gone then.
        """
        if (waiting := self.pending.get(session.id, photo_id)) is None:
            return
        with waiting.working:
            try:
                if self.pending.get(session.id, photo_id) is waiting:
                    self._cut_and_keep(session, photo_id, waiting)
            except BadPhoto as bad:  # opening it anew took too long
                self._reject(session, waiting.label, bad)
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

    def overview(self, session: Session) -> tuple[list[PhotoRecord], list[Lack]]:
        """`records`, and what more variety the accepted ones could use (`similarity.lacking`).

        Raises:
            UnknownSession: the session was erased.
        """
        known = self._all(session)
        told = judged(known)
        accepted = [r.face for r, v in zip(known, told, strict=True) if v.accepted and r.face]
        return told, lacking(accepted)

    def remove(self, session: Session, photo_id: str) -> None:
        """Delete a photo and all that is known of it; harmless if there is none.

        Raises:
            UnknownSession: the session was erased, and the photo with it.
        """
        if number_of(photo_id) is None:
            return
        with self._writing:  # or `finish` would keep what was just removed
            self.pending.forget(session.id, photo_id)
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
            cut, points = CutOut.from_png(png), face.landmarks
            image = np.dstack([cut.before(PLAIN_WALL), cut.alpha])
            if (px := self._keeping.training_px) is not None:
                image, points = head_and_shoulders(image, points, px)
            colours, alpha = np.ascontiguousarray(image[..., :3]), image[..., 3].copy()
            photos.append(TrainingPhoto(colours, points, embedding, alpha))
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
        cut, taken, face = CutOut.from_png(png), record.taken, record.face
        points = face.landmarks, face.embedding, face.sharpness
        return CutOutPhoto(photo_id, without(cut, taken), *points, len(taken))

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
        stored = self._records.stored(session)
        return [
            (record.id, record.face)
            for record, told in zip(stored, judged(stored), strict=True)
            if told.accepted and record.face is not None
        ]

    def _all(self, session: Session) -> list[FaceRecord]:
        """What is stored and what waits: looked at first, since it may be stored meanwhile."""
        waiting = {record.id: record for record in self.pending.records(session.id)}
        stored = {record.id: record for record in self._records.stored(session)}
        return in_order([*(waiting | stored).values()])

    def _checked(self, session: Session, data: bytes) -> CheckedPhoto:
        image = self._decoder.decode(data, session.id)
        return check_photo(image, self._faces, self._keeping.photo_px)

    def _cut_and_keep(self, session: Session, photo_id: str, waiting: Waiting) -> None:
        """Write pixels and record, or neither; neither if the photo was removed meanwhile."""
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
