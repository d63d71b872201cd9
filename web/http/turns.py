"""Fair turns: a few places for slow things, handed out to everybody in a round.

Whoever wants many gets the next one only after all others who wait have had one, so what one
visitor brings never stands before another's first. For one event loop.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

from starlette.concurrency import run_in_threadpool


class Turns:
    """At most `places` at the same time."""

    def __init__(self, places: int) -> None:
        self._free = places
        # In the order of their turns; each with what waits, in the order in which it came.
        self._round: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()

    async def take(self, who: str) -> None:
        """Wait for a place; `give_back` when done."""
        if self._free and not self._round:
            self._free -= 1
            return
        place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._round.setdefault(who, deque()).append(place)
        try:
            await place
        except asyncio.CancelledError:
            if place.done() and not place.cancelled():
                self.give_back()  # it was given just before
            raise

    def give_back(self) -> None:
        """Let the next one have the place."""
        self._free += 1
        while self._round and self._free:
            who, waiting = self._round.popitem(last=False)
            place = waiting.popleft()
            if waiting:
                self._round[who] = waiting  # at the end of the round
            if not place.done():  # its caller has not left
                self._free -= 1
                place.set_result(None)

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
