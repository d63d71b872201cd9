"""The queue: one job at a time, in the order of `turns`, in one worker thread.

A job goes on when the visitor closes the page, and ends within seconds when their session is
erased. One that the end of the server cut off goes on when the visitor is back. Data keys live here
only as long as a job waits or runs. Once the GPU has failed, only what needs none is done, and then
`on_gpu_failed` called. The queue knows nothing of what a job does (`job`), nor of pages.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import structlog

from errors import BadOrder, Busy, GpuFailed, LikenessError, OperatorError, Stopped, UnknownSession
from messages import Message
from pipeline import job as jobs
from pipeline import kept_order, memory
from pipeline.job import Services
from pipeline.job_counts import Census, JobCounts
from pipeline.orders import ENDED, Order, Progress
from pipeline.planning.pace import Countdown
from pipeline.portraits.score import PortraitRecord, rank
from pipeline.portraits.sheet import count_made, load_sheet
from pipeline.turns import Turns
from privacy.sessions import Session

log = structlog.get_logger()


@dataclass
class _QueuedJob:
    """A job in the queue. `session` holds the data key, and is dropped at the end.

    goes_on: its order is kept for the next process.
    """

    number: int
    session: Session | None
    order: Order
    progress: Progress
    sample: bool = False
    countdown: Countdown | None = None
    goes_on: bool = False
    stopping: threading.Event = field(default_factory=threading.Event)
    ended: threading.Event = field(default_factory=threading.Event)


class JobQueue:
    """Runs jobs. Thread-safe; at most one job per session waits or runs."""

    def __init__(self, services: Services, *, queue_length: int) -> None:
        """queue_length: how many jobs may wait at once."""
        self._services = services
        self.counts = JobCounts(services.sessions.tally)
        self._changed = threading.Condition()
        self._turns = Turns(queue_length)
        self._running: str | None = None
        self._jobs: dict[str, _QueuedJob] = {}
        self._count = 0
        self._seconds_per_portrait: float | None = None
        self._closing = False
        self.gpu_failed = False
        self.on_gpu_failed: Callable[[], None] = lambda: None
        """Called when the GPU has failed and nothing runs or waits any more."""
        self._worker: threading.Thread | None = None
        services.sessions.on_erase.append(self._forget)

    def submit(self, session: Session, order: Order, address: str | None = None) -> None:
        """Queue a job. One of sample photos is made smaller, and comes last.

        address: where the visitor is, who shares the queue with others there; None is alone.

        Raises:
            BadOrder: the order cannot start, or a job of this session is under way.
            Busy: too many jobs wait, in all, from this address or of samples; or the GPU failed.
        """
        good = [record for record in self._services.album.records(session) if record.accepted]
        jobs.check(order, len(good), self._services)
        sample = any(record.is_sample for record in good)
        if sample:
            most = self._services.limits.sample_portraits
            order = replace(order, count=min(order.count, most))
        if order.earlier is None:
            order = replace(order, earlier=count_made(self._services.vault, session))
        with self._changed:
            current = self._jobs.get(session.id)
            if current and current.progress.phase not in ENDED:
                raise BadOrder("order.running")
            if not self._services.sessions.alive(session.id):
                raise UnknownSession
            if self.gpu_failed and order.needs_base:
                raise Busy("order.gpu_failed")
            self._turns.add(
                session.id, address=address, seconds=self._seconds(order), sample=sample
            )
            try:
                kept_order.keep(self._services.vault, session, order)
            except BaseException:
                self._turns.remove(session.id)
                raise
            self._count += 1
            self._jobs[session.id] = _QueuedJob(
                self._count, session, order, Progress("queued", count=order.count), sample
            )
            if self._worker is None:
                self._worker = threading.Thread(target=self._work, name="queue", daemon=True)
                self._worker.start()
            self._changed.notify_all()

    def resume(self, session: Session, address: str | None = None) -> None:
        """Queue the order of this session that a stop of the server cut off, if there is one.

        It goes on where it was. When too many jobs wait, a later call tries again.

        Raises:
            UnknownSession: the session was erased.
        """
        with self._changed:
            if session.id in self._jobs:
                return
        order = kept_order.load(self._services.vault, session)
        if order is None:
            return
        try:
            self.submit(session, order, address)
        except Busy:
            return
        except BadOrder:  # what it asks for is there no more, or another request was quicker
            if self.progress(session.id) is None:
                kept_order.forget(self._services.vault, session)
            return
        log.info("job_resumed", made=count_made(self._services.vault, session))

    def progress(self, session_id: str) -> Progress | None:
        """The latest of this session's job, None when it never had one."""
        with self._changed:
            job = self._jobs.get(session_id)
            if job is None:
                return None
            if job.progress.phase != "queued":
                ticking = job.countdown if job.progress.phase not in ENDED else None
                return ticking.shown(job.progress) if ticking else job.progress
            before, seconds = self._turns.ahead(session_id)
            place = before + (self._running is not None)
            if place > 1:
                ahead = Message(
                    "job.ahead.sample" if job.sample else "job.ahead.other", {"n": place}
                )
            else:
                ahead = Message("job.ahead.next")
            left = self._left_of_running() + seconds + self._seconds(job.order)
            return replace(job.progress, place=place, seconds_left=left, message=ahead)

    def stop(self, session_id: str, wait_s: float = 5.0) -> bool:
        """Ask the session's job to end and wait for it; True when nothing runs any more."""
        with self._changed:
            job = self._jobs.get(session_id)
            if job is None or job.progress.phase in ENDED:
                return True
            job.stopping.set()
            if session_id in self._turns:
                self._turns.remove(session_id)
                self._done_with(job)
                self._end(job, Progress("stopped", message=Stopped().message))
        return job.ended.wait(wait_s)

    def portraits(self, session: Session) -> list[PortraitRecord]:
        """The portraits made so far, best first.

        Raises:
            UnknownSession: the session was erased.
        """
        return rank(load_sheet(self._services.vault, session))

    def census(self) -> Census:
        """What waits and runs at this moment."""
        with self._changed:
            jobs = [(job.order.way, job.progress.phase) for job in self._jobs.values()]
            return Census.of(jobs, working=self._worker is None or self._worker.is_alive())

    def close(self) -> None:
        """Stop everything and wait for the worker."""
        with self._changed:
            self._closing = True
            for job in self._jobs.values():
                job.stopping.set()
            self._changed.notify_all()
        if self._worker is not None:
            self._worker.join(10.0)

    def _seconds(self, order: Order) -> float:
        return self._services.planning.pace.seconds(order.way, order.count)

    def _left_of_running(self) -> float:
        """Seconds until the running job ends, 0 without one."""
        job = self._jobs.get(self._running) if self._running is not None else None
        if job is None or job.progress.phase in ENDED:
            return 0.0
        shown = job.countdown.shown(job.progress).seconds_left if job.countdown else None
        return self._seconds(job.order) if shown is None else shown

    def _forget(self, session_id: str) -> None:
        """Called before a session's files are erased: nothing may be written after."""
        self.stop(session_id)
        with self._changed:
            self._jobs.pop(session_id, None)

    def _done_with(self, job: _QueuedJob) -> None:
        """Forget the order, unless it is the server that stops: then it goes on another day."""
        if job.session is not None and not self._closing and not job.goes_on:
            kept_order.forget(self._services.vault, job.session)

    def _end(self, job: _QueuedJob, last: Progress) -> None:
        if not self._closing and not job.goes_on:
            self.counts.ended(job.order.way, last.phase, job.countdown)
        with self._changed:
            job.progress = last
            job.session = None
            job.ended.set()

    def _work(self) -> None:
        while True:
            with self._changed:
                if self.gpu_failed and not self._turns:
                    self.on_gpu_failed()
                self._changed.wait_for(lambda: bool(self._turns) or self._closing)
                if self._closing:
                    return
                self._running = self._turns.next()
                job = self._jobs[self._running]
                getting_ready = Message("job.sentence.preparing")
                job.progress = Progress("preparing", count=job.order.count, message=getting_ready)
            try:
                last = self._run(job)
                if job.order.needs_base and not self.gpu_failed:
                    jobs.release()
                memory.give_back()
                self._done_with(job)
                self._end(job, last)
            finally:
                with self._changed:
                    self._running = None

    def _run(self, job: _QueuedJob) -> Progress:
        """Run one job to its end; whatever happens, the worker lives on."""
        assert job.session is not None
        if self.gpu_failed and job.order.needs_base:
            return self._gpu_failed(job)
        countdown = Countdown(self._seconds(job.order))
        with self._changed:
            job.countdown = countdown

        def report(progress: Progress) -> None:
            with self._changed:
                job.progress = countdown.shown(progress, reported=True)

        try:
            result = jobs.run(
                job.session,
                job.order,
                self._services,
                report=report,
                stop=job.stopping.is_set,
                seconds_per_portrait=self._seconds_per_portrait,
            )
        except (Stopped, UnknownSession) as why:
            log.info("job_stopped", job=job.number)
            return replace(job.progress, phase="stopped", message=why.message)
        except GpuFailed as why:
            reason = str(why.__cause__).partition("\n")[0]
            log.critical("gpu_failed", job=job.number, reason=reason)
            self.counts.gpu_failed()
            return self._gpu_failed(job)
        except LikenessError as why:
            log.warning("job_failed", job=job.number, error=type(why).__name__)
            if isinstance(why, OperatorError):
                log.error("operator_needed", job=job.number, reason=why.sentence)
            return replace(job.progress, phase="failed", message=why.message)
        except Exception as why:  # the edge: a bug in one job must not end the queue for everybody
            log.error("job_broke", job=job.number, error=type(why).__name__)
            return replace(job.progress, phase="failed", message=Message("job.sentence.broke"))
        self._seconds_per_portrait = result.seconds_per_portrait
        self._services.planning.pace.learn(result)
        log.info("job_done", job=job.number, seconds=result.seconds, made=result.made)
        return Progress(
            "done",
            made=result.headshots,
            count=job.order.count,
            seconds_left=0.0,
            message=Message("job.sentence.done"),
        )

    def _gpu_failed(self, job: _QueuedJob) -> Progress:
        """The end of a painted job that goes on in the next process."""
        with self._changed:
            self.gpu_failed = job.goes_on = True
        return replace(job.progress, phase="failed", message=GpuFailed().message)
