"""The queue: what waits and runs, as a visitor asks for it, sees it and stops it.

A job goes on when the visitor closes the page, and ends within seconds when their session is
erased. One that the end of the server cut off goes on when the visitor is back. Data keys live here
only as long as a job waits or runs. Jobs run in the order of `turns`, in the threads of `running`.
The queue knows nothing of what a job does (`job`), nor of pages.
"""

from __future__ import annotations

from dataclasses import replace

import structlog

from errors import BadOrder, Busy, UnknownSession
from messages import Message
from pipeline import job as jobs
from pipeline import kept_order
from pipeline.job_counts import Census
from pipeline.orders import ENDED, Order, Progress
from pipeline.portraits.score import PortraitRecord, rank
from pipeline.portraits.sheet import count_made, load_sheet
from pipeline.running import QueuedJob, Running
from privacy.sessions import Session

log = structlog.get_logger()


class JobQueue(Running):
    """Runs jobs. Thread-safe; at most one job per session waits or runs."""

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
            self._line.turns.add(
                session.id,
                address=address,
                seconds=self._seconds(order),
                sample=sample,
                apart=self._line.apart(order),
            )
            try:
                kept_order.keep(self._services.vault, session, order)
            except BaseException:
                self._line.turns.remove(session.id)
                raise
            self._count += 1
            queued = Progress("queued", count=order.count)
            self._jobs[session.id] = QueuedJob(self._count, session, order, queued, sample, address)
            self._start_workers()
            self._changed_line()

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
            ahead = self._line.ahead(session_id)
            if ahead.seconds is None:
                return replace(job.progress, place=1, message=Message("job.ahead.nobody"))
            place = 1 + ahead.orders
            if job.lost:
                told = Message("job.ahead.moved")
            elif place > 1:
                told = Message(
                    "job.ahead.sample" if job.sample else "job.ahead.other", {"n": place}
                )
            else:
                told = Message("job.ahead.next")
            left = ahead.seconds + self._seconds(job.order)
            return replace(job.progress, place=place, seconds_left=left, message=told)

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
            working = all(worker.is_alive() for worker in self._workers.values())
            return Census.of(jobs, working=working)
