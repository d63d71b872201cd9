"""The lanes' threads: each takes the next job that its lane can run, and runs it to its end.

One lane is this process; a cluster adds others (`lanes`). A job whose lane was lost goes on
elsewhere. Once the GPU has failed, only what needs none is done, and then `on_gpu_failed` called.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import structlog

from errors import Stopped
from messages import Message
from pipeline import kept_order
from pipeline.job import Services
from pipeline.job_counts import JobCounts
from pipeline.lanes import Here, Lane
from pipeline.line import Line
from pipeline.orders import ENDED, Order, Progress, Report
from pipeline.outcome import Outcome, broken, gpu_failed_of, outcome_of
from pipeline.planning.pace import Countdown
from privacy.sessions import Session

log = structlog.get_logger()

MOST_LANES = 3
"""Lanes that one job may lose; then it is the job that ends them."""


@dataclass
class QueuedJob:
    """A job in the queue. `session` holds the data key, and is dropped at the end.

    goes_on: its order is kept for the next process. lost: lanes that were lost while they ran it.
    """

    number: int
    session: Session | None
    order: Order
    progress: Progress
    sample: bool = False
    address: str | None = None
    lost: int = 0
    countdown: Countdown | None = None
    goes_on: bool = False
    stopping: threading.Event = field(default_factory=threading.Event)
    ended: threading.Event = field(default_factory=threading.Event)


class Running:
    """The working half of a `JobQueue`: what runs, and how it is ended. Thread-safe."""

    def __init__(
        self, services: Services, *, queue_length: int, lanes: Sequence[Lane] | None = None
    ) -> None:
        """
        Args:
            queue_length: how many jobs may wait at once.
            lanes: those there are at first; without it, this process.
        """
        self._services = services
        self.counts = JobCounts(services.sessions.tally)
        self._changed = threading.Condition()
        self._jobs: dict[str, QueuedJob] = {}
        self._line = Line(
            queue_length,
            [Here(services)] if lanes is None else lanes,
            order_of=lambda session_id: self._jobs[session_id].order,
            left_of=self._left_of,
        )
        self._count = 0
        self._seconds_per_portrait: float | None = None
        self._closing = False
        self.gpu_failed = False
        self.on_gpu_failed: Callable[[], None] = lambda: None
        """Called when the GPU has failed and nothing runs or waits any more."""
        self._workers: dict[str, threading.Thread] = {}
        services.sessions.on_erase.append(self._forget)

    def stop(self, session_id: str, wait_s: float = 5.0) -> bool:
        """Ask the session's job to end and wait for it; True when nothing runs any more."""
        with self._changed:
            job = self._jobs.get(session_id)
            if job is None or job.progress.phase in ENDED:
                return True
            job.stopping.set()
            if session_id in self._line.turns:
                self._line.turns.remove(session_id)
                self._changed_line()
                self._done_with(job)
                self._end(job, Progress("stopped", message=Stopped().message))
        return job.ended.wait(wait_s)

    def add_lane(self, lane: Lane) -> None:
        """Run jobs there, too, until it is not alive any more."""
        with self._changed:
            self._line.lanes.append(lane)
            self._start_workers()
            self._changed_line()

    def lanes_changed(self) -> None:
        """A lane takes other orders than before, or none."""
        with self._changed:
            self._line.lanes = [lane for lane in self._line.lanes if lane.alive]
            self._changed_line()

    def close(self) -> None:
        """Stop everything and wait for the workers."""
        with self._changed:
            self._closing = True
            for job in self._jobs.values():
                job.stopping.set()
            self._changed.notify_all()
            workers = list(self._workers.values())
        end = time.monotonic() + 10.0
        for worker in workers:
            worker.join(max(0.0, end - time.monotonic()))

    def _seconds(self, order: Order) -> float:
        return self._services.planning.pace.seconds(order.way, order.count)

    def _changed_line(self) -> None:
        self._line.changed()
        self._changed.notify_all()

    def _left_of(self, session_id: str) -> float:
        """Seconds until that session's running job ends."""
        job = self._jobs.get(session_id)
        if job is None or job.progress.phase in ENDED:
            return 0.0
        shown = job.countdown.shown(job.progress).seconds_left if job.countdown else None
        return self._seconds(job.order) if shown is None else shown

    def _forget(self, session_id: str) -> None:
        """Called before a session's files are erased: nothing may be written after."""
        with self._changed:
            lanes = list(self._line.lanes)
        for lane in lanes:
            lane.abandon(session_id)
        self.stop(session_id)
        with self._changed:
            self._jobs.pop(session_id, None)

    def _done_with(self, job: QueuedJob) -> None:
        """Forget the order, unless it is the server that stops: then it goes on another day."""
        if job.session is not None and not self._closing and not job.goes_on:
            kept_order.forget(self._services.vault, job.session)

    def _end(self, job: QueuedJob, last: Progress) -> None:
        if not self._closing and not job.goes_on:
            self.counts.ended(job.order.way, last.phase, job.countdown)
        with self._changed:
            job.progress = last
            job.session = None
            job.ended.set()

    def _start_workers(self) -> None:
        for lane in self._line.lanes:
            if lane.name not in self._workers:
                name = f"queue {lane.name}"
                worker = threading.Thread(target=self._work, args=(lane,), name=name, daemon=True)
                self._workers[lane.name] = worker
                worker.start()

    def _work(self, lane: Lane) -> None:
        while True:
            with self._changed:
                if self.gpu_failed and not (self._line.turns or self._line.running):
                    self.on_gpu_failed()
                session_id = None
                while session_id is None:
                    if self._closing or not lane.alive:
                        del self._workers[lane.name]
                        return
                    session_id = self._line.next(lane)
                    if session_id is None:
                        self._changed.wait()
                job = self._jobs[session_id]
                self._changed.notify_all()  # others may take what they left to this lane
                getting_ready = Message("job.sentence.preparing")
                job.progress = Progress("preparing", count=job.order.count, message=getting_ready)
            try:
                last = self._run(job, lane).last
                if not (self.gpu_failed and job.order.needs_base):
                    lane.rest(job.order)
                if last is None:
                    last = self._elsewhere(job)
                if last is not None:
                    self._done_with(job)
                    self._end(job, last)
            finally:
                with self._changed:
                    del self._line.running[lane.name]

    def _run(self, job: QueuedJob, lane: Lane) -> Outcome:
        """Run one job to its end; whatever happens, the worker lives on."""
        if self.gpu_failed and job.order.needs_base:
            return self._gpu_failed(job, Outcome(gpu_failed_of(job.progress)))
        countdown = Countdown(self._seconds(job.order))
        with self._changed:
            job.countdown = countdown

        def report(progress: Progress) -> None:
            with self._changed:
                job.progress = countdown.shown(progress, reported=True)

        def work() -> Report:
            assert job.session is not None
            return lane.run(
                job.session,
                job.order,
                report=report,
                stop=job.stopping.is_set,
                seconds_per_portrait=self._seconds_per_portrait,
            )

        ended = outcome_of(job.number, lambda: job.progress, work)
        if ended.gpu_failed:
            self.counts.gpu_failed()
            return self._gpu_failed(job, ended)
        if ended.report is not None:
            self._seconds_per_portrait = ended.report.seconds_per_portrait
            self._services.planning.pace.learn(ended.report)
        return ended

    def _elsewhere(self, job: QueuedJob) -> Progress | None:
        """Let a job whose lane was lost wait again, first of all; its end if it must not."""
        with self._changed:
            job.lost += 1
            log.warning("lane_lost", job=job.number, times=job.lost)
            if self._closing or job.stopping.is_set() or job.session is None:
                return replace(job.progress, phase="stopped", message=Stopped().message)
            if job.lost >= MOST_LANES:
                return broken(job.progress)
            job.progress, job.countdown = Progress("queued", count=job.order.count), None
            self._line.turns.add(
                job.session.id,
                address=job.address,
                seconds=self._seconds(job.order),
                sample=job.sample,
                again=True,
                apart=self._line.apart(job.order),
            )
            self._changed_line()
        return None

    def _gpu_failed(self, job: QueuedJob, ended: Outcome) -> Outcome:
        """A painted job goes on in the next process."""
        with self._changed:
            self.gpu_failed = job.goes_on = True
        return ended
