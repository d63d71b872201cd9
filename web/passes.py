"""Who has signed in and not started yet: a random pass, which the browser keeps for half an hour.

In RAM alone; of whose it is, only the day's mark is known (`DailyQuota.mark`).
"""

from __future__ import annotations

import secrets
import threading
import time
from collections import OrderedDict

_GOOD_S = 1800.0
_MOST = 10_000


class Passes:
    """All passes of this server. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._marks: OrderedDict[str, tuple[bytes, float]] = OrderedDict()

    def give(self, mark: bytes) -> str:
        """A new pass."""
        text = secrets.token_urlsafe(32)
        with self._lock:
            self._marks[text] = mark, time.monotonic() + _GOOD_S
            while len(self._marks) > _MOST:
                self._marks.popitem(last=False)
        return text

    def mark(self, text: str | None) -> bytes | None:
        """The mark of a pass that is good."""
        with self._lock:
            mark, ends = self._marks.get(text or "", (None, 0.0))
            return mark if ends > time.monotonic() else None

    def take(self, text: str) -> None:
        """End a pass."""
        with self._lock:
            self._marks.pop(text, None)
