"""Files with secrets in them, which an operator writes and only their owner can read."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Any

from errors import BadSettings
from pipeline.portraits.style import read_toml


def read_private(setting: str, file: Path) -> dict[str, Any]:
    """The table in a TOML file.

    setting: the variable that names it, for the sentence.

    Raises:
        BadSettings: it cannot be read, can be read by others, or is no TOML.
    """
    require_private(setting, file)
    try:
        return read_toml(file)
    except BadSettings as problem:
        raise BadSettings(f"{setting}: {problem.sentence}") from None


def require_private(setting: str, file: Path) -> None:
    """Raise BadSettings for a file that is not there or can be read by others."""
    try:
        mode = file.stat().st_mode
    except OSError as problem:
        reason = (problem.strerror or "unknown").lower()
        raise BadSettings(f"{setting}: the file {file} cannot be read ({reason}).") from None
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise BadSettings(f"{setting}: the file {file} can be read by others; chmod 600 it.")
