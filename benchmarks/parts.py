"""What the benchmarks of secrecy and erasure share: privacy/ on a folder of its own, and a clock.

All in a temporary folder of the real disk (`TMPDIR`), with every fsync that the product makes.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import structlog

from privacy.clock import Clock
from privacy.database import Database
from privacy.keys import MasterKey
from privacy.sessions import Sessions
from privacy.sweeper import Sweeper
from privacy.vault import Vault


class Parts:
    """privacy/ on a folder of its own, its clock `later` seconds ahead."""

    def __init__(self, folder: Path) -> None:
        self.later = 0.0
        self.plain = folder / "plain"  # for the plain way, on the same disk
        self.plain.mkdir()
        self.database = Database(folder / "likeness.db")
        self.vault_folder = folder / "vault"
        self.vault = Vault(self.vault_folder, self.database)
        self.sessions = Sessions(
            self.database,
            self.vault,
            MasterKey.ram(),
            Clock(self.database, lambda: time.time() + self.later),
            retention_s=24 * 3600,
            undelivered_s=48 * 3600,
        )
        self.sweeper = Sweeper(self.sessions, self.vault)


@contextmanager
def parts() -> Iterator[Parts]:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    with tempfile.TemporaryDirectory(prefix="likeness-bench-") as folder:
        opened = Parts(Path(folder))
        yield opened
        opened.database.close()


def seconds(action: Callable[[], object]) -> float:
    """How long an action takes."""
    started = time.perf_counter()
    action()
    return time.perf_counter() - started


def write(folder: Path, name: str, data: bytes) -> None:
    """A new file, all or nothing, durably."""
    descriptor = os.open(folder / f"{name}.part", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(descriptor, "wb", buffering=0) as file:
        file.write(data)
        os.fsync(descriptor)
    os.rename(folder / f"{name}.part", folder / name)
    _sync(folder)


def remove(folder: Path) -> None:
    """Remove a plain folder, durably."""
    shutil.rmtree(folder)
    _sync(folder.parent)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    os.fsync(descriptor)
    os.close(descriptor)
