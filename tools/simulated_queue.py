"""The queue of `pipeline.line` under a clock of SimPy: who waits how long, on lanes that only count
seconds. Which order is next, and on which lane, is decided by the product's own code.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, cast

import simpy

from errors import Busy
from pipeline.lanes import Lane
from pipeline.line import Line
from pipeline.orders import Order, OrderedWay

AGAIN_S = 900.0
"""After how long somebody for whom the queue was full tries again."""

Steps = Generator[simpy.Event, Any, None]


@dataclass(frozen=True)
class Arrival:
    """Somebody who orders. at: seconds from the start; address: as of `Turns.add`."""

    name: str
    at: float
    order: Order
    address: str | None = None


@dataclass(frozen=True)
class Served:
    """How it went. began, ended: seconds from the start; refused: how often the queue was full."""

    arrival: Arrival
    lane: str
    began: float
    ended: float
    refused: int

    @property
    def waited(self) -> float:
        """Seconds from the first try until the job began."""
        return self.began - self.arrival.at


@dataclass
class SimulatedLane:
    """A place where one job runs at a time."""

    name: str
    ways: tuple[OrderedWay, ...]
    alive: bool = True

    def takes(self, order: Order) -> bool:
        """See `Lane`."""
        return self.alive and order.way in self.ways


class SimulatedQueue:
    """The lanes of a cluster, and everybody who orders there."""

    def __init__(
        self,
        lanes: Sequence[SimulatedLane],
        *,
        queue_length: int,
        seconds: Callable[[Order], float],
    ) -> None:
        """
        Args:
            queue_length: how many orders may wait.
            seconds: that an order takes, which the queue expects as well.
        """
        self._clock = simpy.Environment()
        self._changed = self._clock.event()
        self._orders: dict[str, Order] = {}
        self._arrivals: dict[str, Arrival] = {}
        self._refused: dict[str, int] = {}
        self._served: list[Served] = []
        self._seconds, self._lanes = seconds, list(lanes)
        self._line = Line(
            queue_length,
            cast("list[Lane]", self._lanes),  # asked what they take, never to run anything
            order_of=self._orders.__getitem__,
            left_of=lambda name: 0.0,
        )

    def run(self, arrivals: Iterable[Arrival]) -> list[Served]:
        """Let them all come, and everything end; in the order in which jobs began."""
        for arrival in arrivals:
            self._clock.process(self._come(arrival))
        for lane in self._lanes:
            self._clock.process(self._work(lane))
        self._clock.run()
        return self._served

    def _come(self, arrival: Arrival) -> Steps:
        name, order = arrival.name, arrival.order
        self._arrivals[name], self._orders[name], self._refused[name] = arrival, order, 0
        yield self._clock.timeout(arrival.at)
        while True:
            try:
                self._line.turns.add(
                    name,
                    address=arrival.address,
                    seconds=self._seconds(order),
                    sample=False,
                    apart=self._line.apart(order),
                )
                break
            except Busy:
                self._refused[name] += 1
                yield self._clock.timeout(AGAIN_S)
        self._tell()

    def _work(self, lane: SimulatedLane) -> Steps:
        mine = cast("Lane", lane)
        while True:
            while (name := self._line.next(mine)) is None:
                yield self._changed
            self._tell()
            arrival, began = self._arrivals[name], self._clock.now
            ends = began + self._seconds(arrival.order)
            self._served.append(Served(arrival, lane.name, began, ends, self._refused[name]))
            yield self._clock.timeout(ends - began)
            del self._line.running[lane.name]

    def _tell(self) -> None:
        """Let lanes that wait look again."""
        before, self._changed = self._changed, self._clock.event()
        before.succeed()
