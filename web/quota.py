"""How many sessions one person starts in a day, counted in RAM.

A person is known here only by a hash under a key that is drawn anew each day (UTC); with the key
goes every count. It leads to no session. A restart begins to count anew.
"""

from __future__ import annotations

import hashlib
import secrets
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from errors import NotAdmitted
from web.units import HOUR_S

_DAY_S = 24 * HOUR_S


class DailyQuota:
    """At most `most` starts a day for each identity. Thread-safe."""

    def __init__(self, most: int, now: Callable[[], float]) -> None:
        """
        Args:
            now: epoch seconds.
        """
        self._most, self._now = most, now
        self._lock = threading.Lock()
        self._day = -1
        self.forget_yesterday()

    def __len__(self) -> int:
        """How many are remembered."""
        return len(self._started)

    def mark(self, identity: str) -> bytes:
        """By what an identity is known today."""
        self.forget_yesterday()
        return hashlib.blake2b(identity.encode("utf-8", "replace"), key=self._key).digest()

    @contextmanager
    def starting(self, mark: bytes, contact: str) -> Iterator[None]:
        """Count the block as one start, if it ends well.

        Raises:
            NotAdmitted: there were as many already; the block is not run.
        """
        with self._lock:
            if self._started[mark] >= self._most:
                raise NotAdmitted("entrance.quota", contact=contact)
            started = self._started  # today's: what fails after midnight is given back there
            started[mark] += 1
        try:
            yield
        except BaseException:
            with self._lock:
                started[mark] -= 1
            raise

    def forget_yesterday(self) -> None:
        """Draw a new key if it is another day, and drop what was counted under the old one."""
        with self._lock:
            day = int(self._now() // _DAY_S)
            if day != self._day:
                self._day, self._key = day, secrets.token_bytes(32)
                self._started: Counter[bytes] = Counter()
