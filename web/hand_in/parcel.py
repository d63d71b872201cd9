"""What is handed in, and what every way of delivering it can do."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import PurePath
from typing import Any

PATIENCE_S = 20.0
"""Seconds that a receiver has for one step of taking a hand-in."""


@dataclass(frozen=True)
class Picture:
    """A portrait as a file, as its download would be."""

    file: str
    media_type: str
    data: bytes = field(repr=False)


@dataclass(frozen=True)
class Parcel:
    """A whole hand-in. made: epoch seconds. name: what the visitor typed, one line, or nothing."""

    id: str
    made: float
    name: str = field(repr=False)
    pictures: Sequence[Picture] = field(repr=False)

    def told(self) -> dict[str, Any]:
        """What stands beside the pictures, for the receiver's programs."""
        made = datetime.fromtimestamp(self.made, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        return {"id": self.id, "time": made, "name": self.name}

    def json(self, **more: Any) -> bytes:
        """`told`, and more, as a file or a body."""
        return json.dumps(self.told() | more, ensure_ascii=False).encode()


class NotDelivered(Exception):
    """It did not arrive, as far as is known. The text says why in a few words, for the operator,
    and holds nothing that the receiver said."""


class Channel(ABC):
    """One way to the receiver."""

    name: str

    @abstractmethod
    def pack(self, parcel: Parcel) -> bytes:
        """What is kept until it goes, and then sent as it is."""

    @abstractmethod
    def send(self, id_: str, packed: bytes) -> None:
        """Deliver. The receiver can tell by the id what it was sent before.

        Raises:
            NotDelivered: it did not arrive, as far as is known.
        """

    def lies_ready(self, id_: str) -> bool:
        """Whether what was delivered has not been fetched yet."""
        return False

    def withdraw(self, id_: str) -> bool:
        """Take what was delivered back before it is fetched; whether it was still there."""
        return False


def apart(names: Sequence[str]) -> list[str]:
    """File names of which no two are alike: of those that are, all but the first get a number."""
    found: list[str] = []
    for name in names:
        path, number, own = PurePath(name), 1, name
        while own in found:
            number += 1
            own = f"{path.stem}-{number}{path.suffix}"
        found.append(own)
    return found
