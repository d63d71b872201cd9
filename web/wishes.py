"""What a visitor wants of their portraits: hearts, and how downloads are finished.

Each is one small encrypted file of the session, so both survive a reload and go with everything.
The caption is kept here rather than sent with each download: addresses end up in logs of proxies.
"""

from __future__ import annotations

import json
import threading
from typing import Any

from errors import UnknownSession
from pipeline.portraits.export import Finish
from privacy.sessions import Session
from privacy.vault import Vault
from settings import Settings

_writing = threading.Lock()  # two taps at once both count


def hearts(vault: Vault, session: Session) -> list[str]:
    """Ids of the hearted portraits, in the order in which they were hearted."""
    found: list[str] = load(vault, session, "hearts", [])
    return found


def set_heart(vault: Vault, session: Session, portrait_id: str, on: bool) -> None:
    """Heart a portrait, or take the heart away.

    Raises:
        UnknownSession: there is no such portrait, or the session was erased. DiskFull: no room.
    """
    if all(entry.name != portrait_id for entry in vault.list(session, "portrait")):
        raise UnknownSession
    with _writing:
        kept = [heart for heart in hearts(vault, session) if heart != portrait_id]
        _save(vault, session, "hearts", [*kept, portrait_id] if on else kept)


def wished(vault: Vault, session: Session, settings: Settings) -> dict[str, Any]:
    """`caption`, `watermark` and `marked` of `Finish`, as last chosen."""
    plain = Finish()
    usual = {"caption": plain.caption, "watermark": plain.watermark, "marked": plain.marked}
    wish = usual | load(vault, session, "wish", {})
    return wish | ({"marked": True} if settings.marking == "always" else {})


def wish(vault: Vault, session: Session, how: Finish) -> None:
    """Keep caption, watermark and mark for all downloads from now on. DiskFull: no room."""
    chosen = {"caption": how.caption, "watermark": how.watermark, "marked": how.marked}
    _save(vault, session, "wish", chosen)


def load(vault: Vault, session: Session, kind: str, default: Any) -> Any:
    """The JSON of a kind that has one file, named as the kind; `default` if there is none."""
    try:
        return json.loads(vault.open(session, kind, kind))
    except KeyError:
        return default


def _save(vault: Vault, session: Session, kind: str, value: Any) -> None:
    vault.put(session, kind, kind, json.dumps(value).encode())
