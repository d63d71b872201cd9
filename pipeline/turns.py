"""Whose order is next, and how many may wait.

1. Orders of sample photos come after everybody's own.
2. Then the address that has had least of the machine so far, in expected seconds of its orders, not
   in their number; one that comes newly begins level with those that wait. So addresses take turns,
   and one that asks for much goes to the back by itself.
3. Within an address, first come first served: with one order each, sessions take turns too.
4. Above all that: no order is overtaken more than `MOST_OVERTAKES` times by orders that came later.
   One that was goes next, the oldest first. So nobody waits for ever, whoever else comes.

Where several lanes run jobs, each takes the next of those that it can run; an order that it cannot
run is not overtaken thereby. An order whose lane was lost comes back, before all others.

Orders that lanes of their own run have as many places of their own. An address may take three
quarters of the places and orders of samples a quarter, so that neither
can lock everybody else out. Addresses are known here only by a hash under a key that dies with the
process, and are forgotten whenever nobody waits. Not thread-safe: `job_queue` holds its lock.
"""

from __future__ import annotations

import hashlib
import math
import secrets
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from operator import and_

from errors import Busy

MOST_OVERTAKES = 10


@dataclass
class _Waiting:
    """An order. number: of its arrival; overtaken: how often a later one went first; apart: it has
    places of its own kind."""

    name: str
    address: bytes
    seconds: float
    sample: bool
    number: int
    overtaken: int = 0
    apart: bool = False


Takes = Callable[[str], bool]
"""Whether a lane can run the order of that name."""


@dataclass(frozen=True)
class Ahead:
    """What is before a waiting order if nobody else comes.

    orders: those that go first on lanes that it needs. seconds: until its own begins; None if no
    lane can run it.
    """

    orders: int
    seconds: float | None


def _any(name: str) -> bool:
    return True


class Turns:
    """The orders that wait, by name."""

    def __init__(self, length: int) -> None:
        """length: how many may wait at once."""
        self._length = length
        self._per_address, self._samples = math.ceil(length * 3 / 4), math.ceil(length / 4)
        self._key = secrets.token_bytes(16)
        self._waiting: list[_Waiting] = []
        self._had: dict[bytes, float] = {}
        self._level = 0.0
        self._count = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def __contains__(self, name: str) -> bool:
        return any(order.name == name for order in self._waiting)

    def add(
        self,
        name: str,
        *,
        address: str | None,
        seconds: float,
        sample: bool,
        again: bool = False,
        apart: bool = False,
    ) -> None:
        """Let an order wait.

        Args:
            address: where it came from; None is an address of its own.
            seconds: how long it is expected to take.
            again: it had its turn already, and comes first, however many wait.
            apart: lanes of its own run it, so that those who wait for others take no place from it.

        Raises:
            Busy: too many wait, of everybody, of this address or of samples.
        """
        text = f"address {address}" if address is not None else f"order {name}"
        mark = hashlib.blake2b(text.encode("utf-8", "replace"), key=self._key).digest()
        from_there = sum(order.address == mark for order in self._waiting)
        rivals = [order for order in self._waiting if order.apart == apart]
        samples = sum(order.sample for order in rivals)
        full = len(rivals) >= self._length or (sample and samples >= self._samples)
        if full and not again:
            raise Busy("order.queue_full")
        if sum(order.address == mark for order in rivals) >= self._per_address and not again:
            raise Busy("order.address_full")
        if not from_there:
            self._had[mark] = max(self._had.get(mark, 0.0), self._level)
        self._count += 1
        order = _Waiting(name, mark, seconds, sample, self._count, apart=apart)
        if again:
            order = replace(order, number=0, overtaken=MOST_OVERTAKES)
        self._waiting.append(order)

    def remove(self, name: str) -> None:
        """Take an order out, if it waits. It costs its address nothing."""
        self._waiting = [order for order in self._waiting if order.name != name]
        self._changed()

    def any(self, takes: Takes) -> bool:
        """Whether an order waits that a lane can run."""
        return any(takes(order.name) for order in self._waiting)

    def next(self, takes: Takes = _any) -> str:
        """Take out the order whose turn it is, of those that a lane can run.

        Raises:
            ValueError: none waits.
        """
        able = [order for order in self._waiting if takes(order.name)]
        chosen = _turn(able, self._had)
        self._level = max(self._level, min(self._had[order.address] for order in able))
        _take(chosen, able, self._had)
        self._waiting.remove(chosen)
        self._changed()
        return chosen.name

    def ahead(self, lanes: Sequence[tuple[float, Takes]] = ((0.0, _any),)) -> dict[str, Ahead]:
        """What is before each waiting order if nobody else comes.

        lanes: in how many seconds each is free, and what it can run.
        """
        waiting, had = [replace(order) for order in self._waiting], dict(self._had)
        able = {order.name: tuple(takes(order.name) for _, takes in lanes) for order in waiting}
        free = [(seconds, number) for number, (seconds, _) in enumerate(lanes)]
        started: Counter[tuple[bool, ...]] = Counter()
        found = {order.name: Ahead(0, None) for order in waiting}
        while free:
            seconds, number = min(free)
            free.remove((seconds, number))
            if not (candidates := [order for order in waiting if able[order.name][number]]):
                continue
            chosen = _turn(candidates, had)
            _take(chosen, candidates, had)
            waiting.remove(chosen)
            mine = able[chosen.name]
            before = (n for other, n in started.items() if any(map(and_, mine, other)))
            found[chosen.name] = Ahead(sum(before), seconds)
            started[mine] += 1
            free.append((seconds + chosen.seconds, number))
        return found

    def _changed(self) -> None:
        if not self._waiting:
            self._had, self._level = {}, 0.0


def _turn(waiting: Sequence[_Waiting], had: Mapping[bytes, float]) -> _Waiting:
    long_enough = [order for order in waiting if order.overtaken >= MOST_OVERTAKES]
    if long_enough:
        return min(long_enough, key=lambda order: order.number)
    return min(waiting, key=lambda order: (order.sample, had[order.address], order.number))


def _take(chosen: _Waiting, waiting: list[_Waiting], had: dict[bytes, float]) -> None:
    """Count an order's turn among those that could have had it."""
    waiting.remove(chosen)
    had[chosen.address] += chosen.seconds
    for order in waiting:
        order.overtaken += order.number < chosen.number
