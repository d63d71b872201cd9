"""A JSON file of what this machine measured: a damaged one is as none, a new one comes whole."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

from errors import DiskFull
from privacy import scratch


def read(file: Path) -> dict[str, Any]:
    """The object in the file; empty if the file is missing or damaged."""
    try:
        content = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def write(file: Path, content: dict[str, Any]) -> None:
    """Replace the file; without room or permission it stays as it was."""
    with suppress(OSError, DiskFull):
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with scratch.open_folder(file.parent.resolve()) as folder:
            scratch.replace(
                folder, file.name, json.dumps(content, indent=2, sort_keys=True).encode()
            )
