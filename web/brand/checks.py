"""Checks of what stands in a kit. Each raises BadSettings with one sentence that names the key."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from errors import BadSettings
from pipeline.compositing.look import only
from words import LANGUAGES

Told = Mapping[str, str]
"""A text by language; empty where the kit has none."""

_TEXT_CHARS = 1000
_COLOUR = re.compile("#[0-9a-fA-F]{6}")


def colour(where: str, key: str, value: Any) -> str:
    """Check a colour.

    Raises:
        BadSettings: it is not "#rrggbb".
    """
    if not isinstance(value, str) or not _COLOUR.fullmatch(value):
        raise BadSettings(f'{where}: {key!r} must be a colour such as "#0b5cad", not {value!r}.')
    return value


def beside(where: str, kit: Path, key: str, name: Any) -> Path:
    """The path of a file beside the kit.

    Raises:
        BadSettings: it is a path to elsewhere, or there is none.
    """
    if not isinstance(name, str) or not name or Path(name).name != name:
        raise BadSettings(f"{where}: {key!r} must be the name of a file beside it, not {name!r}.")
    if not (kit.parent / name).is_file():
        raise BadSettings(f"{where}: {key!r} names {name!r}, and there is no such file beside it.")
    return kit.parent / name


def known(where: str, table: Any, keys: Sequence[str]) -> None:
    """Check that something is a table and has no other keys.

    Raises:
        BadSettings: it is not so.
    """
    if not isinstance(table, dict):
        raise BadSettings(f"{where} must be a table.")
    only(where, table, keys)


def text(where: str, key: str, value: Any) -> str:
    """Check a text of one line.

    Raises:
        BadSettings: it is none, or it is empty.
    """
    line = value.strip() if isinstance(value, str) else ""
    if not line or len(line) > _TEXT_CHARS or not line.isprintable():
        raise BadSettings(
            f"{where}: {key!r} must be a text of one line, of 1 to {_TEXT_CHARS} letters."
        )
    return line


def told(where: str, key: str, value: Any, languages: Sequence[str]) -> Told:
    """Check one text for all languages, or a table with one for each.

    Raises:
        BadSettings: a text is missing, or is none.
    """
    if not isinstance(value, dict):
        return dict.fromkeys(languages, text(where, key, value))
    known(f"{where} {key}", value, LANGUAGES)
    for language in languages:
        if language not in value:
            raise BadSettings(f"{where}: {key!r} is missing in the language {language!r}.")
    return {language: text(where, key, words) for language, words in value.items()}
