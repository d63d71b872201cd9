"""The one SQLite file: which sessions and files exist. It is the truth; the disk follows it.

Settings that erasure rests on, each checked after it was set: a rollback journal that each commit
empties, durably (a write-ahead log would keep old keys; one that is deleted, SQLite's default, can
come back after a power cut and undo the commit that destroyed a key), `secure_delete` (freed bytes
are zeroed), full syncs, and no temporary files. Every statement runs under one lock; `transaction`
holds it for several.

`secure_delete` is not enough by itself: when SQLite rebalances its pages it moves rows and leaves
copies in unused space, which a later delete does not reach (measured: after some hundred sessions,
ids of erased ones were still in the file). `scrub` rewrites the file from what still exists.

Does not protect the journal's old disk blocks after it was emptied; a wrapped key found there
opens nothing without M and the visitor's S.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlite_utils

from errors import BadSettings, DiskFull

Parameters = Sequence[object] | dict[str, object]

_PRAGMAS = {
    "journal_mode": "truncate",
    "secure_delete": 1,
    "synchronous": 2,  # FULL
    "foreign_keys": 1,
    "temp_store": 2,  # MEMORY
}
_TABLES = (
    # receipt: SHA-256(r), hex. log_id: from the first photo on. held: JSON, files by kind when the
    # erasure began.
    """CREATE TABLE sessions (
        id TEXT PRIMARY KEY,
        state TEXT NOT NULL CHECK (state IN ('live', 'erasing')),
        reason TEXT,
        verifier BLOB,
        wrapped_key BLOB,
        master TEXT NOT NULL,
        created REAL NOT NULL,
        first_photo REAL,
        delivered REAL,
        erase_at REAL NOT NULL,
        receipt TEXT,
        log_id TEXT,
        held TEXT
    )""",
    """CREATE TABLE files (
        session_id TEXT NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
        kind TEXT NOT NULL,
        name TEXT NOT NULL,
        file_id TEXT NOT NULL,
        size INTEGER NOT NULL,
        created REAL NOT NULL,
        UNIQUE (session_id, kind, name)
    )""",
    "CREATE TABLE clock (id INTEGER PRIMARY KEY CHECK (id = 1), latest REAL NOT NULL)",
    # Never a number twice, so that an event is never taken for one that was logged before.
    "CREATE TABLE unlogged (number INTEGER PRIMARY KEY AUTOINCREMENT, event TEXT NOT NULL)",
    """CREATE TABLE shares (
        id TEXT PRIMARY KEY,
        session_id TEXT NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
        verifier BLOB NOT NULL,
        wrapped_key BLOB NOT NULL
    )""",
    """CREATE TABLE hand_ins (
        id TEXT PRIMARY KEY,
        session_id TEXT NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
        number INTEGER NOT NULL,
        channel TEXT NOT NULL,
        portraits INTEGER NOT NULL,
        state TEXT NOT NULL,
        wrapped_key BLOB,
        due REAL NOT NULL,
        tries INTEGER NOT NULL
    )""",
)
_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_TABLES_VERSION = 4
"""Number in the file; raised with each change of the tables, so that no other version is read."""


class Database:
    """One connection, one lock. Reentrant: a transaction inside a transaction is a savepoint."""

    def __init__(self, path: Path) -> None:
        """Open the file, or create it readable by us alone.

        Raises:
            BadSettings: it cannot be opened, is damaged, or was not made by this version of the
                app.
        """
        self.lock = threading.RLock()
        try:
            _create_private(path)
            self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
            self._tables = sqlite_utils.Database(self._connection, execute_plugins=False)
            self._configure()
            self._require_sound()
            self._make_tables(path)
        except (OSError, sqlite3.Error) as problem:
            if getattr(problem, "sqlite_errorcode", None) in _DAMAGED:
                raise BadSettings(
                    f"LIKENESS_SCRATCH: the database {path} cannot be opened: it is damaged. What "
                    "is due cannot be told from what is not, so erase everything and start again: "
                    f"python -m privacy.erase_all {path.parent}"
                ) from None
            raise BadSettings(
                f"LIKENESS_SCRATCH: the database {path} cannot be opened; "
                "check its owner and permissions, or remove it (its sessions are lost)."
            ) from None

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing; holds the lock. Raises DiskFull, after undoing everything."""
        with self.lock, _disk_full(), self._tables.atomic():
            yield

    def change(self, sql: str, parameters: Parameters = ()) -> int:
        """Run one writing statement; the number of rows it changed."""
        with self.lock, _disk_full():
            return self._tables.execute(sql, parameters).rowcount

    def rows(self, sql: str, parameters: Parameters = ()) -> list[tuple[Any, ...]]:
        """Run one query; all its rows."""
        with self.lock:
            return self._tables.execute(sql, parameters).fetchall()

    def scrub(self) -> None:
        """Rewrite the whole file, so that it holds nothing but what can be selected.

        Takes time and journal space in proportion to the file; the copy is built in RAM.

        Raises:
            DiskFull: no room for the journal; the file is as before.
        """
        with self.lock, _disk_full():
            self._tables.vacuum()

    def close(self) -> None:
        with self.lock:
            self._connection.close()

    def _configure(self) -> None:
        for name, value in _PRAGMAS.items():
            self._connection.execute(f"PRAGMA {name} = {value}")
            (took,) = self._connection.execute(f"PRAGMA {name}").fetchone()
            if took != value:
                raise sqlite3.NotSupportedError(f"PRAGMA {name} did not take")

    def _require_sound(self) -> None:
        """Read every page and row once: what is damaged deep inside would stop only the sweep."""
        found = self._connection.execute("PRAGMA quick_check(1)").fetchone()
        if found != ("ok",):
            error = sqlite3.DatabaseError("damaged")
            error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
            raise error

    def _make_tables(self, path: Path) -> None:
        (version,) = self._connection.execute("PRAGMA user_version").fetchone()
        if version == _TABLES_VERSION:
            return
        if version != 0:
            raise BadSettings(
                f"LIKENESS_SCRATCH: the database {path} was made by another version of this app. "
                "Start that one until everything is erased, or erase everything and start again: "
                f"python -m privacy.erase_all {path.parent}"
            )
        with self.transaction():
            for statement in _TABLES:
                self.change(statement)
            self.change(f"PRAGMA user_version = {_TABLES_VERSION}")


def _create_private(path: Path) -> None:
    """Mode 0600 from the first moment, whatever the umask; its journal inherits it."""
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(path, flags, 0o600)
    try:
        os.fchmod(descriptor, 0o600)
    finally:
        os.close(descriptor)


@contextmanager
def _disk_full() -> Iterator[None]:
    try:
        yield
    except sqlite3.OperationalError as problem:
        if problem.sqlite_errorcode == sqlite3.SQLITE_FULL:
            raise DiskFull from None
        raise
