"""Every word a visitor can see comes from a catalogue here, by its dotted key.

`say("bar.delivered", left="3 hours")` fills `{left}`, in the language of whoever is served now:
the web layer sets it for each request (`speaking`); without one, as in a log, on the command line
or in a job's thread, it is English. A sentence remembers where it came from, so what a thread said
is told again to a visitor in theirs (`again`). A key that is missing is a bug and raises KeyError.

Needs nothing but the standard library: errors, the pipeline and the web all speak through it.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from pathlib import Path
from typing import Any

ENGLISH = "en"
LANGUAGES = (ENGLISH, "de")
"""Of each there is a catalogue `<language>.toml`; the first is the default."""

_FOLDER = Path(__file__).parent
_MINUTE_S = 60
_HOUR_S = 3600

_spoken: ContextVar[str] = ContextVar("language", default=ENGLISH)


class Sentence(str):
    """Words in one language that know how they were asked for, to be said again in another."""

    key: str
    values: Mapping[str, object]


def language() -> str:
    """The language of whoever is served now, one of `LANGUAGES`."""
    return _spoken.get()


@contextmanager
def speaking(chosen: str) -> Iterator[None]:
    """Speak one of `LANGUAGES` for the block, in this thread or task and those it starts."""
    before = _spoken.set(chosen)
    try:
        yield
    finally:
        _spoken.reset(before)


def preferred(accepted: str) -> str:
    """The language of `LANGUAGES` that an `Accept-Language` header asks for first."""
    wishes = [_wish(part) for part in accepted.lower().split(",")]
    # Of two that are wished for alike, the one named first; sorting keeps that order.
    for _, name in sorted((wish for wish in wishes if wish[0] > 0), key=lambda wish: -wish[0]):
        if name in LANGUAGES:
            return name
    return ENGLISH


def _wish(part: str) -> tuple[float, str]:
    """Quality and main language of "de-AT;q=0.8": (0.8, "de"). Nonsense has quality 0."""
    tag, _, quality = (piece.strip() for piece in part.partition(";"))
    try:
        wanted = float(quality.removeprefix("q=")) if quality else 1.0
    except ValueError:
        wanted = 0.0
    return wanted, tag.partition("-")[0]


def say(key: str, /, **values: object) -> Sentence:
    """The words of `key`, with `{name}` filled in.

    Raises:
        KeyError: no such key, or a value is missing.
    """
    # A sentence in a sentence follows its language.
    told = {name: again(v) if isinstance(v, str) else v for name, v in values.items()}
    sentence = Sentence(catalogue(language())[key].format_map(told))
    sentence.key, sentence.values = key, values
    return sentence


def again(text: str) -> str:
    """A sentence in the language of whoever is served now; any other text as it is."""
    return say(text.key, **text.values) if isinstance(text, Sentence) else text


def count(key: str, number: int, /, **values: object) -> Sentence:
    """`key.one` or `key.other`, with `{n}` filled in."""
    form = "one" if number == 1 else "other"
    return say(f"{key}.{form}", n=number, **values)


def span(seconds: float) -> Sentence:
    """A length of time for a person, to the next full minute: "23 h 59 min", "12 minutes"."""
    whole = max(_MINUTE_S, math.ceil(seconds / _MINUTE_S) * _MINUTE_S)
    hours, minutes = whole // _HOUR_S, whole % _HOUR_S // _MINUTE_S
    if hours and minutes:
        return say("time.hours_minutes", hours=hours, minutes=minutes)
    if hours:
        return count("time.hours", hours)
    return count("time.minutes", minutes)


@cache
def catalogue(name: str) -> Mapping[str, str]:
    """All words of one of `LANGUAGES`, by dotted key."""
    with (_FOLDER / f"{name}.toml").open("rb") as file:
        return dict(_flat("", tomllib.load(file)))


def _flat(prefix: str, table: Mapping[str, Any]) -> list[tuple[str, str]]:
    rows: list[tuple[str, str]] = []
    for key, value in table.items():
        name = f"{prefix}{key}"
        rows += _flat(f"{name}.", value) if isinstance(value, dict) else [(name, value)]
    return rows
