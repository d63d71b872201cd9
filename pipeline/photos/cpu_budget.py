"""Processor time that photos of one visitor may take within an hour, counted in RAM.

A photo that takes long to open costs everybody, and is no offence by itself; many of one visitor
are. Whoever is counted is a text here, and is forgotten with the last second that counts.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable

from errors import Busy

HOUR_S = 3600.0

SECONDS = 120.0
"""What a visitor has on a server: some 400 photos of a phone, or 20 that take all they may."""


class CpuBudget:
    """At most `most_s` seconds of processor time in any `window_s` for each `who`. Thread-safe."""

    def __init__(
        self, most_s: float, window_s: float = HOUR_S, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._most_s, self._window_s, self._now = most_s, window_s, now
        self._lock = threading.Lock()
        self._spent: dict[str, deque[tuple[float, float]]] = {}

    def __len__(self) -> int:
        """How many are remembered."""
        return len(self._spent)

    def require(self, who: str) -> None:
        """
        Raises:
            Busy: everything was spent.
        """
        with self._lock:
            since = self._now() - self._window_s
            spent = [seconds for at, seconds in self._spent.get(who, ()) if at > since]
            if sum(spent) >= self._most_s:
                raise Busy("errors.too_long")

    def spend(self, who: str, seconds: float) -> None:
        """Count what was taken; it may be more than there was."""
        with self._lock:
            self._forget(self._now() - self._window_s)
            self._spent.setdefault(who, deque()).append((self._now(), seconds))

    def _forget(self, before: float) -> None:
        """Drop what no longer counts. Under the lock."""
        for who, spent in list(self._spent.items()):
            while spent and spent[0][0] <= before:
                spent.popleft()
            if not spent:
                del self._spent[who]
