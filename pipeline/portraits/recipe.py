"""All that decides how a portrait of a photo was composed, kept beside it so that it can be again.

A portrait that is to move is composed anew, frame by frame. Its photo and this give the stored
picture; where they do not any more (the photo was changed or removed), it cannot move.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from pipeline.compositing.framing import Wish
from pipeline.compositing.look import Alike, PhotoLook
from pipeline.compositing.studio import Sitter, Sitting, dressed


@dataclass(frozen=True)
class Recipe:
    """What `Studio.compose` was asked for.

    sitting: look, frame, light, wall and seed. clothes: a key of `clothes.TONES`, None for as worn.
    balance: the photo's way to the neutral standard, 3 x 3 row by row, None for as it is; it
    depends on the other photos there were.
    """

    sitting: Sitting
    clothes: str | None = None
    balance: tuple[float, ...] | None = None

    @classmethod
    def of(cls, sitting: Sitting, clothes: str | None, sitter: Sitter) -> Recipe:
        """The recipe of a portrait of `sitter`, who wears these clothes."""
        balance = sitter.balance
        known = None if balance is None else tuple(float(value) for value in balance.ravel())
        return cls(sitting, clothes, known)

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Recipe:
        """A recipe from its JSON object.

        Raises:
            KeyError, TypeError: it is none of ours.
        """
        sitting = dict(row["sitting"])
        look, wish = dict(sitting.pop("look")), Wish(**sitting.pop("wish"))
        alike = None if look["alike"] is None else Alike(**look["alike"])
        treated = PhotoLook(**{**look, "alike": alike})
        balance = None if row["balance"] is None else tuple(row["balance"])
        return cls(Sitting(look=treated, wish=wish, **sitting), row["clothes"], balance)

    def row(self) -> dict[str, Any]:
        """What `from_row` reads, for JSON."""
        return asdict(self)

    def wearing(self, sitter: Sitter) -> Sitter | None:
        """The person of the photo as this portrait shows them; None if the clothes are unclear."""
        worn = sitter if self.clothes is None else dressed(sitter, self.clothes)
        if worn is None:
            return None
        balance = self.balance
        matrix = None if balance is None else np.array(balance, np.float32).reshape(3, 3)
        return replace(worn, balance=matrix)
