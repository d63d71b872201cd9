"""The simulated queue does what the real one does: order by order, second by second."""

from __future__ import annotations

import heapq
import random
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any, cast

import pytest

from errors import Busy
from pipeline.assembly import Assembly
from pipeline.job_queue import JobQueue
from pipeline.orders import Order, OrderedWay, Report
from privacy.sessions import Session
from tests.support.waiting import until
from tools.simulated_queue import AGAIN_S, Arrival, SimulatedLane, SimulatedQueue

pytestmark = pytest.mark.slow

PEOPLE, LENGTH = 60, 8
LANES: dict[str, tuple[OrderedWay, ...]] = {
    "card-1": ("photo", "painted", "both"),
    "card-2": ("photo", "painted", "both"),
    "photo-1": ("photo",),
}


@dataclass
class PlayedLane:
    """Runs a job until the driver ends it. job: the session whose job runs."""

    name: str
    ways: tuple[OrderedWay, ...]
    alive: bool = True
    job: str | None = None
    go: threading.Event = field(default_factory=threading.Event)

    def takes(self, order: Order) -> bool:
        return order.way in self.ways

    def run(self, session: Session, order: Order, *, stop: Callable[[], bool], **_: Any) -> Report:
        self.job = session.id
        while not self.go.wait(1.0) and not stop():
            pass
        self.go.clear()
        return Report(seconds={"total": 1.0})

    def end(self) -> None:
        """Let the job end."""
        self.job = None
        self.go.set()

    def abandon(self, session_id: str) -> None:
        pass

    def rest(self, order: Order) -> None:
        pass


class SettledQueue(JobQueue):
    """A queue that tells when nothing moves any more until somebody comes or a job ends."""

    def settled(self, lanes: list[PlayedLane]) -> bool:
        with self._changed:
            takes = (self._line.takes(lane) for lane in lanes if lane.job is None)
            playing = {lane.name: lane.job for lane in lanes if lane.job}
            return self._line.running == playing and not any(map(self._line.turns.any, takes))


@dataclass
class Driven:
    """A day of a real queue whose clock stands at the next thing that happens."""

    queue: SettledQueue
    lanes: list[PlayedLane]
    sessions: dict[str, Session]
    seconds: Callable[[Order], float]

    def run(self, arrivals: list[Arrival]) -> list[tuple[str, float, int]]:
        """Names, seconds waited and how often refused, as jobs began."""
        names = {session.id: name for name, session in self.sessions.items()}
        came = {arrival.name: arrival for arrival in arrivals}
        coming = [(arrival.at, arrival.name) for arrival in arrivals]
        heapq.heapify(coming)
        ends: dict[str, float] = {}
        refused = dict.fromkeys(came, 0)
        began: list[tuple[str, float, int]] = []
        while coming or ends:
            first = min(ends, key=ends.__getitem__, default="")
            if coming and (not ends or coming[0][0] < ends[first]):
                now, name = heapq.heappop(coming)
                try:
                    self.queue.submit(self.sessions[name], came[name].order, came[name].address)
                except Busy:
                    refused[name] += 1
                    heapq.heappush(coming, (now + AGAIN_S, name))
            else:
                now = ends.pop(first)
                next(lane for lane in self.lanes if lane.name == first).end()
            until(lambda: self.queue.settled(self.lanes))
            for lane in self.lanes:
                if lane.job and lane.name not in ends:
                    name = names[lane.job]
                    ends[lane.name] = now + self.seconds(came[name].order)
                    began.append((name, now - came[name].at, refused[name]))
        return began


def a_day(seed: int) -> list[Arrival]:
    """Few addresses, most people early: some overtake others, and some find the queue full."""
    chance = random.Random(seed)
    return [
        Arrival(
            f"person-{number}",
            3600 * chance.betavariate(1.2, 4),
            Order(
                ("plain",),
                count=chance.choice((20, 50, 100)),
                way=chance.choices(("photo", "painted", "both"), (5, 3, 2))[0],
            ),
            chance.choice(("a", "a", "b", "c", None)),
        )
        for number in range(PEOPLE)
    ]


@pytest.fixture
def driven(assembly: Assembly) -> Iterator[Driven]:
    good = [SimpleNamespace(accepted=True, is_sample=False)] * 9
    album = cast("Any", SimpleNamespace(records=lambda session: good))
    lanes = [PlayedLane(name, ways) for name, ways in LANES.items()]
    services = replace(assembly.services, album=album)
    queue = SettledQueue(services, queue_length=LENGTH, lanes=lanes)
    sessions = {f"person-{n}": assembly.services.sessions.create()[0] for n in range(PEOPLE)}
    pace = assembly.services.planning.pace
    yield Driven(queue, lanes, sessions, lambda order: pace.seconds(order.way, order.count))
    queue.close()


def test_a_simulated_day_is_the_real_queues_day(driven: Driven) -> None:
    style = next(iter(driven.queue._services.styles))
    arrivals = [replace(one, order=replace(one.order, styles=(style,))) for one in a_day(seed=4)]
    simulated = SimulatedQueue(
        [SimulatedLane(name, ways) for name, ways in LANES.items()],
        queue_length=LENGTH,
        seconds=driven.seconds,
    ).run(arrivals)
    real = driven.run(arrivals)
    assert [name for name, _, _ in real] == [one.arrival.name for one in simulated]
    assert [waited for _, waited, _ in real] == pytest.approx([one.waited for one in simulated])
    assert [refused for _, _, refused in real] == [one.refused for one in simulated]
    # The day has what could go differently: waiting, a full queue, later ones that went first.
    assert len(real) == PEOPLE
    assert sum(waited > 0 for _, waited, _ in real) > PEOPLE / 2
    assert any(refused for _, _, refused in real)
    tries = [one.arrival.at for one in simulated if one.refused == 0]
    assert tries != sorted(tries)
