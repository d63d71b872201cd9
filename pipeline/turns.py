"""Whose order is next, and how many may wait.

1. Orders of sample photos come after everybody's own.
2. Then the address that has had least of the machine so far, in expected seconds of its orders, not
   in their number; one that comes newly begins level with those that wait. So addresses take turns,
   and one that asks for much goes to the back by itself.
3. Within an address, first come first served: with one order each, sessions take turns too.
4. Above all that: no order is overtaken more than `MOST_OVERTAKES` times by orders that came later.
   One that was goes next, the oldest first. So nobody waits for ever, whoever else comes.

An address may take three quarters of the places and orders of samples a quarter, so that neither
can lock everybody else out. Addresses are known here only by a hash under a key that dies with the
process, and are forgotten whenever nobody waits. Not thread-safe: `job_queue` holds its lock.
"""

from __future__ import annotations

import hashlib
import math
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from errors import Busy

MOST_OVERTAKES = 10


@dataclass
class _Waiting:
    """An order. number: of its arrival; overtaken: how often a later one went first."""

    name: str
    address: bytes
    seconds: float
    sample: bool
    number: int
    overtaken: int = 0


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
        self._line: dict[str, tuple[int, float]] | None = None

    def __len__(self) -> int:
        return len(self._waiting)

    def __contains__(self, name: str) -> bool:
        return any(order.name == name for order in self._waiting)

    def add(self, name: str, *, address: str | None, seconds: float, sample: bool) -> None:
        """Let an order wait.

        Args:
            address: where it came from; None is an address of its own.
            seconds: how long it is expected to take.

        Raises:
            Busy: too many wait, of everybody, of this address or of samples.
        """
        text = f"address {address}" if address is not None else f"order {name}"
        mark = hashlib.blake2b(text.encode("utf-8", "replace"), key=self._key).digest()
        from_there = sum(order.address == mark for order in self._waiting)
        samples = sum(order.sample for order in self._waiting)
        if len(self._waiting) >= self._length or (sample and samples >= self._samples):
            raise Busy("order.queue_full")
        if from_there >= self._per_address:
            raise Busy("order.address_full")
        if not from_there:
            self._had[mark] = max(self._had.get(mark, 0.0), self._level)
        self._count += 1
        self._waiting.append(_Waiting(name, mark, seconds, sample, self._count))
        self._line = None

    def remove(self, name: str) -> None:
        """Take an order out, if it waits. It costs its address nothing."""
        self._waiting = [order for order in self._waiting if order.name != name]
        self._changed()

    def next(self) -> str:
        """Take out the order whose turn it is.

        Raises:
            ValueError: none waits.
        """
        chosen = _turn(self._waiting, self._had)
        self._level = max(self._level, min(self._had[order.address] for order in self._waiting))
        _take(chosen, self._waiting, self._had)
        self._changed()
        return chosen.name

    def ahead(self, name: str) -> tuple[int, float]:
        """How many go before a waiting order if nobody else comes, and their seconds in all.

        Raises:
            KeyError: it does not wait.
        """
        if self._line is None:
            self._line = self._foreseen()
        return self._line[name]

    def _changed(self) -> None:
        self._line = None
        if not self._waiting:
            self._had, self._level = {}, 0.0

    def _foreseen(self) -> dict[str, tuple[int, float]]:
        waiting, had = [replace(order) for order in self._waiting], dict(self._had)
        found: dict[str, tuple[int, float]] = {}
        seconds = 0.0
        while waiting:
            order = _turn(waiting, had)
            found[order.name] = (len(found), seconds)
            seconds += order.seconds
            _take(order, waiting, had)
        return found


def _turn(waiting: Sequence[_Waiting], had: Mapping[bytes, float]) -> _Waiting:
    long_enough = [order for order in waiting if order.overtaken >= MOST_OVERTAKES]
    if long_enough:
        return min(long_enough, key=lambda order: order.number)
    return min(waiting, key=lambda order: (order.sample, had[order.address], order.number))


def _take(chosen: _Waiting, waiting: list[_Waiting], had: dict[bytes, float]) -> None:
    waiting.remove(chosen)
    had[chosen.address] += chosen.seconds
    for order in waiting:
        order.overtaken += order.number < chosen.number
