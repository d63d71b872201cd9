"""Every visible word comes from a catalogue, `words/en.toml`, by its dotted key.

`say("bar.delivered", left="3 hours")` fills `{left}`. A key that is missing is a bug and raises
KeyError; a test renders every page. Sentences of errors come from whoever raises them (`errors`).
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

_FOLDER = Path(__file__).parent / "words"
_MINUTE_S = 60
_HOUR_S = 3600


@cache
def _catalogue() -> dict[str, str]:
    with (_FOLDER / "en.toml").open("rb") as file:
        return dict(_flat("", tomllib.load(file)))


def _flat(prefix: str, table: Mapping[str, Any]) -> list[tuple[str, str]]:
    rows: list[tuple[str, str]] = []
    for key, value in table.items():
        name = f"{prefix}{key}"
        rows += _flat(f"{name}.", value) if isinstance(value, dict) else [(name, value)]
    return rows


def say(key: str, **values: object) -> str:
    """The words of `key`, with `{name}` filled in.

    Raises:
        KeyError: no such key, or a value is missing.
    """
    return _catalogue()[key].format_map(values)


def count(key: str, number: int, **values: object) -> str:
    """`key.one` or `key.other`, with `{n}` filled in."""
    form = "one" if number == 1 else "other"
    return say(f"{key}.{form}", n=number, **values)


def span(seconds: float) -> str:
    """A length of time for a person, to the next full minute: "23 h 59 min", "12 minutes"."""
    whole = max(_MINUTE_S, math.ceil(seconds / _MINUTE_S) * _MINUTE_S)
    hours, minutes = whole // _HOUR_S, whole % _HOUR_S // _MINUTE_S
    if hours and minutes:
        return say("time.hours_minutes", hours=hours, minutes=minutes)
    if hours:
        return count("time.hours", hours)
    return count("time.minutes", minutes)
