from __future__ import annotations

import time

from privacy.clock import Clock
from tests.support.store import START, Store


def test_the_real_clock_is_the_real_time(store: Store) -> None:
    before = time.time()
    assert before <= Clock(store.database).now() <= time.time() + 1


def test_it_follows_the_source_forwards(store: Store) -> None:
    store.time = START + 10
    assert store.clock.now() == START + 10


def test_it_does_not_follow_the_source_backwards(store: Store) -> None:
    assert store.clock.now() == START
    store.time = START - 86_400
    assert store.clock.now() == START


def test_it_goes_on_counting_while_the_source_is_behind(store: Store) -> None:
    counted = 100.0
    clock = Clock(store.database, lambda: store.time, lambda: counted)
    assert clock.now() == START
    store.time, counted = START - 86_400, 160.0
    assert clock.now() == START + 60


def test_what_was_recorded_survives_a_restart(store: Store) -> None:
    store.time = START + 500
    store.clock.record()
    assert store.restart(later=-86_400).clock.now() == START + 500


def test_an_earlier_record_does_not_replace_a_later_one(store: Store) -> None:
    store.clock.record()
    store.database.change("UPDATE clock SET latest = ?", (START + 50,))
    store.clock.record()
    assert store.restart().clock.now() == START + 50
