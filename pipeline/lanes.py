"""Where jobs run, one at a time on each lane: in this process (`Here`), or on another machine
(`cluster.remote_lane`). The queue knows lanes, and nothing of machines.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from pipeline import job as jobs
from pipeline import memory
from pipeline.job import Services
from pipeline.orders import Order, Progress, Report
from privacy.sessions import Session


class LaneLost(Exception):
    """What ran the job is gone. All that it had kept is there, so that another can go on."""


class Lane(Protocol):
    """Runs one job at a time, always from the same thread."""

    @property
    def name(self) -> str:
        """Of the lane, unlike any other's."""

    @property
    def alive(self) -> bool:
        """Whether it takes jobs; one that does not any more never will again."""

    def takes(self, order: Order) -> bool:
        """Tell whether such an order can be made here."""

    def run(
        self,
        session: Session,
        order: Order,
        *,
        report: Callable[[Progress], None],
        stop: Callable[[], bool],
        seconds_per_portrait: float | None,
    ) -> Report:
        """Make the portraits, as `job.run`.

        Raises:
            LaneLost: this lane takes no job any more. And as `job.run`.
        """

    def abandon(self, session_id: str) -> None:
        """Forget a session whose job may run here: it is erased. Called from any thread."""

    def rest(self, order: Order) -> None:
        """Give back what the job of that order took of this machine."""


class Here:
    """Jobs in this process."""

    name, alive = "here", True

    def __init__(self, services: Services) -> None:
        self._services = services

    def takes(self, order: Order) -> bool:
        """Whatever the queue has let in."""
        return True

    def run(
        self,
        session: Session,
        order: Order,
        *,
        report: Callable[[Progress], None],
        stop: Callable[[], bool],
        seconds_per_portrait: float | None,
    ) -> Report:
        """`job.run`; never lost."""
        return jobs.run(
            session,
            order,
            self._services,
            report=report,
            stop=stop,
            seconds_per_portrait=seconds_per_portrait,
        )

    def abandon(self, session_id: str) -> None:
        """Nothing: the vault refuses what is erased, and the job hears `stop`."""

    def rest(self, order: Order) -> None:
        """The memory of arrays, and the GPU's."""
        if order.needs_base:
            jobs.release()
        memory.give_back()
