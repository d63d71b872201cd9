"""The visitor's favourites: the portraits that they gave a heart."""

from __future__ import annotations

import threading

from errors import UnknownSession
from privacy import kinds
from privacy.sessions import Session
from privacy.vault import Vault
from web import session_files

_writing = threading.Lock()  # two taps at once both count


def chosen(vault: Vault, session: Session) -> list[str]:
    """Ids of the favourites, in the order in which they were marked."""
    found: list[str] = session_files.load(vault, session, kinds.HEARTS, [])
    return found


def mark(vault: Vault, session: Session, portrait_id: str, on: bool) -> None:
    """Make a portrait a favourite, or take that back.

    Raises:
        UnknownSession: there is no such portrait, or the session was erased. DiskFull: no room.
    """
    if all(entry.name != portrait_id for entry in vault.list(session, kinds.PORTRAIT)):
        raise UnknownSession
    with _writing:
        kept = [name for name in chosen(vault, session) if name != portrait_id]
        session_files.save(vault, session, kinds.HEARTS, [*kept, portrait_id] if on else kept)
