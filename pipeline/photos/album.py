"""The photos of one session, as they were kept, and the set judged (`arrivals.py`: how they come).

Whether two photos are nearly the same, and whether one shows somebody else, depends on the others:
that is judged anew from the records each time (`verdicts.py`), and never stored.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipeline.imaging import CutOut
from pipeline.photos.arrivals import Arrivals
from pipeline.photos.crop import head_and_shoulders
from pipeline.photos.record import (
    PLAIN_WALL,
    CutOutPhoto,
    FaceNumbers,
    FaceRecord,
    TrainingPhoto,
)
from pipeline.photos.similarity import Lack, lacking
from pipeline.photos.strokes import without
from pipeline.photos.verdicts import PhotoRecord, judged, number_of
from privacy import kinds
from privacy.sessions import Session


class Album(Arrivals):
    """Photos by session. Thread-safe; photos are opened and checked in parallel."""

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
        for record, face in self._accepted(session):
            png = self._vault.open(session, kinds.PHOTO, record.id)
            embedding = self._measured(face, png).embedding
            assert embedding is not None
            cut, points = without(CutOut.from_png(png), record.taken), face.landmarks
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
        return [record.id for record, face in self._accepted(session) if not face.faults]

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

    def _accepted(self, session: Session) -> list[tuple[FaceRecord, FaceNumbers]]:
        stored = self._records.stored(session)
        return [
            (record, record.face)
            for record, told in zip(stored, judged(stored), strict=True)
            if told.accepted and record.face is not None
        ]
