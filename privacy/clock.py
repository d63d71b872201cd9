"""A clock that never runs backwards, not even across a restart.

The wall clock of a machine can be set back by a person, a bad battery or a virtual machine's host.
Deadlines must not move with it. So: now = the latest of the wall clock and of the last known time
plus what a monotonic clock has counted since; the last known time is kept in the database.

Set back while running: no session lives longer. Set forward: what is overdue by it is erased early,
and deadlines made afterwards still take their full length, no more. Not covered: time during which
the server was off while the wall clock stayed behind the last known time; nobody counted it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from privacy.database import Database


class Clock:
    """Seconds since the epoch, as `time.time`, but only ever forwards."""

    def __init__(
        self,
        database: Database,
        source: Callable[[], float] = time.time,
        elapsed: Callable[[], float] | None = None,
    ) -> None:
        """
        Args:
            database: where the last known time is kept.
            source: the wall clock; tests pass one that they move.
            elapsed: the monotonic clock. By default `time.monotonic` beside the real wall clock,
                and one that stands still beside a passed one, so that tests stay exact.
        """
        if elapsed is None:
            elapsed = time.monotonic if source is time.time else float
        self._database, self._source, self._elapsed = database, source, elapsed
        self._lock = threading.Lock()
        kept = database.rows("SELECT latest FROM clock")
        self._latest: float = kept[0][0] if kept else 0.0
        self._counted = elapsed()

    def now(self) -> float:
        with self._lock:
            counted = self._elapsed()
            self._latest = max(self._source(), self._latest + counted - self._counted)
            self._counted = counted
            return self._latest

    def record(self) -> float:
        """`now`, kept in the database: with every event of a session and every sweep."""
        with self._database.lock:
            now = self.now()
            self._database.change(
                "INSERT INTO clock (id, latest) VALUES (1, ?)"
                " ON CONFLICT (id) DO UPDATE SET latest = max(latest, excluded.latest)",
                (now,),
            )
            return now
