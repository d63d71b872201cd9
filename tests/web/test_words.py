"""Every visible word is in the catalogue, and nothing else is."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

import pytest

from pipeline.job import Phase
from pipeline.styles import GROUPS
from web.words import _catalogue, count, say, span

WEB = Path(__file__).parents[2] / "web"
SOURCES = [*WEB.glob("*.py"), *WEB.glob("templates/*.html")]
KEYS = {
    key
    for source in SOURCES
    for key in re.findall(r"""\b(?:say|count)\(\s*["']([\w.]+)["']\s*[,)]""", source.read_text())
}


def test_every_key_that_is_used_exists() -> None:
    known = set(_catalogue()) | {key.rsplit(".", 1)[0] for key in _catalogue()}
    assert known >= KEYS
    assert known >= {f"job.{phase}" for phase in get_args(Phase)}
    assert known >= {f"looks.{group}" for group in GROUPS}


def test_a_missing_value_is_an_error() -> None:
    with pytest.raises(KeyError):
        say("bar.delivered")


def test_one_and_many() -> None:
    assert count("time.hours", 1) == "1 hour"
    assert count("time.hours", 24) == "24 hours"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (86400, "24 hours"),
        (86399.5, "24 hours"),
        (86340, "23 h 59 min"),
        (61, "2 minutes"),
        (-5, "1 minute"),
    ],
)
def test_times_are_told_to_the_next_minute(seconds: float, words: str) -> None:
    assert span(seconds) == words
