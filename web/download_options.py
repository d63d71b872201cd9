"""How the visitor wants downloads finished: caption, watermark, mark, a name for the files.

Kept in the vault rather than sent with each download: addresses end up in logs of proxies. Beside
them stand shape and backdrop of all portraits, which say nothing about anybody: addresses hold
them, and what is kept is only what the page shows after a reload.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

from pipeline.portraits.export import Finish
from privacy import kinds
from privacy.sessions import Session
from privacy.vault import Vault
from settings import Settings
from web import session_files

_OPTIONS = ("caption", "watermark", "marked", "name")
_ARRANGEMENT = ("shape", "tone")

_writing = threading.Lock()  # a caption and a shape at once both stay


def chosen(vault: Vault, session: Session, settings: Settings) -> dict[str, Any]:
    """`caption`, `watermark`, `marked` and `name` of `Finish`, as last chosen."""
    options = _kept(vault, session, _OPTIONS)
    return options | ({"marked": True} if settings.marking == "always" else {})


def keep(vault: Vault, session: Session, how: Finish) -> None:
    """Keep them for all downloads from now on. DiskFull: no room."""
    _change(vault, session, how, _OPTIONS)


def arrangement(vault: Vault, session: Session) -> dict[str, str]:
    """`shape` and `tone` of `Finish`, as last chosen."""
    return _kept(vault, session, _ARRANGEMENT)


def arrange(vault: Vault, session: Session, how: Finish) -> None:
    """Keep shape and tone until they are chosen anew. DiskFull: no room."""
    _change(vault, session, how, _ARRANGEMENT)


def _kept(vault: Vault, session: Session, names: Sequence[str]) -> dict[str, Any]:
    known = _of(Finish(), names) | session_files.load(vault, session, kinds.WISH, {})
    return {name: known[name] for name in names}


def _change(vault: Vault, session: Session, how: Finish, names: Sequence[str]) -> None:
    with _writing:
        kept = session_files.load(vault, session, kinds.WISH, {})
        session_files.save(vault, session, kinds.WISH, kept | _of(how, names))


def _of(how: Finish, names: Sequence[str]) -> dict[str, Any]:
    return {name: getattr(how, name) for name in names}
