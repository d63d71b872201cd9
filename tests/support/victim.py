"""A process that is killed on purpose, again and again, for test_vault_kill.

Reads one order per line from stdin (JSON: folder, ticket, action, step), forks, and lets the child
do the action. With a step the child kills itself with SIGKILL just before that step (a call to the
system or a statement to SQLite; a write to the disk is cut in half first). Without one it goes on
until killed from outside. Prints the child's id when it begins, and how it ended.

Forking saves the second that imports take; nothing has been opened before the fork.
"""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import structlog

from privacy.keys import MasterKey
from privacy.sessions import Session
from tests.support.store import Store

MASTER = MasterKey(bytes(range(32)))
EARLIER, LATER = b"earlier" * 100_000, b"later" * 300_000
CALLS = ("open", "close", "write", "fsync", "rename", "unlink", "rmdir", "mkdir")


def write(store: Store, session: Session) -> None:
    store.vault.put(session, "adapter", "adapter", LATER)


def add(store: Store, session: Session) -> None:
    store.vault.put(session, "portrait", "portrait-001", LATER)


def together(store: Store, session: Session) -> None:
    both = [("adapter", "adapter", LATER), ("portrait", "portrait-001", LATER)]
    store.vault.put_all(session, both)


def create(store: Store, session: Session) -> None:
    store.sessions.create()


def delivered(store: Store, session: Session) -> None:
    store.sessions.delivered(session)


def erase(store: Store, session: Session) -> None:
    store.sessions.erase(session.id, "user")


def sweep(store: Store, session: Session) -> None:
    store.time += 1e9
    store.sweeper.sweep()


def everything(store: Store, session: Session) -> None:
    while True:
        write(store, session)
        other, _ = store.sessions.create()
        store.vault.put(other, "photo", "photo-01", EARLIER)
        erase(store, other)


def open_store(folder: Path) -> Store:
    return Store(folder, master_key=MASTER)


@contextmanager
def noted_connections() -> Iterator[list[sqlite3.Connection]]:
    """The connections to databases that are opened in the block."""
    connect, connections = sqlite3.connect, list[sqlite3.Connection]()

    def noted(*args: Any, **options: Any) -> sqlite3.Connection:
        connections.append(connect(*args, **options))
        return connections[-1]

    with mock.patch.object(sqlite3, "connect", noted):
        yield connections


def _count_down(connections: list[sqlite3.Connection], step: int) -> None:
    """From now on every step counts, and the given one is not reached."""
    left = step

    def count(_: object = None) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def counted(call: Callable[..., object]) -> Callable[..., object]:
        def replacement(*args, **options):
            if call.__name__ == "write" and left == 1:
                call(args[0], args[1][: len(args[1]) // 2])
            count()
            return call(*args, **options)

        return replacement

    for name in CALLS:
        setattr(os, name, counted(getattr(os, name)))
    for connection in connections:
        connection.set_trace_callback(count)


def _obey(order: dict) -> None:
    with noted_connections() as connections:
        store = open_store(Path(order["folder"]))
    session = store.sessions.open(order["ticket"])
    print(os.getpid(), flush=True)
    if order["step"]:
        _count_down(connections, order["step"])
    globals()[order["action"]](store, session)


def main() -> None:
    structlog.configure(logger_factory=structlog.ReturnLoggerFactory())
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            _obey(json.loads(line))
            os._exit(0)
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


if __name__ == "__main__":
    main()
