"""What colleagues see and say: the hearted portraits, small, and one vote for each browser.

The owner holds a `Session`; a colleague holds a `Guest`, for whom only the functions with `guest`
work. Votes are kept by voter, who is known only by a hash of a random name, another one for each
session: votes for two people cannot be brought together. Only names that the server signed for the
session vote (`Shares.admit`); whoever opens the link anew in another browser votes again.
"""

from __future__ import annotations

import json
import threading
from collections import Counter
from typing import Any

from errors import BadOrder, Busy, UnknownSession
from pipeline.portraits.export import Finish, finish
from pipeline.portraits.score import PortraitRecord, rank
from pipeline.portraits.sheet import KEPT, PORTRAITS
from privacy import kinds
from privacy.sessions import Session, Sessions
from privacy.shares import Guest, Shares
from privacy.vault import Vault
from web import favourites, session_files

PREVIEW = Finish(size="400", format="jpeg")
"""All that a guest ever gets of a portrait. Always marked, never with the owner's caption."""

_VOTERS = 500  # of one session; more is somebody who plays with cookies

_writing = threading.RLock()


def link(sessions: Sessions, vault: Vault, session: Session) -> str:
    """The ticket text of the session's share, made if there is none.

    The owner's own copy lies in the vault, which only the owner opens.

    Raises:
        BadOrder: nothing is hearted yet. DiskFull: no room.
    """
    with _writing:
        try:
            return vault.open(session, kinds.SHARE, "ticket").decode()
        except KeyError:
            if not favourites.chosen(vault, session):
                raise BadOrder("share.no_hearts") from None
            text = sessions.shares.create(session).text()
            vault.put(session, kinds.SHARE, "ticket", text.encode())
            return text


def end(sessions: Sessions, vault: Vault, session: Session) -> None:
    """End the session's share. The votes stay with the owner."""
    with _writing:
        sessions.shares.end(session)
        vault.delete(session, kinds.SHARE)


def counts(vault: Vault, session: Session) -> dict[str, int]:
    """Votes by portrait id, for the owner."""
    votes = session_files.load(vault, session, kinds.VOTES, {})
    return dict(Counter(portrait for chosen in votes.values() for portrait in chosen))


def shown(shares: Shares, guest: Guest) -> list[str]:
    """Ids of the portraits that a guest may see: those hearted now, best likeness first."""
    hearted = _load(shares, guest, kinds.HEARTS, "hearts", [])
    sheets = [_load(shares, guest, kinds.SHEET, name, []) for name in (PORTRAITS, KEPT)]
    rows = [row for sheet in sheets for row in sheet]
    ranked = rank(PortraitRecord.from_row(row) for row in rows)
    return [record.id for record in ranked if record.id in hearted]


def preview(shares: Shares, guest: Guest, portrait_id: str) -> bytes:
    """A hearted portrait as a small JPEG.

    Raises:
        UnknownSession: it is not shown to guests, or the share has ended.
    """
    _require_shown(shares, guest, portrait_id)
    return finish(shares.read(guest, kinds.PORTRAIT, portrait_id), PREVIEW)


def moving(shares: Shares, guest: Guest, portrait_id: str) -> bytes:
    """The same as a small WebP that moves, where its person shows it so.

    Raises:
        UnknownSession: as `preview`, or it stands still.
    """
    _require_shown(shares, guest, portrait_id)
    try:
        return shares.read(guest, kinds.MOVING, portrait_id)
    except KeyError:
        raise UnknownSession from None


def moving_ones(shares: Shares, guest: Guest) -> set[str]:
    """Ids of the portraits that a guest may see move."""
    return shares.names(guest, kinds.MOVING)


def own_votes(shares: Shares, guest: Guest, voter: str) -> list[str]:
    """Ids of the portraits that this voter voted for."""
    found: list[str] = _votes(shares, guest).get(guest.pseudonym(voter), [])
    return found


def vote(shares: Shares, guest: Guest, voter: str, portrait_id: str, on: bool) -> None:
    """Give a vote, or take it back; giving it twice is giving it once.

    Raises:
        UnknownSession: the portrait is not shown to guests, or the share has ended.
        Busy: too many people voted. DiskFull: no room.
    """
    with _writing:
        _require_shown(shares, guest, portrait_id)
        votes, name = _votes(shares, guest), guest.pseudonym(voter)
        if name not in votes and len(votes) >= _VOTERS:
            raise Busy("shared.too_many")
        chosen = [other for other in votes.get(name, []) if other != portrait_id]
        votes[name] = [*chosen, portrait_id] if on else chosen
        shares.write(guest, kinds.VOTES, "votes", json.dumps(votes).encode())


def _require_shown(shares: Shares, guest: Guest, portrait_id: str) -> None:
    if portrait_id not in shown(shares, guest):
        raise UnknownSession


def _votes(shares: Shares, guest: Guest) -> dict[str, list[str]]:
    found: dict[str, list[str]] = _load(shares, guest, kinds.VOTES, "votes", {})
    return found


def _load(shares: Shares, guest: Guest, kind: str, name: str, default: Any) -> Any:
    try:
        return json.loads(shares.read(guest, kind, name))
    except KeyError:
        return default
