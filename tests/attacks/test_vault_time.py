"""Facts 13 to 17: downtime, clocks set back and forth, sessions nobody delivers."""

from __future__ import annotations

from pathlib import Path

import pytest

from errors import UnknownSession
from privacy.keys import Ticket
from privacy.sessions import Session
from tests.support.store import HOUR, Store


def _delivered(store: Store) -> tuple[Session, Ticket]:
    session, ticket = store.sessions.create()
    store.vault.put(session, "portrait", "portrait-001", b"face")
    store.sessions.delivered(session)
    return session, ticket


@pytest.mark.fact(13)
def test_three_days_down_and_the_first_sweep_ends_what_is_overdue(tmp_path: Path) -> None:
    store = Store(tmp_path)
    _delivered(store)
    later = store.restart(later=72 * HOUR)
    assert later.sweeper.sweep() == 1  # app.py sweeps before the port opens
    assert later.files() == []
    assert later.rows() == 0


@pytest.mark.fact(14)
def test_a_clock_set_back_while_running_lengthens_no_life(tmp_path: Path) -> None:
    counted = 0.0
    store = Store(tmp_path, elapsed=lambda: counted)
    _, ticket = _delivered(store)
    store.time -= 24 * HOUR
    store.clock.now()
    counted += 24 * HOUR - 1
    assert store.sessions.open(ticket.text())
    counted += 1
    with pytest.raises(UnknownSession):
        store.sessions.open(ticket.text())
    assert store.sweeper.sweep() == 1


@pytest.mark.fact(14)
def test_a_clock_set_back_over_a_restart_lengthens_no_life(tmp_path: Path) -> None:
    store = Store(tmp_path)
    _, ticket = _delivered(store)
    store.time += 24 * HOUR - 1
    store.sweeper.sweep()
    counted = 0.0
    later = store.restart(later=-24 * HOUR, elapsed=lambda: counted)
    assert later.sessions.open(ticket.text())
    counted += 1
    with pytest.raises(UnknownSession):
        later.sessions.open(ticket.text())
    assert later.sweeper.sweep() == 1


@pytest.mark.fact(15)
def test_a_clock_set_forward_erases_early_and_nothing_breaks(tmp_path: Path) -> None:
    store = Store(tmp_path)
    _delivered(store)
    store.time += 10 * 365 * 24 * HOUR
    assert store.sweeper.sweep() == 1
    store.time -= 10 * 365 * 24 * HOUR
    session, ticket = _delivered(store)
    assert store.sessions.open(ticket.text()).id == session.id
    deadline = store.sessions.deadline(session)
    assert deadline.erase_at - store.clock.now() == 24 * HOUR


@pytest.mark.fact(16)
def test_overdue_but_unswept_is_already_unknown(tmp_path: Path) -> None:
    store = Store(tmp_path)
    session, ticket = _delivered(store)
    store.time += 24 * HOUR - 60
    assert store.sessions.open(ticket.text()).id == session.id
    store.time += 60
    assert not store.sessions.alive(session.id)
    with pytest.raises(UnknownSession):
        store.sessions.open(ticket.text())
    assert len(store.files()) == 1  # nobody has swept yet


@pytest.mark.fact(17)
@pytest.mark.parametrize("photos", [False, True])
def test_an_undelivered_session_dies_at_its_maximum_age(tmp_path: Path, photos: bool) -> None:
    store = Store(tmp_path)
    session, ticket = store.sessions.create()
    if photos:
        store.time += HOUR
        store.sessions.touch_first_photo(session)
        store.vault.put(session, "photo", "photo-01", b"face")
    store.time += 48 * HOUR - 1
    assert store.sweeper.sweep() == 0
    assert store.sessions.open(ticket.text()).id == session.id
    store.time += 1
    assert store.sweeper.sweep() == 1
    assert store.files() == []
