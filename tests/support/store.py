"""A whole privacy store in a folder, with a clock that the test moves."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from privacy.clock import Clock
from privacy.database import Database
from privacy.keys import MasterKey
from privacy.sessions import Session, Sessions
from privacy.sweeper import Sweeper
from privacy.vault import Vault

HOUR = 3600.0
START = 1_800_000_000.0


class Store:
    """One start of the server on a folder. Build a second one on it to play a restart."""

    def __init__(
        self,
        folder: Path,
        *,
        master_key: MasterKey | None = None,
        time: float = START,
        elapsed: Callable[[], float] | None = None,
    ) -> None:
        """elapsed: the monotonic clock; without one, it stands still."""
        self.folder, self.time = folder, time
        self.master_key = master_key or MasterKey.ram()
        self.database = Database(folder / "likeness.db")
        self.vault = Vault(folder / "vault", self.database)
        self.clock = Clock(self.database, lambda: self.time, elapsed)
        self.sessions = Sessions(
            self.database,
            self.vault,
            self.master_key,
            self.clock,
            retention_s=24 * HOUR,
            undelivered_s=48 * HOUR,
        )
        self.sweeper = Sweeper(self.sessions, self.vault)

    def restart(
        self,
        *,
        later: float = 0.0,
        master_key: MasterKey | None = None,
        elapsed: Callable[[], float] | None = None,
    ) -> Store:
        """The next start: same folder and, unless another is given, the same master key."""
        self.database.close()
        master_key = master_key or self.master_key
        time = self.time + later
        return Store(self.folder, master_key=master_key, time=time, elapsed=elapsed)

    def files(self) -> list[Path]:
        """Every file and link below the vault."""
        root = self.folder / "vault"
        return [Path(at) / name for at, _, names in os.walk(root) for name in names]

    def path(self, session: Session, kind: str, name: str) -> Path:
        """Where the ciphertext of a file lies."""
        ((file_id,),) = self.database.rows(
            "SELECT file_id FROM files WHERE session_id = ? AND kind = ? AND name = ?",
            (session.id, kind, name),
        )
        return self.folder / "vault" / session.id / str(file_id)

    def rows(self) -> int:
        """Rows about sessions and files, together."""
        sql = "SELECT (SELECT count(*) FROM sessions) + (SELECT count(*) FROM files)"
        return int(self.database.rows(sql)[0][0])

    def bytes_on_disk(self) -> bytes:
        """Every path and every byte of the scratch folder, in one string to search."""
        found = []
        for at, folders, names in os.walk(self.folder):
            found += [os.fsencode(name) for name in (*folders, *names)]
            found += [(Path(at) / name).read_bytes() for name in names]
        return b"\n".join(found)
