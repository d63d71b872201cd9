"""The records of one session's photos, as the vault has them: files of kind "face".

Beside them lie how many numbers were given, and the mark that faces may be compared. Whoever writes
here holds the album's lock.
"""

from __future__ import annotations

from messages import Message
from pipeline.photos.record import FaceRecord, Label
from pipeline.photos.verdicts import number_of
from privacy import kinds
from privacy.sealed import File, Files
from privacy.sessions import Session

MAX_REJECTED = 30
"""Rejected photos that are remembered for the page; the oldest are forgotten first."""

_NUMBERING = "numbering"
"""Name, among the records, of how many numbers were given: a removed photo's is not given again."""

_COMPARED = "compared"
"""Name, among the records, of the mark that faces may be compared."""


class FaceRecords:
    """The records of all sessions. Each call raises UnknownSession where the session was erased."""

    def __init__(self, vault: Files) -> None:
        self._vault = vault

    def stored(self, session: Session) -> list[FaceRecord]:
        """Every photo that was kept or turned away, by number."""
        records = []
        for entry in self._vault.list(session, kinds.FACE):
            if entry.name not in (_NUMBERING, _COMPARED):
                try:
                    data = self._vault.open(session, kinds.FACE, entry.name)
                except KeyError:
                    continue  # removed since it was listed
                records.append(FaceRecord.from_json(entry.name, data))
        return in_order(records)

    def give_number(self, session: Session) -> str:
        """The id of a new photo, which no photo of this session has had.

        Raises:
            DiskFull: no room.
        """
        photo_id, numbering = self._next_id(session)
        self._vault.put_all(session, [numbering])
        return photo_id

    def reject(
        self, session: Session, label: Label, why: Message, photo_id: str | None = None
    ) -> FaceRecord:
        """Remember why a photo was turned away; `photo_id` is its own, if it was given one.

        Raises:
            DiskFull: no room.
        """
        files: list[File] = []
        if photo_id is None:
            photo_id, numbering = self._next_id(session)
            files = [numbering]
        record = FaceRecord(photo_id, label, why, None)
        self._vault.put_all(session, [*files, (kinds.FACE, photo_id, record.to_json())])
        rejected = [record.id for record in self.stored(session) if record.face is None]
        for old in rejected[:-MAX_REJECTED]:
            self._vault.delete(session, kinds.FACE, old)
        return record

    def allow_comparing(self, session: Session) -> None:
        """The visitor agreed that faces are compared.

        Raises:
            DiskFull: no room.
        """
        self._vault.put(session, kinds.FACE, _COMPARED, b"")

    def comparing(self, session: Session) -> bool:
        """Whether they did."""
        return any(entry.name == _COMPARED for entry in self._vault.list(session, kinds.FACE))

    def _next_id(self, session: Session) -> tuple[str, File]:
        """A number not given yet, and the file that says it is given away."""
        try:
            given = int(self._vault.open(session, kinds.FACE, _NUMBERING))
        except KeyError:
            given = 0
        return f"photo-{given + 1:02d}", (kinds.FACE, _NUMBERING, str(given + 1).encode())


def in_order(records: list[FaceRecord]) -> list[FaceRecord]:
    """By number: in order of arrival, whenever each was cut out."""
    return sorted(records, key=lambda record: number_of(record.id) or 0)
