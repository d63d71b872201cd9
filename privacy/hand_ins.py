"""Hand-ins: portraits that a visitor gives to somebody outside, sealed until they go.

A hand-in is one file of its session, packed for its receiver when it is made. It has to go when no
browser is there any more, so it is encrypted with a key of its own that is wrapped under M alone:
the one thing in the vault that M and the volume open without a visitor's S. It holds only what the
visitor chose to give away, and where it is packed for a receiver's public key not even M opens it.

    waiting ──► sending ──► delivered          withdrawn: taken back by its visitor
       ▲           │                           lost: what lay on the disk was not what was written
       └── failed ─┘

What is said about taking back is never more than what is known: a hand-in that was tried may have
arrived although nobody confirmed it, and is then told, and logged, as `unconfirmed`.

Key and file go when it is delivered or taken back, and with the session in the commit that destroys
the session's key.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Literal

import structlog

from errors import BadOrder, Busy, DiskFull, TamperedError, UnknownSession
from privacy import kinds
from privacy.database import Database
from privacy.keys import DataKey, HandInSeal, MasterKey, Session, unwrap, wrap
from privacy.receipts import Receipts
from privacy.units import DAY_S
from privacy.vault import Vault

MOST = 10
"""Hand-ins of one session, those that were taken back too."""

_ON_ITS_WAY_S = 30.0  # how long one try takes at most, about

State = Literal["waiting", "sending", "delivered", "withdrawn", "lost"]

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class HandIn:
    """What is known of a hand-in.

    number: of its session, from 1. portraits: how many. due: when it goes, or is tried again, epoch
    seconds. tries: how often it was begun to be sent.
    """

    id: str
    number: int
    channel: str
    portraits: int
    state: State
    due: float
    tries: int

    @property
    def unsure(self) -> bool:
        """Whether it may have arrived although nobody confirmed it."""
        return self.tries > 0


@dataclass(frozen=True, slots=True)
class Claimed:
    """A hand-in that is being sent: what its receiver gets, and how often it was tried before."""

    id: str
    session_id: str = field(repr=False)
    packed: bytes = field(repr=False)
    tried: int


_COLUMNS = "hand_ins.id, number, channel, portraits, hand_ins.state, due, tries"


class HandIns:
    """The hand-ins of all sessions. Thread-safe. Part of `Sessions`."""

    def __init__(
        self,
        database: Database,
        vault: Vault,
        master_key: MasterKey,
        receipts: Receipts,
        now: Callable[[], float],
    ) -> None:
        """now: the sessions' clock, epoch seconds."""
        self._database, self._vault, self._master_key = database, vault, master_key
        self._receipts, self._now = receipts, now
        self._making = threading.Lock()
        self._delivered = (0, 0)  # day and number, for `counts`
        self.resume()

    def create(
        self, session: Session, channel: str, portraits: int, due: float, packed: bytes, id_: str
    ) -> None:
        """Keep what is to go at `due`.

        Args:
            id_: from `new_id`; what is packed may name it.

        Raises:
            BadOrder: another one waits, or there were too many.
            UnknownSession: the session was erased. DiskFull: no room.
        """
        key = DataKey.random()
        with self._making:
            before = self.list(session)
            if any(one.state in ("waiting", "sending") for one in before):
                raise BadOrder("hand_in.one_waits")
            if len(before) >= MOST:
                raise BadOrder("hand_in.too_many", most=MOST)
            self._vault.put(Session(session.id, key), kinds.HAND_IN, id_, packed)
            wrapped = wrap(key, self._master_key, HandInSeal(id_))
            try:
                with self._database.transaction():
                    self._vault.list(session, kinds.HAND_IN)  # says if it was erased meanwhile
                    self._database.change(
                        "INSERT INTO hand_ins (id, session_id, number, channel, portraits, state,"
                        " wrapped_key, due, tries) VALUES (?, ?, ?, ?, ?, 'waiting', ?, ?, 0)",
                        (id_, session.id, len(before) + 1, channel, portraits, wrapped, due),
                    )
            except DiskFull:
                self._forget(session.id, id_)
                raise
        log.info("hand_in_waits", channel=channel, portraits=portraits)

    def list(self, session: Session) -> list[HandIn]:
        """A session's hand-ins, oldest first."""
        rows = self._database.rows(
            f"SELECT {_COLUMNS} FROM hand_ins WHERE session_id = ? ORDER BY number", (session.id,)
        )
        return [HandIn(*row) for row in rows]

    def take_back(self, session: Session, id_: str) -> HandIn:
        """Take back one that waits; what it was before, which for one that is delivered still is.

        Raises:
            UnknownSession: there is none of that id in this session.
            Busy: it is being sent at this moment.
        """
        with self._database.transaction():
            found = next((one for one in self.list(session) if one.id == id_), None)
            if found is None:
                raise UnknownSession
            if found.state == "sending":
                raise Busy("hand_in.on_its_way", wait_s=_ON_ITS_WAY_S)
            if found.state == "waiting":
                self._end(session.id, found, "withdrawn")
        if found.state == "waiting":
            self._forget(session.id, id_)
            log.info("hand_in_taken_back", channel=found.channel)
        return found

    def withdrawn(self, session: Session, id_: str) -> None:
        """One that was delivered was fetched back from where it lay: that try is undone."""
        with self._database.transaction():
            for one in self.list(session):
                if one.id == id_ and one.state == "delivered":
                    self._end(session.id, one, "withdrawn")
                    self._database.change(
                        "UPDATE hand_ins SET tries = tries - 1 WHERE id = ?", (id_,)
                    )
        self._receipts.flush()
        log.info("hand_in_taken_back")

    def resume(self) -> None:
        """Have those wait again whose sending was cut off. The try counts: it may have arrived."""
        self._database.change("UPDATE hand_ins SET state = 'waiting' WHERE state = 'sending'")

    def claim(self) -> Claimed | None:
        """The next one that is due, which is being sent from now on; None if there is none.

        One whose file is not what was written is lost, and told so to its visitor.
        """
        with self._database.transaction():
            rows = self._database.rows(
                f"SELECT {_COLUMNS}, session_id, hand_ins.wrapped_key FROM hand_ins"
                " JOIN sessions ON sessions.id = session_id"
                " WHERE hand_ins.state = 'waiting' AND due <= :now"
                " AND sessions.state = 'live' AND erase_at > :now ORDER BY due LIMIT 1",
                {"now": self._now()},
            )
            if not rows:
                return None
            one, session_id, wrapped = HandIn(*rows[0][:7]), rows[0][7], rows[0][8]
            self._database.change(
                "UPDATE hand_ins SET state = 'sending', tries = tries + 1 WHERE id = ?", (one.id,)
            )
        try:
            key = unwrap(wrapped, self._master_key, HandInSeal(one.id))
            packed = self._vault.open(Session(session_id, key), kinds.HAND_IN, one.id)
        except (KeyError, UnknownSession, TamperedError):
            with self._database.transaction():
                self._end(session_id, one, "lost")
            self._forget(session_id, one.id)
            log.error("hand_in_damaged")
            return self.claim()
        return Claimed(one.id, session_id, packed, one.tries)

    def delivered(self, claimed: Claimed) -> bool:
        """Its receiver has it. Key and file go. False if its session was erased meanwhile."""
        with self._database.transaction():
            rows = self._database.rows(
                f"SELECT {_COLUMNS} FROM hand_ins WHERE id = ? AND state = 'sending'",
                (claimed.id,),
            )
            for row in rows:
                self._end(claimed.session_id, HandIn(*row), "delivered")
        day = int(self._now() // DAY_S)
        self._delivered = (day, self._delivered[1] * (self._delivered[0] == day) + 1)
        self._forget(claimed.session_id, claimed.id)
        log.info("hand_in_delivered", tries=claimed.tried + 1)
        return bool(rows)

    def failed(self, claimed: Claimed, again: float) -> None:
        """It did not arrive, as far as is known; it is due again at `again`, epoch seconds."""
        self._database.change(
            "UPDATE hand_ins SET state = 'waiting', due = ? WHERE id = ? AND state = 'sending'",
            (again, claimed.id),
        )

    def counts(self) -> dict[str, int]:
        """`waiting`, of these `failing` (tried before), and `delivered_today` (UTC, since the
        start of this process). Nothing personal."""
        ((waiting, failing),) = self._database.rows(
            "SELECT count(*), coalesce(sum(tries > 0), 0) FROM hand_ins"
            " WHERE state IN ('waiting', 'sending')"
        )
        day, number = self._delivered
        today = number if day == int(self._now() // DAY_S) else 0
        return {"waiting": waiting, "failing": failing, "delivered_today": today}

    def shred(self, session_id: str, *, by_visitor: bool) -> None:
        """Destroy the keys of a session's hand-ins, in the caller's transaction, and note what
        became of those that were not delivered."""
        for row in self._database.rows(
            f"SELECT {_COLUMNS} FROM hand_ins"
            " WHERE session_id = ? AND state IN ('waiting', 'sending')",
            (session_id,),
        ):
            self._note(session_id, HandIn(*row), "withdrawn" if by_visitor else "lost")
        self._database.change("DELETE FROM hand_ins WHERE session_id = ?", (session_id,))

    def _end(self, session_id: str, one: HandIn, state: State) -> None:
        """One has come to its end; in the caller's transaction."""
        self._database.change(
            "UPDATE hand_ins SET state = ?, wrapped_key = NULL WHERE id = ?", (state, one.id)
        )
        self._note(session_id, one, state)

    def _note(self, session_id: str, one: HandIn, outcome: str) -> None:
        # One that lies delivered is fetched back as a whole; of any other try nobody knows.
        if outcome != "delivered" and one.tries and one.state != "delivered":
            outcome = "unconfirmed"
        told: dict[str, Any] = {"number": one.number, "channel": one.channel}
        self._receipts.handed(session_id, told | {"portraits": one.portraits, "outcome": outcome})

    def _forget(self, session_id: str, id_: str) -> None:
        """Remove the file, and what the database may still hold of its key."""
        with suppress(UnknownSession, TamperedError):  # erased: it went with the session
            self._vault.delete(Session(session_id, DataKey.random()), kinds.HAND_IN, id_)
        try:
            self._database.scrub()
        except DiskFull:
            log.warning("scrub_postponed")
        self._receipts.flush()


def new_id() -> str:
    """What a hand-in is called, by its receiver too: random, and leads to nobody."""
    return secrets.token_hex(16)
