"""Receipts: each session that brought a photo leaves one signed line when it opens, one when it is
erased, and only the visitor can tell which lines are theirs.

    r = HKDF(S, info = "likeness/receipt/v1")        only the visitor: it follows from their ticket
    line: SHA-256(r), a random id, the hour, a reason, counts

While a session lives its row holds SHA-256(r) and the random id; both go with the row, and from
then on nothing on this server leads from a session to its lines. Nobody needs to be there when the
sweep erases: whoever kept the private link can work out r from it at any time. r opens nothing,
and leads neither to S nor to a key.

Erasing never waits for the log. What is to be said goes into the table `unlogged`, in the same
transaction that opens the session or deletes its row, and from there into the log: at once, or, if
the log cannot be written or the machine stops, with a later sweep. An event is logged once.

Does not prove that bytes are gone: a line is this server's signed word, in an order that cannot be
rewritten unnoticed.
"""

from __future__ import annotations

import hashlib
import json
import secrets
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import structlog

from errors import DiskFull
from privacy import kinds
from privacy.database import Database
from privacy.receipt_lines import COUNTED, Line, hour
from privacy.receipt_log import ReceiptLog
from privacy.units import SWEEP_S

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Receipt:
    """What the log says to whoever holds r.

    Attributes:
        hash: SHA-256(r) in hex, as it stands in the lines.
        lines: the session's lines, oldest first; at most `opened` and `erased`.
        waiting: a line is on its way into the log.
    """

    hash: str
    lines: tuple[Line, ...]
    waiting: bool


class Receipts:
    """The way of a session's events into the log. Thread-safe.

    Without a log (`attach`) events only gather: the command line erases its whole scratch folder.
    """

    def __init__(self, database: Database, now: Callable[[], float]) -> None:
        """
        Args:
            now: the sessions' clock, epoch seconds.
        """
        self.log: ReceiptLog | None = None
        self._database, self._now = database, now
        self._flushing = threading.Lock()
        self._logged = 0  # number of the last event in the log; its row may still be there

    def attach(self, receipt_log: ReceiptLog) -> None:
        """Write to this log from now on, and first what an earlier process could not."""
        for number, event in self._waiting():
            said = receipt_log.mentions(event["id"])
            if any(line["event"] == event["event"] for line in said):
                self._logged = number  # it died between writing the line and deleting the row
        self.log = receipt_log
        self.flush()

    def opened(self, session_id: str, erase_at: float) -> None:
        """The session may hold photos from now on. In the caller's transaction; counts once.

        Args:
            erase_at: the latest time at which it can end, as far as is known now.
        """
        log_id = secrets.token_hex(16)
        new = self._database.change(
            "UPDATE sessions SET log_id = ?"
            " WHERE id = ? AND log_id IS NULL AND receipt IS NOT NULL",
            (log_id, session_id),
        )
        if new:
            erase_by = hour(erase_at + SWEEP_S, up=True)
            self._note(session_id, {"event": "opened", "erase_by": erase_by})

    def erased(self, session_id: str) -> None:
        """The session is about to lose its row, in the caller's transaction, and has lost all else.

        One that never held more than a consent has nothing to be said about.
        """
        rows = self._database.rows("SELECT reason, held FROM sessions WHERE id = ?", (session_id,))
        for reason, held in rows:
            files = json.loads(held or "{}")
            # The process may have died between a first photo and its `opened`.
            if files.keys() - {kinds.CONSENT}:
                self.opened(session_id, self._now())
            counts = {name: files.get(kind, 0) for name, kind in COUNTED.items()}
            self._note(session_id, {"event": "erased", "reason": reason, **counts})

    def flush(self) -> None:
        """Write what waits into the log. Never fails."""
        if self.log is None:
            return
        with self._flushing:
            waiting = self._waiting()
            try:
                new = [event for number, event in waiting if number > self._logged]
                if new:
                    self.log.append(new)
                if waiting:
                    self._logged = waiting[-1][0]
                    self._database.change("DELETE FROM unlogged WHERE number <= ?", (self._logged,))
            except (OSError, DiskFull) as problem:
                # The next sweep tries again; whatever was to be erased is erased.
                log.warning("receipts_waiting", count=len(waiting), error=type(problem).__name__)

    def renew_checkpoint(self) -> None:
        """Once a day, sign where the chain stands. Never fails."""
        try:
            if self.log is not None:
                self.log.checkpoint(hour(self._now())[:10])
        except (OSError, DiskFull) as problem:
            log.warning("checkpoint_postponed", error=type(problem).__name__)

    def find(self, r: bytes) -> Receipt:
        """What is known to the holder of r: nothing, if r belongs to no session."""
        mark = hashlib.sha256(r).hexdigest()
        lines = self.log.mentions(mark) if self.log else []
        waiting = any(event["receipt"] == mark for _, event in self._waiting())
        return Receipt(mark, tuple(lines), waiting)

    def _note(self, session_id: str, event: Mapping[str, Any]) -> None:
        """Keep an event for the log, with what stands in the session's row; none without an id."""
        for log_id, mark in self._database.rows(
            "SELECT log_id, receipt FROM sessions WHERE id = ? AND log_id IS NOT NULL",
            (session_id,),
        ):
            said = {"id": log_id, "receipt": mark, "time": hour(self._now()), **event}
            self._database.change("INSERT INTO unlogged (event) VALUES (?)", (json.dumps(said),))

    def _waiting(self) -> list[tuple[int, dict[str, Any]]]:
        rows = self._database.rows("SELECT number, event FROM unlogged ORDER BY number")
        return [(number, json.loads(event)) for number, event in rows]
