"""How often somebody may do something, counted in RAM.

Whoever is counted (an address, a session) is known here only by a hash under a key that dies with
the process; no address is ever kept. Behind one proxy all visitors share an address, so limits per
address are generous: they stop a flood, not a department.
"""

from __future__ import annotations

import hashlib
import math
import secrets
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from ipaddress import IPv4Address, ip_address, ip_network

from starlette.requests import Request

from errors import Busy, LikenessError, UnknownSession


def address_of(request: Request) -> str:
    """Where a request comes from, for counting only.

    Of IPv6 the network of 64 bits: whoever has one address there has them all.
    """
    host = request.client.host if request.client else ""
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return host
    if isinstance(address, IPv4Address):
        return str(address)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ip_network((address, 64), strict=False))


class RateLimiter:
    """At most `most` events in any `window_s` seconds for each `who`. Thread-safe."""

    def __init__(
        self, most: int, window_s: float, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._most = most
        self._window_s = window_s
        self._now = now
        self._key = secrets.token_bytes(16)
        self._lock = threading.Lock()
        self._events: dict[bytes, deque[float]] = {}

    def __len__(self) -> int:
        """How many are remembered."""
        return len(self._events)

    def count(self, who: str) -> None:
        """Count one event.

        Raises:
            Busy: there were as many already.
        """
        mark = self._mark(who)
        with self._lock:
            now = self._now()
            self._forget(now - self._window_s)
            events = self._events.pop(mark, deque())
            # At the end of the dictionary, which so stays ordered: the longest quiet come first.
            self._events[mark] = events
            self._require_room(events, now)
            events.append(now)

    def check(self, who: str) -> None:
        """Count nothing.

        Raises:
            Busy: the next event would be one too many.
        """
        with self._lock:
            self._require_room(self._events.get(self._mark(who), deque()), self._now())

    @contextmanager
    def failures(self, who: str, failure: type[LikenessError] = UnknownSession) -> Iterator[None]:
        """Count the block only if it ends in a failure: guessing, not coming back.

        Raises:
            Busy: there were as many already; the block is not run.
        """
        self.check(who)
        try:
            yield
        except failure:
            self.count(who)
            raise

    def _mark(self, who: str) -> bytes:
        return hashlib.blake2b(who.encode("utf-8", "replace"), key=self._key).digest()

    def _require_room(self, events: deque[float], now: float) -> None:
        while events and events[0] <= now - self._window_s:
            events.popleft()
        if len(events) >= self._most:
            wait_s = events[0] + self._window_s - now
            minutes = math.ceil(wait_s / 60)
            if minutes > 1:
                raise Busy("errors.too_often_long", wait_s=wait_s, n=minutes)
            raise Busy("errors.too_often", wait_s=wait_s)

    def _forget(self, before: float) -> None:
        """Drop whoever has been quiet for a whole window."""
        while self._events:
            mark, events = next(iter(self._events.items()))
            if events and events[-1] > before:
                break
            del self._events[mark]


class Budget:
    """At most `most` bytes held at once, by everybody together. For one event loop."""

    def __init__(self, most: int) -> None:
        self._most = most
        self.held = 0

    def take(self, count: int) -> None:
        """Hold `count` bytes more; a negative count gives bytes back.

        Raises:
            Busy: there is no room for them; nothing was taken.
        """
        if count > 0 and self.held + count > self._most:
            raise Busy("errors.too_often")
        self.held += count


class ConcurrencyLimiter:
    """At most `most` things at the same time for each `who`. Thread-safe."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._taken: dict[str, int] = {}

    def __len__(self) -> int:
        """How many hold a slot."""
        return len(self._taken)

    @contextmanager
    def hold(self, who: str) -> Iterator[None]:
        """Take a slot for the duration of the block.

        Raises:
            Busy: all are taken.
        """
        with self._lock:
            if self._taken.get(who, 0) >= self._most:
                raise Busy("errors.too_often")
            self._taken[who] = self._taken.get(who, 0) + 1
        try:
            yield
        finally:
            with self._lock:
                self._taken[who] -= 1
                if not self._taken[who]:
                    del self._taken[who]
