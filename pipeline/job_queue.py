"""The queue: one job at a time, first come first served, in one worker thread.

A job goes on when the visitor closes the page, and ends within seconds when their session is
erased. Data keys live here only as long as a job waits or runs. The studio knows nothing of what
a job does (`job`), nor of pages.
"""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass, field, replace

import structlog

from errors import BadOrder, Busy, LikenessError, OperatorError, Stopped, UnknownSession
from pipeline import job
from pipeline.job import Order, Progress, Services
from pipeline.portraits.score import PortraitRecord, rank
from privacy.sessions import Session
from words import say

log = structlog.get_logger()

ENDED = ("done", "stopped", "failed")


@dataclass
class _Ticket:
    """A job in the queue. `session` holds the data key, and is dropped at the end."""

    number: int
    session: Session | None
    order: Order
    progress: Progress
    stopping: threading.Event = field(default_factory=threading.Event)
    ended: threading.Event = field(default_factory=threading.Event)


class Studio:
    """Runs jobs. Thread-safe; at most one job per session waits or runs."""

    def __init__(self, services: Services, *, queue_length: int) -> None:
        self._services = services
        self._queue_length = queue_length
        self._changed = threading.Condition()
        self._waiting: deque[str] = deque()
        self._running: str | None = None
        self._jobs: dict[str, _Ticket] = {}
        self._count = 0
        self._seconds_per_portrait: float | None = None
        self._closing = False
        self._worker: threading.Thread | None = None
        services.sessions.on_erase.append(self._forget)

    def submit(self, session: Session, order: Order) -> None:
        """Queue a job.

        Raises:
            BadOrder: the order cannot start, or a job of this session is under way.
            Busy: too many jobs wait.
        """
        good = sum(record.accepted for record in self._services.album.records(session))
        job.check(order, good, self._services)
        with self._changed:
            current = self._jobs.get(session.id)
            if current and current.progress.phase not in ENDED:
                raise BadOrder(say("order.running"))
            if len(self._waiting) >= self._queue_length:
                raise Busy(say("order.queue_full"))
            if not self._services.sessions.alive(session.id):
                raise UnknownSession
            self._count += 1
            self._jobs[session.id] = _Ticket(
                self._count, session, order, Progress("queued", count=order.count)
            )
            self._waiting.append(session.id)
            if self._worker is None:
                self._worker = threading.Thread(target=self._work, name="studio", daemon=True)
                self._worker.start()
            self._changed.notify_all()

    def progress(self, session_id: str) -> Progress | None:
        """The latest of this session's job, None when it never had one."""
        with self._changed:
            ticket = self._jobs.get(session_id)
            if ticket is None:
                return None
            if ticket.progress.phase != "queued":
                return ticket.progress
            place = self._waiting.index(session_id) + (self._running is not None)
            words = say("job.ahead.other", n=place) if place > 1 else say("job.ahead.next")
            return replace(ticket.progress, place=place, sentence=words)

    def stop(self, session_id: str, wait_s: float = 5.0) -> bool:
        """Ask the session's job to end and wait for it; True when nothing runs any more."""
        with self._changed:
            ticket = self._jobs.get(session_id)
            if ticket is None or ticket.progress.phase in ENDED:
                return True
            ticket.stopping.set()
            if session_id in self._waiting:
                self._waiting.remove(session_id)
                self._end(ticket, Progress("stopped", sentence=Stopped().sentence))
        return ticket.ended.wait(wait_s)

    def portraits(self, session: Session) -> list[PortraitRecord]:
        """The portraits made so far, best first.

        Raises:
            UnknownSession: the session was erased.
        """
        return rank(job.load_sheet(self._services.vault, session))

    def close(self) -> None:
        """Stop everything and wait for the worker."""
        with self._changed:
            self._closing = True
            for ticket in self._jobs.values():
                ticket.stopping.set()
            self._changed.notify_all()
        if self._worker is not None:
            self._worker.join(10.0)

    def _forget(self, session_id: str) -> None:
        """Called before a session's files are erased: nothing may be written after."""
        self.stop(session_id)
        with self._changed:
            self._jobs.pop(session_id, None)

    def _end(self, ticket: _Ticket, last: Progress) -> None:
        with self._changed:
            ticket.progress = last
            ticket.session = None
            ticket.ended.set()

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: bool(self._waiting) or self._closing)
                if self._closing:
                    return
                self._running = self._waiting.popleft()
                ticket = self._jobs[self._running]
                ticket.progress = Progress("preparing", count=ticket.order.count)
            try:
                self._end(ticket, self._run(ticket))
            finally:
                with self._changed:
                    self._running = None

    def _run(self, ticket: _Ticket) -> Progress:
        """Run one job to its end; whatever happens, the worker lives on."""
        assert ticket.session is not None

        def report(progress: Progress) -> None:
            with self._changed:
                ticket.progress = progress

        try:
            result = job.run(
                ticket.session,
                ticket.order,
                self._services,
                report=report,
                stop=ticket.stopping.is_set,
                seconds_per_portrait=self._seconds_per_portrait,
            )
        except (Stopped, UnknownSession) as why:
            log.info("job_stopped", job=ticket.number)
            return replace(ticket.progress, phase="stopped", sentence=why.sentence)
        except LikenessError as why:
            log.warning("job_failed", job=ticket.number, error=type(why).__name__)
            if isinstance(why, OperatorError):
                log.error("operator_needed", job=ticket.number, reason=why.sentence)
            return replace(ticket.progress, phase="failed", sentence=why.for_visitor)
        except Exception as why:  # the edge: a bug in one job must not end the queue for everybody
            log.error("job_broke", job=ticket.number, error=type(why).__name__)
            return replace(
                ticket.progress,
                phase="failed",
                sentence=say("job.sentence.broke"),
            )
        self._seconds_per_portrait = result.seconds_per_portrait
        log.info("job_done", job=ticket.number, seconds=result.seconds, made=result.headshots)
        return Progress(
            "done",
            made=result.headshots,
            count=ticket.order.count,
            seconds_left=0.0,
            sentence=say("job.sentence.done"),
        )
