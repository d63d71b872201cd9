"""The orders that wait, the lanes that can run them, and what is before each. Not thread-safe:
`job_queue` holds its lock.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from pipeline.lanes import Lane
from pipeline.orders import Order
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
        """Which orders that lane can run, by the names of their sessions."""
        return lambda session_id: lane.takes(self._order_of(session_id))

    def next(self, lane: Lane) -> str:
        """Take out the session whose turn it is on that lane: its job runs from now on.

        Raises:
            ValueError: none waits for it.
        """
        session_id = self.turns.next(self.takes(lane))
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
            lanes = [(self._left(lane), self.takes(lane)) for lane in self.lanes]
            self._ahead = now, self.turns.ahead(lanes)
        return self._ahead[1][session_id]

    def changed(self) -> None:
        """What is before each order is another now."""
        self._ahead = None

    def _left(self, lane: Lane) -> float:
        running = self.running.get(lane.name)
        return self._left_of(running) if running is not None else 0.0
