"""Files with secrets in them, which an operator writes and only their owner can read."""

from __future__ import annotations

import stat
import tomllib
from pathlib import Path
from typing import Any

from errors import BadSettings


def read_private(setting: str, file: Path) -> dict[str, Any]:
    """The table in a TOML file.

    setting: the variable that names it, for the sentence.

    Raises:
        BadSettings: it cannot be read, can be read by others, or is no TOML.
    """
    try:
        return tomllib.loads(private_bytes(setting, file).decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as problem:
        raise BadSettings(f"{setting}: {file.name} is not valid TOML: {problem}.") from None


def private_bytes(setting: str, file: Path) -> bytes:
    """What stands in a file. Raises BadSettings: it cannot be read, or others can read it, too."""
    try:
        mode, data = file.stat().st_mode, file.read_bytes()
    except OSError as problem:
        reason = (problem.strerror or "unknown").lower()
        raise BadSettings(f"{setting}: the file {file} cannot be read ({reason}).") from None
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise BadSettings(f"{setting}: the file {file} can be read by others; chmod 600 it.")
    return data
