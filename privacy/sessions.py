"""Sessions without accounts: made on consent, opened by a ticket, erased at a deadline.

Every refusal is the same UnknownSession, after the same work, whether the session never existed,
belongs to somebody else, is overdue or was erased.

Erasing destroys the key first, so that from the first commit on nothing of the session can be read
again, whatever happens to the rest. It does not reach a data key that a running job still holds in
RAM: `on_erase` is there to stop the job.
"""

from __future__ import annotations

import hashlib
import hmac
import os
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Literal

import structlog

from errors import DiskFull, UnknownSession
from privacy.clock import Clock
from privacy.database import Database
from privacy.keys import DataKey, MasterKey, Session, Ticket, unwrap, wrap
from privacy.receipts import Receipts
from privacy.shares import Shares
from privacy.tally import Tally
from privacy.vault import Vault

__all__ = ["Deadline", "Doomed", "Reason", "Session", "Sessions"]

Reason = Literal["user", "expired", "undelivered", "aborted"]
Doomed = tuple[str, Reason]  # a session id and why it goes

_ALIVE = "id = ? AND state = 'live' AND master = ? AND erase_at > ?"
_HELD = (
    "SELECT json_group_object(kind, number) FROM (SELECT kind, count(*) AS number"
    " FROM files WHERE session_id = sessions.id GROUP BY kind)"
)

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Deadline:
    """When a session is erased, and when it was delivered; both in epoch seconds of the `Clock`."""

    erase_at: float
    delivered_at: float | None


class Sessions:
    """All sessions of this server. Thread-safe."""

    def __init__(
        self,
        database: Database,
        vault: Vault,
        master_key: MasterKey,
        clock: Clock,
        *,
        retention_s: float,
        undelivered_s: float,
    ) -> None:
        """
        Args:
            retention_s: life after the first delivery.
            undelivered_s: life without a delivery, from the first photo (before it: from creation).
        """
        self.on_erase: list[Callable[[str], None]] = []
        self.receipts = Receipts(database, clock.now)
        self.tally = Tally(database, clock.now)
        self.shares = Shares(database, vault, master_key, self.alive)
        self._database, self._vault, self._clock = database, vault, clock
        self._master_key, self._master = master_key, master_key.fingerprint
        self._retention_s, self._undelivered_s = retention_s, undelivered_s
        self._unscrubbed = True
        self._nobody = os.urandom(32)  # the verifier that unknown ids are compared with

    def create(self) -> tuple[Session, Ticket]:
        """A new session and the ticket that alone opens it again; the server keeps no copy.

        Raises:
            DiskFull: no room.
        """
        ticket, data_key = Ticket.random(), DataKey.random()
        wrapped = wrap(data_key, self._master_key, ticket)
        with self._database.transaction():
            now = self._clock.record()
            self._vault.add_session(ticket.session_id)
            self._database.change(
                "INSERT INTO sessions"
                " (id, state, verifier, wrapped_key, master, receipt, created, erase_at)"
                " VALUES (?, 'live', ?, ?, ?, ?, ?, ?)",
                (
                    ticket.session_id,
                    ticket.verifier(),
                    wrapped,
                    self._master,
                    hashlib.sha256(ticket.receipt()).hexdigest(),
                    now,
                    now + self._undelivered_s,
                ),
            )
        log.info("session_created")
        return Session(ticket.session_id, data_key), ticket

    def open(self, ticket: str | None) -> Session:
        """The session of a ticket's text.

        Raises:
            UnknownSession: no ticket, no such session, wrong secret, overdue, erased, or made
                under another master key.
        """
        claimed = Ticket.parse(ticket)
        rows = self._database.rows(
            f"SELECT verifier, wrapped_key FROM sessions WHERE {_ALIVE}",
            (claimed.session_id, self._master, self._clock.now()),
        )
        verifier, wrapped = rows[0] if rows else (self._nobody, None)
        if not hmac.compare_digest(verifier, claimed.verifier()) or wrapped is None:
            raise UnknownSession
        return Session(claimed.session_id, unwrap(wrapped, self._master_key, claimed))

    def alive(self, session_id: str) -> bool:
        """Whether the session could be opened now by the right ticket."""
        found = self._database.rows(
            f"SELECT 1 FROM sessions WHERE {_ALIVE}",
            (session_id, self._master, self._clock.now()),
        )
        return bool(found)

    def touch_first_photo(self, session: Session) -> None:
        """Start the undelivered clock; only the first call does.

        Raises:
            UnknownSession: overdue or erased.
        """
        with self._database.transaction():
            now = self._clock.record()
            self._require_alive(session)
            self._database.change(
                "UPDATE sessions SET first_photo = ?, erase_at = ?"
                " WHERE id = ? AND first_photo IS NULL AND delivered IS NULL",
                (now, now + self._undelivered_s, session.id),
            )
            latest = now + self._undelivered_s + self._retention_s
            self.receipts.opened(session.id, latest)
        self.receipts.flush()

    def delivered(self, session: Session) -> Deadline:
        """Fix the deadline at the retention time from now; only the first call does.

        Raises:
            UnknownSession: overdue or erased.
        """
        with self._database.transaction():
            now = self._clock.record()
            self._require_alive(session)
            self._database.change(
                "UPDATE sessions SET delivered = ?, erase_at = ?"
                " WHERE id = ? AND delivered IS NULL",
                (now, now + self._retention_s, session.id),
            )
            return self.deadline(session)

    def deadline(self, session: Session) -> Deadline:
        """When the session will be erased, as things stand.

        Raises:
            UnknownSession: overdue or erased.
        """
        with self._database.lock:
            self._require_alive(session)
            ((erase_at, delivered_at),) = self._database.rows(
                "SELECT erase_at, delivered FROM sessions WHERE id = ?", (session.id,)
            )
        return Deadline(erase_at, delivered_at)

    def erase(self, session_id: str, reason: Reason) -> bool:
        """Erase a session now; True if this call finished it, False if there was none any more."""
        erased = self.erase_all([(session_id, reason)])
        self.scrub()
        if erased:
            log.info("session_erased", reason=reason)
        return erased == 1

    def erase_all(self, doomed: Sequence[Doomed]) -> int:
        """Erase many sessions with few transactions; how many this call finished.

        The caller calls `scrub` when done.

        Safe to repeat, to run twice at once, and to die in at any point: whatever was begun is in
        the state "erasing", which `overdue` lists. Exceptions of `on_erase` callbacks are raised,
        but only after the files are gone.

        Raises:
            DiskFull: not even the removal of the files made room for the database's journal.
        """
        session_ids = [session_id for session_id, _ in doomed]
        try:
            begun = self._shred(doomed)
        except DiskFull:
            # The journal needs a page or two; the files that have to go anyway hold them.
            self._vault.remove_sessions(session_ids)
            begun = self._shred(doomed)
        finished: list[str] = []
        with ExitStack() as steps:  # last in, first out; each runs even if others raise
            steps.callback(lambda: finished.extend(self._remove(begun)))
            for session_id in begun:
                for stop in self.on_erase:
                    steps.callback(stop, session_id)
        self.receipts.flush()
        return len(finished)

    def scrub(self) -> None:
        """Clear what erased rows left in unused parts of the database file, if any were erased.

        The first call clears whatever an earlier process left when it died.
        """
        with self._database.lock:
            if self._unscrubbed:
                try:
                    self._database.scrub()
                    self._unscrubbed = False
                except DiskFull:
                    log.warning("scrub_postponed")  # the next sweep tries again

    def overdue(self) -> list[Doomed]:
        """Sessions that must go: past their deadline, half erased, or of another master key."""
        try:
            now = self._clock.record()
        except DiskFull:
            now = self._clock.now()  # a full disk must not stop what makes room on it
        rows = self._database.rows(
            "SELECT id, CASE WHEN state = 'erasing' THEN reason"
            " WHEN master != :master THEN 'aborted'"
            " WHEN delivered IS NULL THEN 'undelivered' ELSE 'expired' END"
            " FROM sessions WHERE state = 'erasing' OR master != :master OR erase_at <= :now",
            {"master": self._master, "now": now},
        )
        return [(session_id, reason) for session_id, reason in rows]

    def _require_alive(self, session: Session) -> None:
        if not self.alive(session.id):
            raise UnknownSession

    def _shred(self, doomed: Sequence[Doomed]) -> list[str]:
        """Destroy keys and verifiers in one commit; the ids of those that exist.

        `secure_delete` overwrites the old bytes in the database file.
        """
        begun = []
        with self._database.transaction():
            self._clock.record()
            for session_id, reason in doomed:
                self._database.change(
                    "UPDATE sessions SET state = 'erasing', reason = ?,"
                    f" verifier = NULL, wrapped_key = NULL, held = ({_HELD})"
                    " WHERE id = ? AND state = 'live'",
                    (reason, session_id),
                )
                self.shares.shred(session_id)
                if self._database.rows("SELECT 1 FROM sessions WHERE id = ?", (session_id,)):
                    begun.append(session_id)
        return begun

    def _remove(self, begun: Sequence[str]) -> list[str]:
        """Unlink the files of shredded sessions, then delete their rows; those this call ended.

        The rows go only after the folders' removal is on the disk. A row is deleted once, so two
        erasures of one session never both count it.
        """
        gone = self._vault.remove_sessions(begun)
        with self._database.transaction():
            self._unscrubbed = True
            for session_id in gone:
                self.receipts.erased(session_id)
            erased = [
                (session_id, deadline)
                for session_id in gone
                for (deadline,) in self._database.rows(
                    "DELETE FROM sessions WHERE id = ? RETURNING erase_at", (session_id,)
                )
            ]
        self.tally.erased([deadline for _, deadline in erased])
        return [session_id for session_id, _ in erased]
