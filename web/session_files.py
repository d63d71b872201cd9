"""Small JSON files of a session, encrypted: they survive a reload and go with everything else."""

from __future__ import annotations

import json
from typing import Any

from privacy.sessions import Session
from privacy.vault import Vault


def load(vault: Vault, session: Session, kind: str, default: Any) -> Any:
    """The JSON of a kind that has one file, named as the kind; `default` if there is none."""
    try:
        return json.loads(vault.open(session, kind, kind))
    except KeyError:
        return default


def save(vault: Vault, session: Session, kind: str, value: Any) -> None:
    """Keep the JSON of such a kind. DiskFull: no room."""
    vault.put(session, kind, kind, json.dumps(value).encode())
