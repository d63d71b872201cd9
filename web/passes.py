"""Random texts that a browser brings back within a time, and what each stands for. In RAM alone."""

from __future__ import annotations

import secrets
import threading
import time
from collections import OrderedDict
from typing import Generic, TypeVar

_MOST = 10_000

Value = TypeVar("Value")


class Passes(Generic[Value]):
    """All passes of one kind; beyond 10,000 the oldest end. Thread-safe."""

    def __init__(self, good_s: float) -> None:
        """good_s: how long a pass is good, seconds."""
        self._good_s = good_s
        self._lock = threading.Lock()
        self._values: OrderedDict[str, tuple[Value, float]] = OrderedDict()

    def give(self, value: Value, text: str = "") -> str:
        """A new pass, or a text that the caller drew."""
        text = text or secrets.token_urlsafe(32)
        with self._lock:
            self._values[text] = value, time.monotonic() + self._good_s
            while len(self._values) > _MOST:
                self._values.popitem(last=False)
        return text

    def value(self, text: str) -> Value | None:
        """What a pass stands for; None if it is not good."""
        with self._lock:
            return self._if_good(self._values.get(text))

    def take(self, text: str) -> Value | None:
        """The same, and the pass ends."""
        with self._lock:
            return self._if_good(self._values.pop(text, None))

    @staticmethod
    def _if_good(found: tuple[Value, float] | None) -> Value | None:
        return found[0] if found and found[1] > time.monotonic() else None
