"""Fair turns: a few places for slow things, handed out to everybody in a round.

Whoever wants many gets the next one only after all others who wait have had one, so what one
visitor brings never stands before another's first. What can wait has a round of its own, which is
served when nobody else wants a place, and now and then all the same. For one event loop.
"""

from __future__ import annotations

import asyncio
import math
from collections import OrderedDict, deque
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager

from starlette.concurrency import run_in_threadpool

MOST_OVERTAKES = 12
"""Places in a row that are given before one goes to what can wait."""

# In the order of their turns; each with what waits, in the order in which it came.
_Round = OrderedDict[str, deque[asyncio.Future[None]]]


class Turns:
    """At most `places` at the same time."""

    def __init__(
        self, places: int, may: Callable[[str], bool] | None = None, crowd: float = math.inf
    ) -> None:
        """
        Args:
            may: whether somebody's turn can come now, asked whenever a place is free; `hand_out` is
                to be called when its answer changes. What can wait is not asked.
            crowd: from so many who wait for what can wait, that has one place only.
        """
        self._places = self._free = places
        self._may, self._crowd = may or _anybody, crowd
        self._later_held = 0
        self._round: _Round = OrderedDict()
        self._later: _Round = OrderedDict()
        self._overtaken = 0

    @property
    def wanted(self) -> bool:
        """Whether somebody waits whose turn can come now."""
        return any(map(self._may, self._round))

    @property
    def idle(self) -> bool:
        """Whether nobody has a place or waits for one."""
        return self._free == self._places and not self._round and not self._later

    async def take(self, who: str) -> None:
        """Wait for a place; `give_back` it when done."""
        await self._wait(self._round, who)

    async def take_later(self, who: str) -> None:
        """The same for what can wait; `give_back_later` it."""
        await self._wait(self._later, who)

    def give_back(self) -> None:
        """Let the next one have the place."""
        self._free += 1
        self.hand_out()

    def give_back_later(self) -> None:
        """The same of a place for what can wait."""
        self._later_held -= 1
        self.give_back()

    async def _wait(self, line: _Round, who: str) -> None:
        place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        line.setdefault(who, deque()).append(place)
        self.hand_out()
        try:
            await place
        except asyncio.CancelledError:
            if place.done() and not place.cancelled():
                # It was given just before.
                (self.give_back if line is self._round else self.give_back_later)()
            raise

    def hand_out(self) -> None:
        """Give the free places to those whose turn can come now."""
        while self._free and (place := self._next()) is not None:
            self._free -= 1
            place.set_result(None)

    def _next(self) -> asyncio.Future[None] | None:
        lines = [(self._round, self._may), (self._later, self._may_later)]
        for line, may in reversed(lines) if self._overtaken >= MOST_OVERTAKES else lines:
            if (place := _first(line, may)) is not None:
                self._overtaken = self._overtaken + 1 if line is self._round and self._later else 0
                self._later_held += line is self._later
                return place
        return None

    def _may_later(self, who: str) -> bool:
        return not self._later_held or len(self._later) < self._crowd

    @asynccontextmanager
    async def hold(self, who: str) -> AsyncIterator[None]:
        """A place for the duration of the block."""
        await self.take(who)
        try:
            yield
        finally:
            self.give_back()

    async def each(self, who: str, pieces: Iterator[bytes]) -> AsyncIterator[bytes]:
        """The pieces, each made in a thread and with a place of its own: none is held while a slow
        client takes what was made."""
        while True:
            async with self.hold(who):
                piece = await run_in_threadpool(next, pieces, None)
            if piece is None:
                return
            yield piece


def _anybody(who: str) -> bool:
    return True


def _first(line: _Round, may: Callable[[str], bool]) -> asyncio.Future[None] | None:
    """Take out the first place that is still waited for; whose it was goes to the line's end."""
    for who in filter(may, list(line)):
        waiting = line.pop(who)
        while waiting:
            place = waiting.popleft()
            if place.done():  # its caller has left
                continue
            if waiting:
                line[who] = waiting
            return place
    return None
