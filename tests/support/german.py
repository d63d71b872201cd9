"""Finds English where German should stand."""

from __future__ import annotations

import html
import re

from words import ENGLISH, catalogue


def pieces(name: str, *, longer_than: int = 12) -> set[str]:
    """What stands in a catalogue between the places that are filled in."""
    found = {
        piece.strip() for words in catalogue(name).values() for piece in re.split("{.*?}", words)
    }
    return {piece for piece in found if len(piece) > longer_than}


def english_in(text: str) -> set[str]:
    """English of the catalogue that is no German too, but for what is to be replaced (`value`)."""
    shown = html.unescape(re.sub('<data value="[^"]*">', "", text))
    german = "\n".join(catalogue("de").values())
    return {piece for piece in pieces(ENGLISH) if piece in shown and piece not in german}
