"""What is counted for whoever runs the server: numbers by day and by the name of a count.

A row says a day (UTC), the name of a count and a number. No time is finer than the day, no row is
of one session or one job, and after 30 days it is deleted. Beside the rows there is what is open at
this moment, counted when somebody asks.

Counting never stands in the way: what cannot be written is left out, with a line in the log. The
table is none of the versioned ones (`database`): a file without it is as good.
"""

from __future__ import annotations

import sqlite3
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import structlog

from errors import DiskFull
from privacy.database import Database
from privacy.units import SWEEP_S

KEPT_DAYS = 30

ON_TIME, LATE = "erasures/on_time", "erasures/late"
"""Sessions that were erased: within `SWEEP_S` of their deadline, or after that."""

_TABLE = (
    "CREATE TABLE IF NOT EXISTS tally (day TEXT NOT NULL, name TEXT NOT NULL,"
    " number INTEGER NOT NULL, PRIMARY KEY (day, name)) WITHOUT ROWID"
)

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class OpenNow:
    """Sessions at this moment.

    oldest_s: for how long the oldest has been open, seconds; 0 without any. overdue: how many
    should have been erased more than `SWEEP_S` ago and still exist.
    """

    sessions: int
    oldest_s: float
    overdue: int


class Tally:
    """All counts of this server. Thread-safe."""

    def __init__(self, database: Database, now: Callable[[], float]) -> None:
        """now: the sessions' clock, epoch seconds."""
        self._database, self._now = database, now
        self._lock = threading.Lock()
        self._since_start: Counter[str] = Counter()

    def add(self, *names: str) -> None:
        """Count one more of each name, today. Never fails."""
        counted = Counter(names)
        with self._lock:
            self._since_start += counted
        with _left_out(), self._table():
            for name, number in counted.items():
                self._database.change(
                    "INSERT INTO tally VALUES (?, ?, ?)"
                    " ON CONFLICT DO UPDATE SET number = number + excluded.number",
                    (self._day(), name, number),
                )

    def erased(self, deadlines: Sequence[float]) -> None:
        """Count sessions that were erased just now, by their deadlines in epoch seconds."""
        latest = self._now() - SWEEP_S
        if deadlines:
            self.add(*(LATE if deadline < latest else ON_TIME for deadline in deadlines))

    def since_start(self) -> Counter[str]:
        """Name → number since this process began: what only ever rises."""
        with self._lock:
            return self._since_start.copy()

    def days(self, count: int) -> dict[str, Counter[str]]:
        """Day as `2026-11-28` → name → number, of the last days; today first, none left out."""
        found: dict[str, Counter[str]] = {self._day(back): Counter() for back in range(count)}
        with _left_out(), self._table():
            for day, name, number in self._database.rows("SELECT day, name, number FROM tally"):
                if day in found:
                    found[day][name] = number
        return found

    def open_now(self) -> OpenNow:
        """What is open at this moment."""
        now = self._now()
        ((sessions, oldest, overdue),) = self._database.rows(
            "SELECT count(*) FILTER (WHERE state = 'live'),"
            " min(created) FILTER (WHERE state = 'live'),"
            " count(*) FILTER (WHERE erase_at < ?) FROM sessions",
            (now - SWEEP_S,),
        )
        return OpenNow(sessions, max(0.0, now - oldest) if sessions else 0.0, overdue)

    def forget(self) -> None:
        """Delete what is older than `KEPT_DAYS`. Never fails."""
        with _left_out(), self._table():
            self._database.change("DELETE FROM tally WHERE day <= ?", (self._day(KEPT_DAYS),))

    @contextmanager
    def _table(self) -> Iterator[None]:
        """One transaction in which there is the table."""
        with self._database.transaction():
            self._database.change(_TABLE)
            yield

    def _day(self, back: int = 0) -> str:
        """Today by UTC, or so many days ago."""
        today = datetime.fromtimestamp(self._now(), UTC).date()
        return (today - timedelta(days=back)).isoformat()


@contextmanager
def _left_out() -> Iterator[None]:
    """A block that may fail: it ends with a line in the log."""
    try:
        yield
    except (DiskFull, sqlite3.Error) as problem:
        log.warning("not_counted", error=type(problem).__name__)
