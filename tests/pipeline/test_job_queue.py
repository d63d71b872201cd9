"""The queue: one at a time, in turns, and stopped within seconds."""

from __future__ import annotations

import gc
import threading
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from errors import BadOrder, BaseUnavailable, Busy, GpuFailed, Stopped
from messages import Message
from pipeline import job, kept_order
from pipeline.assembly import Assembly
from pipeline.job_counts import GPU_FAILED
from pipeline.job_queue import JobQueue
from pipeline.orders import Order, Progress
from pipeline.photos.record import SAMPLE
from privacy.sessions import Session
from tests.support.refused import refused
from tests.support.waiting import until
from words import tell

pytestmark = pytest.mark.slow

SAMPLES = Path(__file__).parents[2] / "web" / "samples"


@pytest.fixture
def job_queue(assembly: Assembly) -> Iterator[JobQueue]:
    job_queue = JobQueue(assembly.services, queue_length=2)
    yield job_queue
    job_queue.close()


@pytest.fixture
def visitors(assembly: Assembly, selfie_jpegs: list[bytes]) -> list[Session]:
    """Four sessions with one photo each: enough for portraits of the photo."""
    sessions = []
    for _ in range(4):
        session, _ = assembly.services.sessions.create()
        assembly.services.album.add(session, selfie_jpegs[0], "0.jpg")
        sessions.append(session)
    return sessions


class Gate:
    """Stands in for `job.run` where only the order of jobs matters: waits until it is opened."""

    def __init__(self) -> None:
        self.open = threading.Event()
        self.ran: list[str] = []

    def __call__(self, session, order, services, *, report, stop, **_: object):  # type: ignore[no-untyped-def]
        self.ran.append(session.id)
        report(Progress("training", step=1, steps=2))
        while not self.open.wait(0.02):
            if stop():
                raise Stopped
        return job.Report(base="tiny", headshots=order.count)


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Gate:
    gate = Gate()
    monkeypatch.setattr(job, "run", gate)
    return gate


ORDER = Order((), count=2, way="photo")


def phase(job_queue: JobQueue, session: Session) -> str:
    progress = job_queue.progress(session.id)
    assert progress is not None
    return progress.phase


def place(job_queue: JobQueue, session: Session) -> int:
    progress = job_queue.progress(session.id)
    assert progress is not None
    return progress.place


def test_jobs_run_one_after_another_in_order(
    job_queue: JobQueue, gate: Gate, visitors: list[Session]
) -> None:
    a, b, c, _ = visitors
    job_queue.submit(a, ORDER)
    until(lambda: phase(job_queue, a) == "training")
    job_queue.submit(b, ORDER)
    job_queue.submit(c, ORDER)
    places = [job_queue.progress(v.id).place for v in (a, b, c)]  # type: ignore[union-attr]
    assert places == [0, 1, 2]
    assert gate.ran == [a.id]
    gate.open.set()
    until(lambda: phase(job_queue, c) == "done")
    assert gate.ran == [a.id, b.id, c.id]


def test_what_waits_is_told_its_place_and_the_time_of_all_before_it(
    job_queue: JobQueue, gate: Gate, assembly: Assembly, visitors: list[Session]
) -> None:
    a, b, c, _ = visitors
    seconds = assembly.services.planning.pace.seconds
    job_queue.submit(a, ORDER, "192.0.2.1")
    until(lambda: phase(job_queue, a) == "training")
    job_queue.submit(b, replace(ORDER, count=4), "192.0.2.1")
    assert place(job_queue, b) == 1
    job_queue.submit(c, ORDER, "192.0.2.2")
    first, second = job_queue.progress(c.id), job_queue.progress(b.id)
    assert first is not None
    assert second is not None
    # The queue was empty when b came, so both addresses stand level, and b came first.
    assert (second.place, first.place) == (1, 2)
    assert second.seconds_left is not None
    assert first.seconds_left is not None
    own = seconds("photo", 2)
    assert first.seconds_left - second.seconds_left == pytest.approx(own, abs=0.2)
    assert 0 < second.seconds_left - seconds("photo", 4) <= own
    job_queue.stop(b.id)
    assert place(job_queue, c) == 1
    gate.open.set()


def test_an_order_of_sample_photos_is_small_and_last(
    job_queue: JobQueue, gate: Gate, assembly: Assembly, visitors: list[Session]
) -> None:
    a, b, *_ = visitors
    curious, _ = assembly.services.sessions.create()
    photo = (SAMPLES / "selfie-01.jpg").read_bytes()
    assembly.services.album.add(curious, photo, Message(SAMPLE, {"n": 1}))
    job_queue.submit(a, ORDER)
    until(lambda: phase(job_queue, a) == "training")
    job_queue.submit(curious, replace(ORDER, count=100))
    job_queue.submit(b, ORDER)
    told = job_queue.progress(curious.id)
    assert told is not None
    assert (told.count, told.place) == (assembly.services.limits.sample_portraits, 2)
    assert told.message == Message("job.ahead.sample", {"n": 2})
    gate.open.set()
    until(lambda: phase(job_queue, curious) == "done")
    assert gate.ran == [a.id, b.id, curious.id]


def test_a_full_queue_is_a_sentence(
    job_queue: JobQueue, gate: Gate, visitors: list[Session]
) -> None:
    job_queue.submit(visitors[0], ORDER)
    until(lambda: phase(job_queue, visitors[0]) == "training")
    job_queue.submit(visitors[1], ORDER)
    job_queue.submit(visitors[2], ORDER)
    with refused(Busy, "try again"):
        job_queue.submit(visitors[3], ORDER)


def test_one_job_per_session(job_queue: JobQueue, gate: Gate, visitors: list[Session]) -> None:
    job_queue.submit(visitors[0], ORDER)
    with refused(BadOrder, "already"):
        job_queue.submit(visitors[0], ORDER)


def test_a_waiting_job_can_be_stopped(
    job_queue: JobQueue, gate: Gate, visitors: list[Session]
) -> None:
    a, b = visitors[:2]
    job_queue.submit(a, ORDER)
    until(lambda: phase(job_queue, a) == "training")
    job_queue.submit(b, ORDER)
    assert job_queue.stop(b.id)
    assert phase(job_queue, b) == "stopped"
    gate.open.set()
    until(lambda: phase(job_queue, a) == "done")
    assert gate.ran == [a.id]


def test_a_bug_in_one_job_does_not_end_the_queue(
    job_queue: JobQueue, monkeypatch: pytest.MonkeyPatch, visitors: list[Session]
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("secret detail")

    monkeypatch.setattr(job, "run", broken)
    for visitor in visitors[:2]:
        job_queue.submit(visitor, ORDER)
        until(lambda v=visitor: phase(job_queue, v) == "failed")  # type: ignore[misc]
        progress = job_queue.progress(visitor.id)
        assert progress is not None
        assert "secret" not in repr(progress)
        assert progress.message is not None
        assert "again" in tell(progress.message)


def test_what_only_the_operator_can_repair_goes_to_the_log(
    job_queue: JobQueue, monkeypatch: pytest.MonkeyPatch, visitors: list[Session]
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise BaseUnavailable("The base model 'sdxl' is incomplete.")

    monkeypatch.setattr(job, "run", broken)
    with capture_logs() as logged:
        job_queue.submit(visitors[0], ORDER)
        until(lambda: phase(job_queue, visitors[0]) == "failed")
    progress = job_queue.progress(visitors[0].id)
    assert progress is not None
    assert progress.message == Message("errors.operator")
    assert [event["reason"] for event in logged if "reason" in event] == [
        "The base model 'sdxl' is incomplete."
    ]


def test_the_data_key_is_dropped_when_a_job_ends(
    job_queue: JobQueue, gate: Gate, visitors: list[Session]
) -> None:
    key = visitors[0].data_key
    job_queue.submit(visitors[0], ORDER)
    assert reaches(job_queue, key)
    gate.open.set()
    until(lambda: phase(job_queue, visitors[0]) == "done")
    until(lambda: not reaches(job_queue, key))  # the worker's own frames end a moment later


def reaches(start: object, wanted: object) -> bool:
    """Whether one object leads to another, by whatever attribute or container of our own."""
    waiting, seen = [start], set[int]()
    while waiting:
        here = waiting.pop()
        if here is wanted:
            return True
        ours = type(here).__module__.split(".")[0] in ("pipeline", "privacy")
        if id(here) not in seen and (ours or isinstance(here, dict | list | tuple | deque)):
            seen.add(id(here))
            waiting += gc.get_referents(here)
    return False


def test_an_order_is_kept_until_it_is_done_or_stopped(
    job_queue: JobQueue, gate: Gate, assembly: Assembly, visitors: list[Session]
) -> None:
    vault = assembly.services.vault
    a, b = visitors[:2]
    job_queue.submit(a, ORDER)
    until(lambda: phase(job_queue, a) == "training")
    job_queue.submit(b, ORDER)
    assert kept_order.load(vault, a) == kept_order.load(vault, b) == replace(ORDER, earlier=0)
    job_queue.stop(b.id)
    assert kept_order.load(vault, b) is None
    gate.open.set()
    until(lambda: phase(job_queue, a) == "done")
    assert kept_order.load(vault, a) is None


def test_an_order_that_the_end_of_the_server_cut_off_goes_on_with_its_visitor(
    gate: Gate, assembly: Assembly, visitors: list[Session]
) -> None:
    a, b = visitors[:2]
    first = JobQueue(assembly.services, queue_length=2)
    first.submit(a, ORDER)
    until(lambda: phase(first, a) == "training")
    first.submit(b, ORDER)
    first.close()
    second = JobQueue(assembly.services, queue_length=2)
    try:
        assert second.progress(a.id) is None
        second.resume(a)
        second.resume(a)  # a second page of the same visitor
        gate.open.set()
        until(lambda: phase(second, a) == "done")
        second.resume(a)
        assert phase(second, a) == "done"
        assert gate.ran == [a.id, a.id]
        second.resume(b)
        until(lambda: phase(second, b) == "done")
        assert gate.ran == [a.id, a.id, b.id]
    finally:
        second.close()


def test_an_order_that_cannot_start_any_more_is_forgotten(
    job_queue: JobQueue, assembly: Assembly, visitors: list[Session]
) -> None:
    vault, session = assembly.services.vault, visitors[0]
    kept_order.keep(vault, session, replace(ORDER, styles=("a-look-of-yesterday",)))
    job_queue.resume(session)
    assert job_queue.progress(session.id) is None
    assert vault.list(session, "order") == []


@pytest.mark.fact(18)
def test_delete_during_training_stops_within_five_seconds_and_writes_nothing_after(
    job_queue: JobQueue, assembly: Assembly, selfie_jpegs: list[bytes]
) -> None:
    session, _ = assembly.services.sessions.create()
    for number, data in enumerate(selfie_jpegs[:4]):
        assembly.services.album.add(session, data, f"{number}.jpg")
    job_queue.submit(session, Order((), count=100, way="painted"))
    until(lambda: phase(job_queue, session) in ("training", "generating"), 60)
    started = time.monotonic()
    assembly.services.sessions.erase(session.id, "user")
    assert time.monotonic() - started < 5
    assert job_queue.progress(session.id) is None
    folder = assembly.settings.scratch / "vault" / session.id
    assert not folder.exists()
    time.sleep(0.5)
    assert not folder.exists()
    other, _ = assembly.services.sessions.create()
    assembly.services.album.add(other, selfie_jpegs[0], "0.jpg")
    job_queue.submit(other, Order((), count=1, way="photo"))
    until(lambda: phase(job_queue, other) != "queued")  # the worker is free for the next one
    assert job_queue.stop(other.id, 60)


@pytest.mark.parametrize("stage", ["encode_images", "encode_prompts", "loss", "sample", "decode"])
def test_delete_everything_ends_whatever_the_base_is_doing(
    job_queue: JobQueue,
    assembly: Assembly,
    selfie_jpegs: list[bytes],
    stage: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    base = assembly.services.load_base(lambda: False)
    session, _ = assembly.services.sessions.create()
    for number, data in enumerate(selfie_jpegs[:4]):
        assembly.services.album.add(session, data, f"{number}.jpg")
    begun, ended, real = threading.Event(), list[str](), getattr(base, stage)

    def working(*arguments: object) -> object:
        """The base's own work, begun when the wish to stop is there."""
        begun.set()
        until(base._stop, 60)
        try:
            return real(*arguments)
        except Stopped:
            ended.append("stopped")
            raise

    monkeypatch.setattr(base, stage, working)
    job_queue.submit(session, Order((), count=2, way="painted"))
    assert begun.wait(120)
    assembly.services.sessions.erase(session.id, "user")
    until(lambda: bool(ended))
    assert ended == ["stopped"]
    assert not (assembly.settings.scratch / "vault" / session.id).exists()


def test_once_the_gpu_failed_only_what_needs_no_painting_is_done(
    assembly: Assembly, visitors: list[Session], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Failing(Gate):
        def __call__(self, session, order, services, **others):  # type: ignore[no-untyped-def]
            done = super().__call__(session, order, services, **others)
            if "painted" in order.ways:
                raise GpuFailed from RuntimeError("CUDA error: device-side assert triggered")
            return done

    gate, vault = Failing(), assembly.services.vault
    monkeypatch.setattr(job, "run", gate)
    limits = replace(assembly.services.limits, min_photos=1)
    services, drained = replace(assembly.services, limits=limits), threading.Event()
    job_queue, painted = JobQueue(services, queue_length=3), replace(ORDER, way="painted")
    job_queue.on_gpu_failed = drained.set
    a, b, c, d = visitors
    try:
        job_queue.submit(a, painted)
        until(lambda: phase(job_queue, a) == "training")
        job_queue.submit(b, ORDER)
        job_queue.submit(c, replace(ORDER, way="both"))
        assert not job_queue.gpu_failed
        gate.open.set()
        assert drained.wait(60)
        assert [phase(job_queue, v) for v in (a, b, c)] == ["failed", "done", "failed"]
        assert gate.ran == [a.id, b.id]
        # What goes on in the next process has not ended.
        counted = assembly.services.sessions.tally.since_start()
        assert counted[GPU_FAILED] == counted["jobs/photo/done"] == 1
        assert not [name for name in counted if "failed" in name and name != GPU_FAILED]
        with refused(Busy, "Portraits from your photos are still made"):
            job_queue.submit(d, painted)
        job_queue.submit(d, ORDER)
        until(lambda: phase(job_queue, d) == "done")
    finally:
        job_queue.close()
    assert [kept_order.load(vault, v) is not None for v in visitors] == [True, False, True, False]
