"""Counts: by day and by name, kept over a restart, for 30 days, and never in the way."""

from __future__ import annotations

import sqlite3

import pytest
from structlog.testing import capture_logs

from privacy.tally import KEPT_DAYS, LATE, ON_TIME
from tests.support.store import HOUR, Store

DAY = 24 * HOUR


@pytest.mark.fact(70)
def test_erasures_are_counted_by_their_deadline_and_survive_a_restart(store: Store) -> None:
    asked_for, due, forgotten = (store.sessions.create()[0] for _ in range(3))
    store.sessions.erase(asked_for.id, "user")
    store.time += 48 * HOUR + 60
    store.sweeper.sweep()
    assert store.sessions.tally.since_start() == {ON_TIME: 3}
    assert not store.sessions.alive(due.id)
    assert not store.sessions.alive(forgotten.id)
    store.sessions.create()
    again = store.restart(later=49 * HOUR)
    assert again.sessions.tally.open_now().overdue == 1
    again.sweeper.sweep()
    assert again.sessions.tally.since_start() == {LATE: 1}
    kept = again.sessions.tally.days(6)
    assert sum(day[ON_TIME] for day in kept.values()) == 3
    assert next(iter(kept.values()))[LATE] == 1
    assert len(kept) == 6


@pytest.mark.fact(70)
def test_what_is_open_is_counted_with_the_age_of_the_oldest(store: Store) -> None:
    assert store.sessions.tally.open_now().oldest_s == 0
    store.sessions.create()
    store.time += HOUR
    store.sessions.create()
    now = store.sessions.tally.open_now()
    assert (now.sessions, now.oldest_s, now.overdue) == (2, HOUR, 0)


@pytest.mark.fact(69)
def test_a_row_is_a_day_a_name_and_a_number_for_thirty_days(store: Store) -> None:
    tally = store.sessions.tally
    tally.add("jobs/photo/done", "jobs/photo/done")
    columns = [name for _, name, *_ in store.database.rows("PRAGMA table_info(tally)")]
    assert columns == ["day", "name", "number"]
    rows = store.database.rows("SELECT name, number FROM tally")
    assert rows == [("jobs/photo/done", 2)]
    store.time += (KEPT_DAYS - 1) * DAY
    store.sweeper.sweep()
    assert store.database.rows("SELECT number FROM tally") == [(2,)]
    store.time += DAY
    store.sweeper.sweep()
    assert store.database.rows("SELECT number FROM tally") == []


def test_an_erasure_does_not_wait_for_its_count(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    session, _ = store.sessions.create()
    change = store.database.change

    def broken(sql: str, parameters: tuple[object, ...] = ()) -> int:
        if "tally" in sql:
            raise sqlite3.DatabaseError("malformed")
        return change(sql, parameters)

    monkeypatch.setattr(store.database, "change", broken)
    with capture_logs() as lines:
        assert store.sessions.erase(session.id, "user")
        store.sweeper.sweep()
        assert list(store.sessions.tally.days(1).values()) == [{}]
    assert {line["event"] for line in lines} >= {"not_counted", "session_erased"}
    assert store.sessions.tally.since_start() == {ON_TIME: 1}
