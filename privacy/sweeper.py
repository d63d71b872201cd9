"""The sweep that ends what is overdue: once before the port opens, then every minute.

One idempotent sweep over the database rather than a timer per session: timers die with the process
and APScheduler drops overdue ones. Knows nothing of why a session is overdue; `sessions` does.

Does not protect while the process is down: a session that falls due then is erased at the next
start. Until a sweep comes by, an overdue session is already refused everywhere. A damaged database
stops sweeping: `late` then tells, so that nobody new is let in on a promise that cannot be kept.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from datetime import UTC

import structlog
from apscheduler.events import EVENT_JOB_ERROR, JobExecutionEvent
from apscheduler.schedulers.background import BackgroundScheduler

from privacy.sessions import Sessions
from privacy.vault import Vault

_LATE = 5
"""Intervals without a whole sweep after which erasure counts as late: one may fail by chance."""

_BATCH = 500  # sessions per transaction: few syncs, and the lock is free in between

log = structlog.get_logger()


class Sweeper:
    """Runs `sweep` on a schedule of its own thread."""

    def __init__(self, sessions: Sessions, vault: Vault, *, interval_s: float = 60) -> None:
        self._sessions, self._vault, self._interval_s = sessions, vault, interval_s
        self.chores: list[Callable[[], None]] = []  # what else is due, after the sessions
        self._scheduler: BackgroundScheduler | None = None
        self._swept = time.monotonic()

    def sweep(self) -> int:
        """Erase every overdue session, then make disk and database agree; how many were erased."""
        overdue = self._sessions.overdue()
        erased = 0
        for start in range(0, len(overdue), _BATCH):
            erased += self._sessions.erase_all(overdue[start : start + _BATCH])
        self._sessions.receipts.flush()  # what could not be written earlier
        self._sessions.receipts.renew_checkpoint()
        self._sessions.scrub()
        self._sessions.tally.forget()
        found = self._vault.reconcile()
        if erased or found.files or found.rows or found.strangers:
            log.info(
                "swept",
                erased=erased,
                orphan_files=found.files,
                orphan_rows=found.rows,
                strangers=found.strangers,
            )
        for chore in self.chores:
            chore()
        self._swept = time.monotonic()
        return erased

    def late(self) -> bool:
        """Whether sweeps have failed for so long that what is due may still exist."""
        return time.monotonic() - self._swept > _LATE * self._interval_s

    def start(self) -> None:
        """Sweep every interval from now on. A failed sweep is logged and the next one comes."""
        # Its own report of a failed job would print the error's text, and with it paths.
        logging.getLogger("apscheduler.executors.default").disabled = True
        self._scheduler = BackgroundScheduler(timezone=UTC)
        self._scheduler.add_listener(self._report, EVENT_JOB_ERROR)
        self._scheduler.add_job(
            self.sweep,
            "interval",
            seconds=self._interval_s,
            coalesce=True,
            max_instances=1,
            misfire_grace_time=None,
        )
        self._scheduler.start()

    def stop(self) -> None:
        """End the schedule, waiting for a sweep that is running."""
        if self._scheduler is not None:
            self._scheduler.shutdown(wait=True)
            self._scheduler = None

    def _report(self, event: JobExecutionEvent) -> None:
        log.error("sweep_failed", error=type(event.exception).__name__)
        if self.late():
            log.critical(
                "erasure_is_late",
                minutes=round((time.monotonic() - self._swept) / 60),
                hint="What is due may still exist, and nobody new is let in. Restart the server: "
                "it says what is wrong.",
            )
