"""The files of one session on another machine: in RAM, encrypted until the moment one is opened.

What is put here is encrypted at once and handed on, to be kept in the vault it belongs to. Nothing
touches a disk, and what is handed on opens to nobody but who has the session's data key.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from errors import UnknownSession
from privacy.file_rows import Entry
from privacy.keys import Session
from privacy.sealed import Entries, File, Sealed, seal, unseal

Change = Callable[[Sequence[Sealed], Sequence[tuple[str, str | None]]], None]
"""Told of files that were put, and of those that were deleted: kind, and name or None for all."""


class CarriedVault:
    """`Files` of the one session that was carried here. Thread-safe.

    Knows of files that were not carried along that they are there (`list`), and cannot open them.
    """

    def __init__(
        self,
        session: Session,
        files: Iterable[Sealed],
        others: Iterable[Entry],
        changed: Change,
    ) -> None:
        """files: to be opened here. others: those that stayed behind. changed: see `Change`."""
        self._session_id, self._changed = session.id, changed
        self._lock = threading.RLock()
        self._files: dict[tuple[str, str], Sealed] = {}
        self._entries: dict[tuple[str, str], Entry] = {(e.kind, e.name): e for e in others}
        for file in files:
            self._take(file)

    def put(self, session: Session, kind: str, name: str, data: bytes) -> None:
        """Encrypt a file, keep it here and hand it on.

        Raises:
            UnknownSession: another session than the one that is here, or none any more.
        """
        self.put_all(session, [(kind, name, data)])

    def put_all(self, session: Session, files: Sequence[File]) -> None:
        """As `put`, for several that belong together."""
        self._require(session)
        sealed = [seal(session, *file) for file in files]
        with self._lock:
            self._require(session)
            for file in sealed:
                self._take(file)
            self._changed(sealed, [])

    def open(self, session: Session, kind: str, name: str) -> bytes:
        """Decrypt a file, wholly verified.

        Raises:
            KeyError: there is no such file here. UnknownSession: as in `put`.
            TamperedError: it is not what was written.
        """
        self._require(session)
        with self._lock:
            file = self._files[kind, name]
        return unseal(session, file)

    def delete(self, session: Session, kind: str, name: str | None = None) -> int:
        """Delete one file, or every file of a kind, here and where it came from.

        Raises:
            UnknownSession: as in `put`.
        """
        self._require(session)
        with self._lock:
            doomed = [key for key in self._entries if key[0] == kind and name in (None, key[1])]
            for key in doomed:
                del self._entries[key]
                self._files.pop(key, None)
            self._changed([], [(kind, name)])
        return len(doomed)

    def list(self, session: Session, kind: str | None = None) -> Entries:
        """The files of the session, or those of a kind, also those that were not carried along.

        Raises:
            UnknownSession: as in `put`.
        """
        self._require(session)
        with self._lock:
            return [entry for entry in self._entries.values() if kind in (None, entry.kind)]

    def forget(self) -> None:
        """Drop everything; every call from now on raises UnknownSession."""
        with self._lock:
            self._session_id = ""
            self._files.clear()
            self._entries.clear()

    def _take(self, file: Sealed) -> None:
        key = (file.kind, file.name)
        before = self._entries.get(key)
        now = Entry(file.kind, file.name, file.size, time.time())
        self._entries[key] = replace(before, size=file.size) if before else now
        self._files[key] = file

    def _require(self, session: Session) -> None:
        if session.id != self._session_id:
            raise UnknownSession
