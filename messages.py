"""What somebody is to be told, in no language: a key of the catalogue and what fills its places.

Whoever shows it to a person says it in theirs (`words.tell`). This module needs nothing, so that
everything below the web and the command line can speak without knowing a word.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Message:
    """key: of the catalogue, dotted, without `.one` or `.other`. values: what fills its places."""

    key: str
    values: Mapping[str, str | int | float | Message] = field(default_factory=dict, hash=False)

    def to_json(self) -> dict[str, Any]:
        """Return what `from_json` reads."""
        values = {
            name: value.to_json() if isinstance(value, Message) else value
            for name, value in self.values.items()
        }
        return {"key": self.key, "values": values}

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Message:
        """Return the message that was stored; its key may be one that nobody knows any more."""
        values = {
            name: cls.from_json(value) if isinstance(value, dict) else value
            for name, value in stored["values"].items()
        }
        return cls(stored["key"], values)
