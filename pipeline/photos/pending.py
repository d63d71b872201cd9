"""Photos that were judged and whose person is still to be cut out: in RAM, and nowhere else.

Of some only a small preview was judged, and the file is still on its way.

A room is in them, so none of this is ever written. What a photo is then kept as, and when, is the
album's to say.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

from messages import Message
from pipeline.photos.quality import CheckedPhoto
from pipeline.photos.record import ARRIVING, WAITING, FaceNumbers, FaceRecord, FileData, Label


@dataclass
class Waiting:
    """A good photo before its cut-out.

    data: the uploaded file, which is smaller than its pixels; None while it is on its way. checked:
    the pixels, for as long as they are at hand. numbers: what was measured. working: held by
    whoever cuts it out.
    """

    label: Label
    data: FileData | None = field(repr=False)
    numbers: FaceNumbers
    checked: CheckedPhoto | None = field(repr=False)
    working: threading.Lock = field(default_factory=threading.Lock, repr=False)


class Pending:
    """The waiting photos of all sessions. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: dict[str, dict[str, Waiting]] = {}

    def add(self, session_id: str, photo_id: str, waiting: Waiting) -> None:
        with self._lock:
            self._waiting.setdefault(session_id, {})[photo_id] = waiting

    def replace(self, session_id: str, photo_id: str, waiting: Waiting) -> bool:
        """Let another stand for a photo, if it is still there; whether it is."""
        with self._lock:
            there = photo_id in self._waiting.get(session_id, {})
            if there:
                self._waiting[session_id][photo_id] = waiting
            return there

    def get(self, session_id: str, photo_id: str) -> Waiting | None:
        with self._lock:
            return self._waiting.get(session_id, {}).get(photo_id)

    def ids(self, session_id: str) -> list[str]:
        """A session's waiting photos, in order of arrival."""
        with self._lock:
            return list(self._waiting.get(session_id, ()))

    def records(self, session_id: str) -> list[FaceRecord]:
        """What is known of them so far, in order of arrival."""
        with self._lock:
            waiting = list(self._waiting.get(session_id, {}).items())
        return [
            FaceRecord(
                photo_id, one.label, Message(ARRIVING if one.data is None else WAITING), one.numbers
            )
            for photo_id, one in waiting
        ]

    def set_aside(self, session_id: str, photo_id: str) -> bool:
        """Let a photo that cannot be cut out soon wait as the file that came; whether it waits."""
        if waiting := self.get(session_id, photo_id):
            waiting.checked = None
        return waiting is not None

    def forget(self, session_id: str, photo_id: str | None = None) -> None:
        """Drop a photo, or all of a session."""
        with self._lock:
            photos = self._waiting.get(session_id, {})
            if photo_id is not None:
                photos.pop(photo_id, None)
            if photo_id is None or not photos:
                self._waiting.pop(session_id, None)
