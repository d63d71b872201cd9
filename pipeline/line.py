"""The orders that wait, the lanes that can run them, and what is before each. Not thread-safe:
`job_queue` holds its lock.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import replace

from pipeline.lanes import Lane
from pipeline.orders import ORDERED_WAYS, Order
from pipeline.turns import Ahead, Takes, Turns

WORKED_OUT_S = 1.0
"""For how long what is before each order is not worked out again, where several lanes run."""


class Line:
    """Turns, and the lanes that take them."""

    def __init__(
        self,
        length: int,
        lanes: Iterable[Lane],
        order_of: Callable[[str], Order],
        left_of: Callable[[str], float],
    ) -> None:
        """
        Args:
            length: how many orders may wait.
            order_of: the order of a session.
            left_of: seconds until a session's running job ends.
        """
        self.turns = Turns(length)
        self.lanes = list(lanes)
        self.running: dict[str, str] = {}
        """Sessions whose jobs run, by the names of their lanes."""
        self._order_of, self._left_of = order_of, left_of
        self._ahead: tuple[float, dict[str, Ahead]] | None = None

    def takes(self, lane: Lane) -> Takes:
        """Which orders that lane takes at this moment, by the names of their sessions.

        What a free lane can run that can run less is left to it: photos keep no card busy while a
        place for photos is free.
        """

        def now(session_id: str) -> bool:
            order = self._order_of(session_id)
            return lane.takes(order) and not any(
                _narrower(other, lane)
                for other in self.lanes
                if other.alive and other.name not in self.running and other.takes(order)
            )

        return now

    def apart(self, order: Order) -> bool:
        """Whether there are lanes for photos alone, and this order is one for them."""
        return order.way == "photo" and any(
            lane.takes(order) and not lane.takes(replace(order, way="painted"))
            for lane in self.lanes
        )

    def next(self, lane: Lane) -> str | None:
        """Take out the session whose turn it is on that lane: its job runs from now on. None if
        none waits for it."""
        try:  # asked once, in there: what a lane takes may change at any moment
            session_id = self.turns.next(self.takes(lane))
        except ValueError:
            return None
        self.running[lane.name] = session_id
        self.changed()
        return session_id

    def ahead(self, session_id: str) -> Ahead:
        """What is before a waiting order.

        Raises:
            KeyError: it does not wait.
        """
        now = time.monotonic()
        old = self._ahead is None or now - self._ahead[0] > WORKED_OUT_S
        if self._ahead is None or old or len(self.lanes) == 1:
            lanes = [(self._left(lane), self._can_run(lane)) for lane in self.lanes]
            self._ahead = now, self.turns.ahead(lanes)
        return self._ahead[1][session_id]

    def changed(self) -> None:
        """What is before each order is another now."""
        self._ahead = None

    def _can_run(self, lane: Lane) -> Takes:
        return lambda session_id: lane.takes(self._order_of(session_id))

    def _left(self, lane: Lane) -> float:
        running = self.running.get(lane.name)
        return self._left_of(running) if running is not None else 0.0


def _narrower(one: Lane, other: Lane) -> bool:
    """Whether it can run orders of fewer ways."""
    return _breadth(one) < _breadth(other)


def _breadth(lane: Lane) -> int:
    return sum(lane.takes(Order((), count=1, way=way)) for way in ORDERED_WAYS)
