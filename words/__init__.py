"""Every word a visitor can see comes from a catalogue here, by its dotted key.

`say("bar.delivered", left="3 hours")` fills `{left}`, in the language of whoever is served now:
the web layer sets it for each request (`speaking`); without one, as on the command line, it is
English. What comes from below the web is a message without a language; `tell` says it. A key that
is missing is a bug and raises KeyError.

Only the web and the command line import this module.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from pathlib import Path
from typing import Any

from messages import Message

ENGLISH = "en"
LANGUAGES = (ENGLISH, "de", "fr", "es")
"""Of each there is a catalogue `<language>.toml`; the first is the default."""

_RIGHT_TO_LEFT = {"ar", "fa", "he", "ur"}

_FOLDER = Path(__file__).parent
_MINUTE_S = 60
_HOUR_S = 3600

_spoken: ContextVar[str] = ContextVar("language", default=ENGLISH)


def language() -> str:
    """The language of whoever is served now, one of `LANGUAGES`."""
    return _spoken.get()


def direction() -> str:
    """Which way that language is written, as `dir` in HTML: "ltr" or "rtl"."""
    return "rtl" if language() in _RIGHT_TO_LEFT else "ltr"


@contextmanager
def speaking(chosen: str) -> Iterator[None]:
    """Speak one of `LANGUAGES` for the block, in this thread or task and those it starts."""
    before = _spoken.set(chosen)
    try:
        yield
    finally:
        _spoken.reset(before)


def preferred(accepted: str, offered: Sequence[str] = ()) -> str:
    """The language that an `Accept-Language` header asks for first.

    offered: some of `LANGUAGES`, the first for whoever wants none of them; all of them if empty.
    """
    offered = offered or LANGUAGES
    wishes = [_wish(part) for part in accepted.lower().split(",")]
    # Of two that are wished for alike, the one named first; sorting keeps that order.
    for _, name in sorted((wish for wish in wishes if wish[0] > 0), key=lambda wish: -wish[0]):
        if name in offered:
            return name
    return offered[0]


def _wish(part: str) -> tuple[float, str]:
    """Quality and main language of "de-AT;q=0.8": (0.8, "de"). Nonsense has quality 0."""
    tag, _, quality = (piece.strip() for piece in part.partition(";"))
    try:
        wanted = float(quality.removeprefix("q=")) if quality else 1.0
    except ValueError:
        wanted = 0.0
    return wanted, tag.partition("-")[0]


def say(key: str, /, **values: object) -> str:
    """The words of `key`, with `{name}` filled in.

    Raises:
        KeyError: no such key, or a value is missing.
    """
    return catalogue(language())[key].format_map(values)


def count(key: str, number: int, /, **values: object) -> str:
    """`key.one` or `key.other`, with `{n}` filled in."""
    form = "one" if number == 1 else "other"
    return say(f"{key}.{form}", n=number, **values)


def tell(message: Message | str) -> str:
    """A message as a sentence, with `n` of its values choosing between one and many; text as it is.

    Raises:
        KeyError: no such key, or a value is missing.
    """
    if isinstance(message, str):
        return message
    key, values = message.key, dict(message.values)
    told = {name: tell(v) if isinstance(v, Message) else v for name, v in values.items()}
    if f"{key}.other" in catalogue(language()):
        key = f"{key}.{'one' if told['n'] == 1 else 'other'}"
    return say(key, **told)


def tell_kept(message: Message | str) -> str:
    """As `tell`; nothing for a key that there was when the message was kept, before an update."""
    try:
        return tell(message)
    except KeyError:
        return ""


def span(seconds: float) -> str:
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
