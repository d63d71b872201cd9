"""What the sweep ends, and that it keeps coming."""

from __future__ import annotations

import time
from threading import Event
from typing import Any

import pytest
import structlog
from apscheduler.schedulers.background import BackgroundScheduler

from privacy.sweeper import Sweeper
from tests.support.store import HOUR, Store


def test_a_sweep_ends_only_what_is_overdue(store: Store) -> None:
    overdue, _ = store.sessions.create()
    store.time += 24 * HOUR
    fresh, ticket = store.sessions.create()
    store.vault.put(fresh, "photo", "photo-01", b"face")
    store.time += 24 * HOUR
    assert store.sweeper.sweep() == 1
    assert store.sweeper.sweep() == 0
    assert not store.sessions.alive(overdue.id)
    assert store.vault.open(store.sessions.open(ticket.text()), "photo", "photo-01") == b"face"


def test_every_reason_is_the_true_one(store: Store) -> None:
    delivered, _ = store.sessions.create()
    store.sessions.delivered(delivered)
    undelivered, _ = store.sessions.create()
    store.time += 48 * HOUR
    assert dict(store.sessions.overdue()) == {
        delivered.id: "expired",
        undelivered.id: "undelivered",
    }


def test_more_sessions_than_one_batch(store: Store, monkeypatch) -> None:
    monkeypatch.setattr("privacy.sweeper._BATCH", 4)
    for _ in range(11):
        store.sessions.create()
    store.time += 48 * HOUR
    assert store.sweeper.sweep() == 11
    assert store.rows() == 0
    assert list((store.folder / "vault").iterdir()) == []


def test_the_schedule_sweeps_by_itself_and_survives_a_failure(store: Store, monkeypatch) -> None:
    sweeper = Sweeper(store.sessions, store.vault, interval_s=0.05)
    failed, worked = Event(), Event()

    def first_fail_then_work() -> int:
        if not failed.is_set():
            failed.set()
            raise PermissionError(13, "Permission denied", "/scratch/vault/the-session-id")
        worked.set()
        return 0

    monkeypatch.setattr(sweeper, "sweep", first_fail_then_work)
    with structlog.testing.capture_logs() as logs:
        sweeper.start()
        assert worked.wait(5)
        sweeper.stop()
    assert {"event": "sweep_failed", "error": "PermissionError", "log_level": "error"} in logs
    assert "the-session-id" not in repr(logs)


def test_a_sweeper_that_was_never_started_stops(store: Store) -> None:
    store.sweeper.stop()


def test_a_slow_start_of_the_job_is_not_dropped(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """APScheduler forgets jobs that are a second late unless told otherwise."""
    schedulers = []

    class Noted(BackgroundScheduler):
        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **options)
            schedulers.append(self)

    monkeypatch.setattr("privacy.sweeper.BackgroundScheduler", Noted)
    sweeper = Sweeper(store.sessions, store.vault)
    sweeper.start()
    try:
        (scheduler,) = schedulers
        (job,) = scheduler.get_jobs()
        assert job.misfire_grace_time is None
        assert job.coalesce
        assert job.max_instances == 1
    finally:
        started = time.monotonic()
        sweeper.stop()
    assert time.monotonic() - started < 5
