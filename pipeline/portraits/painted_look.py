"""A look's `[painted]` table: what large bases are asked for, in whole sentences.

    [painted]
    prompt = "A photograph of {subject}, {distance}, {pose}, with {expression}, wearing {attire}."
    short = "photo of {subject}, {distance}, {pose}, {expression}, wearing {attire}"
    attire = ["a navy blazer over a white shirt", "a grey roll-neck jumper"]
    expression = ["a calm look", "a friendly smile"]
    pose = ["facing the camera"]
    distance = ["framed at head and shoulders", "framed from the chest up"]

`prompt` is for bases that read with a language model; `short` for those that read with CLIP, which
takes 75 tokens. Of each pool, every portrait of the look gets one member.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from errors import BadSettings
from pipeline.compositing.look import needed, only

POOLS = ("attire", "expression", "pose", "distance")
PLACES = ("subject", *POOLS)
"""What `prompt` and `short` each hold once, in braces."""

NEGATIVE = (
    "plastic skin, airbrushed skin, heavy retouching, blurred face, hands, second person, "
    "cartoon, drawing, 3D render, text, watermark, picture frame"
)
"""What painting is led away from where a look says nothing. No word of it is about a face, or about
what somebody wears: some person has it."""

MOST_SHORT = 70
"""Words, digits and marks of `short`, a word of ten letters or more counted twice. CLIP splits a
few shorter ones too: counted with its own vocabulary, the shipped looks have 72 tokens at most, and
none more than 5 above what is counted here."""

_PLACE = re.compile(r"{(.*?)}")
_PIECES = re.compile(r"[^\W\d_]+|\d|[^\w\s]+")
_LONG_WORD = 10
_TEXTS = ("prompt", "short", "negative")


@dataclass(frozen=True)
class PaintedLook:
    """How a large base is asked for a look.

    prompt, short: with each of `PLACES` once, in braces. attire, expression, pose, distance: at
    least one text each. negative: what guidance leads away from, where a base takes it.
    """

    prompt: str
    short: str
    attire: tuple[str, ...]
    expression: tuple[str, ...]
    pose: tuple[str, ...]
    distance: tuple[str, ...]
    negative: str = NEGATIVE

    def drawn(self, origin: Sequence[int], turn: int) -> dict[str, str]:
        """One member of each of `POOLS` for the portrait of a turn, which counts from 0.

        The same arguments draw the same. No member comes again before the whole pool was used.
        """
        details = {}
        for number, pool in enumerate(POOLS):
            members: tuple[str, ...] = getattr(self, pool)
            lap, place = divmod(turn, len(members))
            shuffled = np.random.default_rng((number, lap, *origin)).permutation(len(members))
            details[pool] = members[shuffled[place]]
        return details


def painted_look(file: str, table: Any) -> PaintedLook:
    """Check the `[painted]` table of a look's file.

    Raises:
        BadSettings: a mistake; the sentence names the file and the key.
    """
    where = f"{file} [painted]"
    if not isinstance(table, dict):
        raise BadSettings(f"{file}: 'painted' must be a table.")
    known = (*_TEXTS, *POOLS)
    only(where, table, known)
    needed(where, table, (key for key in known if key != "negative"))
    for key in (key for key in _TEXTS if key in table):
        if not isinstance(table[key], str) or (key != "negative" and not table[key].strip()):
            raise BadSettings(f"{where}: {key!r} must be a text that is not empty.")
    for pool in POOLS:
        if not _is_pool(table[pool]):
            raise BadSettings(f"{where}: {pool!r} must be a list of different texts, not empty.")
    for key in ("prompt", "short"):
        if sorted(_PLACE.findall(table[key])) != sorted(PLACES):
            places = ", ".join(f"{{{place}}}" for place in PLACES)
            raise BadSettings(f"{where}: {key!r} must contain each of {places} once.")
    look = PaintedLook(**table | {pool: tuple(table[pool]) for pool in POOLS})
    if (longest := _longest(look)) > MOST_SHORT:
        raise BadSettings(
            f"{where}: 'short' with the longest of each list counts {longest} words and marks; "
            f"{MOST_SHORT} are the most."
        )
    return look


def filled(text: str, subject: str, details: Mapping[str, str]) -> str:
    """A look's `prompt` or `short` for a subject, with what was drawn."""
    words = {"subject": subject, **details}
    return _PLACE.sub(lambda place: words[place[1]], text)


def _is_pool(value: Any) -> bool:
    if not isinstance(value, list) or not value:
        return False
    return all(isinstance(v, str) and v.strip() for v in value) and len(set(value)) == len(value)


def _longest(look: PaintedLook) -> int:
    """Pieces of `short` for the longest member of each pool."""
    longest = {pool: max(getattr(look, pool), key=_pieces) for pool in POOLS}
    return _pieces(filled(look.short, "sks person", longest))


def _pieces(text: str) -> int:
    return sum(1 + (len(piece) >= _LONG_WORD) for piece in _PIECES.findall(text))
