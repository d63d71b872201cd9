"""What uploads hold in memory, counted and bounded. For one event loop."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator

from errors import Busy
from web.http.limits import Budget
from web.http.turns import Turns

NEAR = 16
"""Announced files that come, or wait for their cut-out, at the same time."""

SLOW_S = 5.0
"""Seconds after which a file that is still coming is not counted among them: a slow network, or
somebody who means harm, keeps nobody else's back."""


class Aside:
    """Bytes of the photos that wait for their cut-out, by session. For one event loop."""

    def __init__(self, most: int, each: int) -> None:
        self._most, self._each, self._all = most, each, 0
        self._of: Counter[str] = Counter()

    def add(self, session_id: str, size: int) -> None:
        """Count a photo that waits; a negative size, one that waits no longer."""
        self._all += size
        self._of[session_id] += size
        self._of += Counter()  # drops who has none

    def room_for(self, session_id: str) -> bool:
        """Whether another photo of a session may come to wait."""
        own = self._of[session_id]
        return not own or (own < self._each and self._all < self._most)


class Held:
    """What one upload holds of the memory for uploads: a file that is coming, and whole ones.

    share: of its session, which holds what was not judged yet.
    """

    def __init__(self, memory: Budget, share: Budget) -> None:
        self._memory, self._share = memory, share
        self._coming = 0

    async def counted(self, body: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """The body, each chunk counted before it is kept.

        Raises:
            Busy: the memory for uploads, or the session's share of it, is full.
        """
        async for chunk in body:
            self._take(len(chunk))
            self._coming += len(chunk)
            yield chunk

    def whole(self, size: int) -> None:
        """A file has come whole: it is held by itself now, and nothing else is.

        Raises:
            Busy: as `counted`.
        """
        self._take(size - self._coming)
        self._coming = 0

    def judged(self, size: int) -> None:
        """A whole file is no longer its session's share."""
        self._share.take(-size)

    def done(self, size: int) -> None:
        """A judged file is no longer held."""
        self._memory.take(-size)

    def end(self) -> None:
        """Nothing more is coming."""
        self._take(-self._coming)
        self._coming = 0

    def _take(self, count: int) -> None:
        self._share.take(count)
        try:
            self._memory.take(count)
        except Busy:
            self._share.take(-count)
            raise


class Near:
    """The place of one upload among those whose announced file may come now."""

    def __init__(self, turns: Turns, who: str) -> None:
        self._turns, self._who = turns, who
        self._late: asyncio.TimerHandle | None = None
        self._has_place = False

    async def begin(self) -> None:
        """Wait for a place, before the file is read."""
        await self._turns.take(self._who)
        self._has_place = True
        self._late = asyncio.get_running_loop().call_later(SLOW_S, self.end)

    def whole(self) -> None:
        """The file has come, and keeps its place while it waits."""
        if self._late is not None:
            self._late.cancel()

    def end(self) -> None:
        """Give the place back; harmless if there is none."""
        self.whole()
        if self._has_place:
            self._has_place = False
            self._turns.give_back()
