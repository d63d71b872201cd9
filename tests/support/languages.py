"""Finds English where another language should stand, and makes a language from right to left."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache

import pytest

import words
from web.gradio import labels
from words import ENGLISH, LANGUAGES, catalogue

OTHERS = [name for name in LANGUAGES if name != ENGLISH]
PSEUDO = "he"
"""Of a language that is written from right to left and has no catalogue."""


def pieces(name: str, *, longer_than: int = 12) -> set[str]:
    """What stands in a catalogue between the places that are filled in."""
    found = {
        piece.strip() for words in catalogue(name).values() for piece in re.split("{.*?}", words)
    }
    return {piece for piece in found if len(piece) > longer_than}


def english_in(text: str, name: str) -> set[str]:
    """English of the catalogue that is not in that of `name`, but for what is to be replaced
    (`value`)."""
    shown = html.unescape(re.sub('<data value="[^"]*">', "", text))
    other = "\n".join(catalogue(name).values())
    return {piece for piece in pieces(ENGLISH) if piece in shown and piece not in other}


@contextmanager
def right_to_left() -> Iterator[None]:
    """For the block there is a language `PSEUDO`: English between two Hebrew letters."""

    @cache
    def with_pseudo(name: str) -> Mapping[str, str]:
        if name != PSEUDO:
            return catalogue(name)
        return {key: f"א {told} ב" for key, told in catalogue(ENGLISH).items()}

    with pytest.MonkeyPatch.context() as patch:
        for module in (words, labels):
            patch.setattr(module, "LANGUAGES", (*LANGUAGES, PSEUDO))
            patch.setattr(module, "catalogue", with_pseudo)
        yield
