"""Several lanes: each takes what it can, and a job whose lane is lost goes on elsewhere."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest

from errors import Busy, Stopped
from pipeline.assembly import Assembly
from pipeline.job_queue import JobQueue
from pipeline.lanes import LaneLost
from pipeline.orders import Order, OrderedWay, Progress, Report
from pipeline.running import MOST_LANES
from privacy.sessions import Session
from tests.support.waiting import until

pytestmark = pytest.mark.slow

PHOTO, PAINTED = Order((), count=2, way="photo"), Order((), count=2, way="painted")


@dataclass
class PlayedLane:
    """Stands in for a machine: a job lasts until `go` is set, or `lose`."""

    name: str
    ways: tuple[OrderedWay, ...] = ("photo", "painted")
    alive: bool = True
    ran: list[str] = field(default_factory=list)
    abandoned: list[str] = field(default_factory=list)
    go: threading.Event = field(default_factory=threading.Event)
    lose: threading.Event = field(default_factory=threading.Event)

    def takes(self, order: Order) -> bool:
        return self.alive and order.way in self.ways

    def run(  # type: ignore[no-untyped-def]
        self, session: Session, order: Order, *, report: Callable[[Progress], None], stop, **_
    ) -> Report:
        self.ran.append(session.id)
        report(Progress("generating", count=order.count, seconds_left=30.0))
        while not self.go.wait(0.01):
            if self.lose.is_set():
                self.alive = False
                raise LaneLost
            if stop():
                raise Stopped
        return Report(seconds={"total": 1.0}, headshots=order.count)

    def abandon(self, session_id: str) -> None:
        self.abandoned.append(session_id)

    def rest(self, order: Order) -> None:
        pass


@pytest.fixture
def visitors(assembly: Assembly, selfie_jpegs: list[bytes]) -> list[Session]:
    """Three sessions with photos enough for both ways."""
    sessions = []
    for _ in range(3):
        session, _ = assembly.services.sessions.create()
        for number in range(4):
            assembly.services.album.add(session, selfie_jpegs[number], f"{number}.jpg")
        sessions.append(session)
    return sessions


@pytest.fixture
def queue_of(assembly: Assembly) -> Iterator[Callable[..., JobQueue]]:
    made: list[JobQueue] = []

    def queue_of(*lanes: PlayedLane) -> JobQueue:
        made.append(JobQueue(assembly.services, queue_length=5, lanes=lanes))
        return made[-1]

    yield queue_of
    for one in made:
        one.close()


def phase(queue: JobQueue, session: Session) -> str:
    progress = queue.progress(session.id)
    assert progress is not None
    return progress.phase


def said(queue: JobQueue, session: Session) -> str:
    progress = queue.progress(session.id)
    assert progress is not None
    assert progress.message is not None
    return progress.message.key


def test_two_lanes_run_two_jobs_at_once(
    assembly: Assembly, queue_of: Callable[..., JobQueue], visitors: list[Session]
) -> None:
    lanes = PlayedLane("one"), PlayedLane("two")
    queue = queue_of(*lanes)
    for visitor in visitors:
        queue.submit(visitor, PHOTO)
    until(lambda: [len(lane.ran) for lane in lanes] == [1, 1])
    waiting = next(v for v in visitors if phase(queue, v) == "queued")
    shown = queue.progress(waiting.id)
    assert shown is not None
    assert shown.place == 1
    assert shown.seconds_left is not None
    expected = assembly.services.planning.pace.seconds("photo", PHOTO.count)
    assert expected < shown.seconds_left <= 2 * expected  # after one of the two, not after both
    lanes[1].go.set()
    until(lambda: len(lanes[1].ran) == 2)
    assert phase(queue, waiting) != "queued"


def test_a_photo_does_not_wait_behind_painted_ones(
    queue_of: Callable[..., JobQueue], visitors: list[Session]
) -> None:
    painter, photographer = PlayedLane("gpu"), PlayedLane("cpu", ways=("photo",))
    queue = queue_of(painter, photographer)
    ann, bob, eve = visitors
    queue.submit(ann, PAINTED)
    until(lambda: painter.ran == [ann.id])
    queue.submit(bob, PAINTED)
    queue.submit(eve, PHOTO)
    until(lambda: photographer.ran == [eve.id])
    assert phase(queue, bob) == "queued"
    assert queue.progress(bob.id).place == 1  # type: ignore[union-attr]


def test_photos_leave_the_card_free_while_a_place_for_photos_is(
    queue_of: Callable[..., JobQueue], visitors: list[Session]
) -> None:
    painter, photographer = PlayedLane("gpu"), PlayedLane("cpu", ways=("photo",))
    queue = queue_of(painter, photographer)
    ann, bob, eve = visitors
    queue.submit(ann, PHOTO)
    until(lambda: photographer.ran == [ann.id])
    queue.submit(bob, PHOTO)
    until(lambda: painter.ran == [bob.id])  # the other place is taken: better there than not at all
    photographer.go.set()
    until(lambda: phase(queue, ann) == "done")
    queue.submit(eve, PHOTO)
    until(lambda: photographer.ran == [ann.id, eve.id])


def test_of_two_photos_at_once_a_free_card_takes_one(
    queue_of: Callable[..., JobQueue], visitors: list[Session]
) -> None:
    painter, photographer = PlayedLane("gpu", ways=()), PlayedLane("cpu", ways=())
    queue = queue_of(painter, photographer)
    for visitor in visitors[:2]:
        queue.submit(visitor, PHOTO)
    painter.ways, photographer.ways = ("photo", "painted"), ("photo",)
    queue.lanes_changed()
    until(lambda: len(painter.ran) == len(photographer.ran) == 1)


def test_painted_orders_that_wait_take_no_place_from_photos(
    queue_of: Callable[..., JobQueue], visitors: list[Session], monkeypatch: pytest.MonkeyPatch
) -> None:
    painter, photographer = PlayedLane("gpu"), PlayedLane("cpu", ways=("photo",))
    queue = queue_of(painter, photographer)
    monkeypatch.setattr(queue._line.turns, "_length", 1)
    ann, bob, eve = visitors
    queue.submit(ann, PAINTED)
    until(lambda: painter.ran == [ann.id])
    queue.submit(bob, PAINTED)
    with pytest.raises(Busy):
        queue.submit(eve, PAINTED)
    queue.submit(eve, PHOTO)
    until(lambda: photographer.ran == [eve.id])


def test_a_lost_lanes_job_goes_on_elsewhere_first_of_all(
    queue_of: Callable[..., JobQueue], visitors: list[Session]
) -> None:
    first, second = PlayedLane("first"), PlayedLane("second")
    queue = queue_of(first)
    ann, bob, _ = visitors
    queue.submit(ann, PHOTO)
    until(lambda: first.ran == [ann.id])
    queue.submit(bob, PHOTO)
    first.lose.set()
    until(lambda: phase(queue, ann) == "queued")
    assert said(queue, ann) == "job.ahead.nobody"
    queue.lanes_changed()
    queue.add_lane(second)
    until(lambda: second.ran == [ann.id])
    assert said(queue, bob) == "job.ahead.next"
    second.go.set()
    until(lambda: phase(queue, ann) == phase(queue, bob) == "done")


def test_a_job_that_loses_every_lane_ends_in_a_sentence(
    queue_of: Callable[..., JobQueue], visitors: list[Session]
) -> None:
    lanes = [PlayedLane(str(number)) for number in range(MOST_LANES + 1)]
    for lane in lanes:
        lane.lose.set()
    queue = queue_of(*lanes)
    queue.submit(visitors[0], PHOTO)
    until(lambda: phase(queue, visitors[0]) == "failed")
    assert said(queue, visitors[0]) == "job.sentence.broke"
    assert sum(len(lane.ran) for lane in lanes) == MOST_LANES


def test_who_waits_for_a_machine_may_stop(
    queue_of: Callable[..., JobQueue], visitors: list[Session]
) -> None:
    queue = queue_of()
    queue.submit(visitors[0], PHOTO)
    assert said(queue, visitors[0]) == "job.ahead.nobody"
    assert queue.stop(visitors[0].id)
    assert phase(queue, visitors[0]) == "stopped"


def test_an_erased_session_is_abandoned_on_every_lane(
    assembly: Assembly, queue_of: Callable[..., JobQueue], visitors: list[Session]
) -> None:
    lane = PlayedLane("one")
    queue = queue_of(lane)
    queue.submit(visitors[0], PHOTO)
    until(lambda: lane.ran == [visitors[0].id])
    started = time.monotonic()
    assembly.services.sessions.erase(visitors[0].id, "user")
    assert time.monotonic() - started < 5
    assert lane.abandoned == [visitors[0].id]
    assert queue.progress(visitors[0].id) is None


def test_a_drained_lane_ends_what_it_has_and_gets_nothing_more(
    queue_of: Callable[..., JobQueue], visitors: list[Session]
) -> None:
    lane = PlayedLane("one")
    queue = queue_of(lane)
    ann, bob, _ = visitors
    queue.submit(ann, PHOTO)
    until(lambda: lane.ran == [ann.id])
    lane.ways = ()
    queue.lanes_changed()
    queue.submit(bob, PHOTO)
    lane.go.set()
    until(lambda: phase(queue, ann) == "done")
    assert said(queue, bob) == "job.ahead.nobody"
    lane.ways = ("photo",)
    queue.lanes_changed()
    until(lambda: phase(queue, bob) == "done")
