"""How the visitor wants downloads finished: caption, watermark, mark, a name for the files.

Kept in the vault rather than sent with each download: addresses end up in logs of proxies.
"""

from __future__ import annotations

from typing import Any

from pipeline.portraits.export import Finish
from privacy import kinds
from privacy.sessions import Session
from privacy.vault import Vault
from settings import Settings
from web import session_files


def chosen(vault: Vault, session: Session, settings: Settings) -> dict[str, Any]:
    """`caption`, `watermark`, `marked` and `name` of `Finish`, as last chosen."""
    plain = Finish()
    usual = _of(plain)
    options: dict[str, Any] = usual | session_files.load(vault, session, kinds.WISH, {})
    return options | ({"marked": True} if settings.marking == "always" else {})


def keep(vault: Vault, session: Session, how: Finish) -> None:
    """Keep them for all downloads from now on. DiskFull: no room."""
    session_files.save(vault, session, kinds.WISH, _of(how))


def _of(how: Finish) -> dict[str, Any]:
    return {name: getattr(how, name) for name in ("caption", "watermark", "marked", "name")}
