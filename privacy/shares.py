"""Shares: a second, weaker key to a session, for somebody who may look at a few of its files.

A share wraps the session's data key as a session does, under M and a secret that only its holder
has, with labels of its own. What it opens is a `Guest`, not a `Session`: nothing that asks for a
session takes it, and its files are reached only through `read` and `write` here, which know the
few kinds that a guest may touch. Which of these files are shown is the caller's business.

A share ends when its row goes: on `end`, or in the same commit that destroys the session's key.

Does not protect against a guest who also holds M and the volume: what they unwrap is the session's
own data key.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field

import structlog

from errors import DiskFull, UnknownSession
from privacy import kinds
from privacy.database import Database
from privacy.keys import MasterKey, Session, ShareTicket, unwrap, wrap
from privacy.vault import Vault

READABLE = frozenset({kinds.PORTRAIT, kinds.SHEET, kinds.MOVING, kinds.HEARTS, kinds.VOTES})
WRITABLE = frozenset({kinds.VOTES})

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Guest:
    """An opened share: the capability to look at what is shared, until it is ended."""

    share_id: str = field(repr=False)
    _session: Session = field(repr=False)

    def pseudonym(self, name: str) -> str:
        """What a name is called among the guests of one session, in 32 hex digits.

        The same through every share of the session, and unrelated in any other.
        """
        text = f"likeness/guest/v1.{self._session.id}.{name}"
        return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:32]


class Shares:
    """The shares of all sessions, at most one each. Thread-safe. Part of `Sessions`."""

    def __init__(
        self,
        database: Database,
        vault: Vault,
        master_key: MasterKey,
        alive: Callable[[str], bool],
    ) -> None:
        """
        Args:
            alive: whether a session, by its id, could be opened now.
        """
        self._database, self._vault, self._master_key = database, vault, master_key
        self._alive = alive
        self._nobody = os.urandom(32)  # the verifier that unknown ids are compared with

    def create(self, session: Session) -> ShareTicket:
        """A new share in place of an earlier one, and the ticket that alone opens it.

        Raises:
            UnknownSession: the session was erased or is overdue. DiskFull: no room.
        """
        ticket = ShareTicket.random()
        wrapped = wrap(session.data_key, self._master_key, ticket)
        with self._database.transaction():
            if not self._alive(session.id):
                raise UnknownSession
            self.shred(session.id)
            self._database.change(
                "INSERT INTO shares (id, session_id, verifier, wrapped_key) VALUES (?, ?, ?, ?)",
                (ticket.share_id, session.id, ticket.verifier(), wrapped),
            )
        log.info("share_created")
        return ticket

    def open(self, text: str | None) -> Guest:
        """The guest of a share ticket's text.

        Raises:
            UnknownSession: no ticket, no such share, wrong secret, ended, or its session is
                overdue or erased.
        """
        claimed = ShareTicket.parse(text)
        rows = self._database.rows(
            "SELECT session_id, verifier, wrapped_key FROM shares WHERE id = ?",
            (claimed.share_id,),
        )
        session_id, verifier, wrapped = rows[0] if rows else ("", self._nobody, b"")
        recognised = hmac.compare_digest(verifier, claimed.verifier())
        if not recognised or not self._alive(session_id):
            raise UnknownSession
        data_key = unwrap(wrapped, self._master_key, claimed)
        return Guest(claimed.share_id, Session(session_id, data_key))

    def read(self, guest: Guest, kind: str, name: str) -> bytes:
        """A file of a kind that guests may see.

        Raises:
            KeyError: there is no such file, or it is of another kind.
            UnknownSession: the session was erased. TamperedError: as in `Vault.open`.
        """
        if kind not in READABLE:
            raise KeyError(kind)
        return self._vault.open(guest._session, kind, name)

    def names(self, guest: Guest, kind: str) -> set[str]:
        """Names of the files of a kind that guests may see; opens none.

        Raises:
            KeyError: of another kind. UnknownSession: the session was erased.
        """
        if kind not in READABLE:
            raise KeyError(kind)
        return {entry.name for entry in self._vault.list(guest._session, kind)}

    def write(self, guest: Guest, kind: str, name: str, data: bytes) -> None:
        """Keep a file of a kind that guests may change.

        Raises:
            KeyError: of another kind.
            UnknownSession: the share has ended or the session was erased. DiskFull: no room.
        """
        if kind not in WRITABLE:
            raise KeyError(kind)
        if not self._database.rows("SELECT 1 FROM shares WHERE id = ?", (guest.share_id,)):
            raise UnknownSession
        self._vault.put(guest._session, kind, name, data)

    def vote_of(self, guest: Guest, text: str | None) -> str | None:
        """The voter's name in a text of `admit`, None if that is not for this session."""
        name, _, signature = _parts(text)
        known = hmac.compare_digest(signature, self._signature(f"{guest.pseudonym(name)}.{name}"))
        return name if known else None

    def admit(self, guest: Guest, text: str | None) -> str:
        """The text that lets a browser vote in this session: a random name, which a browser keeps
        from session to session, and signatures of the name and of its being let in here.

        text: what the browser has, if anything; a name that is not ours is replaced.
        """
        name, ours, _ = _parts(text)
        if not hmac.compare_digest(ours, self._signature(f"voter.{name}")):
            name = secrets.token_urlsafe(16)
        here = self._signature(f"{guest.pseudonym(name)}.{name}")
        return f"{name}.{self._signature(f'voter.{name}')}.{here}"

    def _signature(self, text: str) -> str:
        return self._master_key.signature(f"likeness/vote/v1.{text}")

    def end(self, session: Session) -> None:
        """End the session's share; nothing happens if there is none."""
        if self.shred(session.id):
            try:
                self._database.scrub()  # the wrapped key may have left a copy in unused space
            except DiskFull:
                log.warning("scrub_postponed")
            log.info("share_ended")

    def shred(self, session_id: str) -> int:
        """Destroy the wrapped keys of a session's shares, in the caller's transaction if any."""
        return self._database.change("DELETE FROM shares WHERE session_id = ?", (session_id,))


def _parts(text: str | None) -> tuple[str, str, str]:
    """Name and both signatures of what a browser sent, unchecked, as ASCII; empty without them."""
    parts = (text or "").encode("ascii", "replace").decode().split(".")
    return (parts[0], parts[1], parts[2]) if len(parts) == 3 else ("", "", "")
