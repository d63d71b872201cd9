"""What erasure costs: a session, and ten thousand overdue ones, beside removing plain folders."""

from __future__ import annotations

import os
import statistics
from collections.abc import Iterator
from contextlib import contextmanager

from benchmarks.measure import Measurement
from benchmarks.parts import parts, remove, seconds, write
from privacy.database import Database

DELETED, DELETED_BYTES = 120, 300_000


def delete_all() -> dict[str, Measurement]:
    """Seconds until a session of 120 files of 300 kB is gone, durably, median of five.

    Ours: the key is overwritten and committed, files and folder go, rows go, the database file is
    rewritten. Reference: remove a folder with as many plain files, fsync of its parent.
    """
    ours, reference = [], []
    with parts() as opened:
        for _ in range(5):
            session, _ = opened.sessions.create()
            folder = opened.plain / "folder"
            folder.mkdir()
            for number in range(DELETED):
                data = os.urandom(DELETED_BYTES)
                opened.vault.put(session, "portrait", f"portrait-{number}", data)
                write(folder, str(number), data)
            ours.append(seconds(lambda: opened.sessions.erase(session.id, "user")))  # noqa: B023
            reference.append(seconds(lambda: remove(folder)))  # noqa: B023
    return {
        "delete_all": Measurement(
            statistics.median(ours), "s", "ours <= 0.2", statistics.median(reference)
        )
    }


def sweep() -> dict[str, Measurement]:
    """Seconds to sweep 1,000 and 10,000 overdue sessions of one file; linear is 10 times as long.

    Ours: the whole sweep. Reference: remove as many folders with a plain file, one final fsync.
    """
    return {
        "sweep_1000": _swept(1000, ""),
        "sweep_10000": _swept(10_000, "ours <= 10, linear"),
    }


def _swept(count: int, goal: str) -> Measurement:
    with parts() as opened:
        with _unsynced(opened.database), opened.database.transaction():
            for number in range(count):
                session, _ = opened.sessions.create()
                opened.vault.put(session, "photo", "photo-01", b"x" * 1000)
                (opened.plain / str(number)).mkdir()
                (opened.plain / str(number) / "file").write_bytes(b"x" * 1000)
        os.sync()
        opened.later = 49 * 3600.0
        ours = seconds(opened.sweeper.sweep)
        assert os.listdir(opened.vault_folder) == []
        reference = seconds(lambda: remove(opened.plain))
    return Measurement(ours, "s", goal, reference)


@contextmanager
def _unsynced(database: Database) -> Iterator[None]:
    """Setting up ten thousand sessions, durable one by one, would take longer than all else."""
    fsync, os.fsync = os.fsync, lambda descriptor: None  # type: ignore[assignment]
    database.rows("PRAGMA synchronous = OFF")
    try:
        yield
    finally:
        os.fsync = fsync
        database.rows("PRAGMA synchronous = FULL")
