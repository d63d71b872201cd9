"""Which files there are: the rows of the table `files`, each the name of one encrypted file.

A file exists when its row does. Names and kinds live here and nowhere on the disk: a file's own
name is random. Statements run one by one; whoever needs several at once holds a transaction.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from errors import UnknownSession
from privacy.database import Database


@dataclass(frozen=True, slots=True)
class Entry:
    """What `list` tells of a file. `size` is the plaintext's, in bytes; `created` in epoch seconds.

    Replacing a file keeps its `created` and its place in the order.
    """

    kind: str
    name: str
    size: int
    created: float


class FileRows:
    """The rows of all sessions' files, by session, kind and name. Thread-safe."""

    def __init__(self, database: Database, now: Callable[[], float] = time.time) -> None:
        """now: the time that `Entry.created` gets."""
        self._database, self._now = database, now

    def require_live(self, session_id: str) -> None:
        """Raise UnknownSession unless the session is there and is not being erased."""
        live = "SELECT 1 FROM sessions WHERE id = ? AND state = 'live'"
        if not self._database.rows(live, (session_id,)):
            raise UnknownSession

    def find(self, session_id: str, kind: str, name: str) -> tuple[str, int]:
        """File id and plaintext size of a live session's file.

        Raises:
            KeyError: there is no such file. UnknownSession: there is no such session.
        """
        rows = self._database.rows(
            "SELECT file_id, size FROM sessions LEFT JOIN files"
            " ON session_id = id AND kind = ? AND name = ? WHERE id = ? AND state = 'live'",
            (kind, name, session_id),
        )
        if not rows:
            raise UnknownSession
        file_id, size = rows[0]
        if file_id is None:
            raise KeyError(f"{kind}/{name}")
        return file_id, size

    def entries(self, session_id: str, kind: str | None = None) -> list[Entry]:
        """The files of a session, or those of a kind, in order of creation."""
        rows = self._database.rows(
            "SELECT kind, name, size, created FROM files"
            " WHERE session_id = ? AND (? IS NULL OR kind = ?) ORDER BY rowid",
            (session_id, kind, kind),
        )
        return [Entry(*row) for row in rows]

    def insert(self, session_id: str, kind: str, name: str, file_id: str, size: int) -> str | None:
        """Point the row at a new file; the id of the file that it pointed at before."""
        which = (session_id, kind, name)
        before = self._database.rows(
            "SELECT file_id FROM files WHERE session_id = ? AND kind = ? AND name = ?", which
        )
        self._database.change(
            "INSERT INTO files (session_id, kind, name, file_id, size, created)"
            " VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (session_id, kind, name)"
            " DO UPDATE SET file_id = excluded.file_id, size = excluded.size",
            (*which, file_id, size, self._now()),
        )
        return before[0][0] if before else None

    def delete(self, session_id: str, kind: str, name: str | None = None) -> list[str]:
        """Delete the row of one file, or of every file of a kind; the ids of the files."""
        where = "session_id = ? AND kind = ?" + ("" if name is None else " AND name = ?")
        which = (session_id, kind) if name is None else (session_id, kind, name)
        doomed = self._database.rows(f"SELECT file_id FROM files WHERE {where}", which)
        self._database.change(f"DELETE FROM files WHERE {where}", which)
        return [file_id for (file_id,) in doomed]

    def without(self, kind: str, reason: str) -> list[tuple[str, str]]:
        """Session and file id of each file of a kind in live sessions with no file of `reason`."""
        return [
            (session_id, file_id)
            for session_id, file_id in self._database.rows(
                "SELECT session_id, file_id FROM files JOIN sessions ON id = session_id"
                " WHERE kind = ? AND state = 'live' AND session_id NOT IN"
                " (SELECT session_id FROM files WHERE kind = ?)",
                (kind, reason),
            )
        ]
