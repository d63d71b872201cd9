"""The life of a session: who opens it, and until when."""

from __future__ import annotations

from pathlib import Path

import pytest

from errors import DiskFull, UnknownSession
from privacy.database import Database
from privacy.keys import MasterKey, Ticket
from privacy.sessions import Deadline
from tests.support.store import HOUR, START, Store


def test_the_ticket_opens_the_session_again(store: Store) -> None:
    session, ticket = store.sessions.create()
    store.vault.put(session, "photo", "photo-01", b"face")
    again = store.sessions.open(ticket.text())
    assert again.id == session.id
    assert store.vault.open(again, "photo", "photo-01") == b"face"
    assert store.sessions.alive(session.id)


def test_the_same_master_key_opens_it_after_a_restart(store: Store) -> None:
    session, ticket = store.sessions.create()
    store.vault.put(session, "photo", "photo-01", b"face")
    later = store.restart(later=HOUR)
    assert later.sweeper.sweep() == 0
    assert later.vault.open(later.sessions.open(ticket.text()), "photo", "photo-01") == b"face"


def test_another_master_key_does_not_know_it_and_sweeps_it(store: Store) -> None:
    session, ticket = store.sessions.create()
    later = store.restart(master_key=MasterKey.ram())
    assert not later.sessions.alive(session.id)
    with pytest.raises(UnknownSession):
        later.sessions.open(ticket.text())
    assert later.sweeper.sweep() == 1
    assert later.rows() == 0


def test_every_refusal_reads_the_same(store: Store) -> None:
    session, ticket = store.sessions.create()
    erased, erased_ticket = store.sessions.create()
    store.sessions.erase(erased.id, "user")
    refused = [
        None,
        "",
        "nonsense",
        Ticket.random().text(),
        Ticket(session.id, Ticket.random().secret).text(),
        erased_ticket.text(),
    ]
    said = set()
    for text in refused:
        with pytest.raises(UnknownSession) as caught:
            store.sessions.open(text)
        said.add(repr(caught.value.message))
    assert len(said) == 1
    assert store.sessions.open(ticket.text()).id == session.id


def test_the_right_ticket_is_refused_where_its_verifier_does_not_match(store: Store) -> None:
    """The verifier is checked for itself, before the wrapped key is tried."""
    _, ticket = store.sessions.create()
    store.database.change("UPDATE sessions SET verifier = ?", (bytes(32),))
    with pytest.raises(UnknownSession):
        store.sessions.open(ticket.text())


def test_an_unknown_id_costs_the_same_work_as_a_wrong_secret(store: Store, monkeypatch) -> None:
    """The same steps are taken; real time would measure the machine rather than the code."""
    steps: list[str] = []
    derive, rows = Ticket.verifier, Database.rows
    monkeypatch.setattr(Ticket, "verifier", lambda self: steps.append("hash") or derive(self))
    monkeypatch.setattr(Database, "rows", lambda *all: steps.append("query") or rows(*all))
    session, _ = store.sessions.create()
    taken = []
    for claimed in (Ticket.random(), Ticket(session.id, Ticket.random().secret)):
        steps.clear()
        with pytest.raises(UnknownSession):
            store.sessions.open(claimed.text())
        taken.append(tuple(steps))
    assert taken[0] == taken[1]


def test_a_session_without_a_photo_ends_with_the_undelivered_time(store: Store) -> None:
    session, _ = store.sessions.create()
    assert store.sessions.deadline(session) == Deadline(START + 48 * HOUR, None)


def test_only_the_first_photo_starts_the_undelivered_clock(store: Store) -> None:
    session, _ = store.sessions.create()
    store.time += HOUR
    store.sessions.touch_first_photo(session)
    store.time += HOUR
    store.sessions.touch_first_photo(session)
    assert store.sessions.deadline(session).erase_at == START + 49 * HOUR


def test_only_the_first_delivery_fixes_the_deadline(store: Store) -> None:
    session, _ = store.sessions.create()
    store.sessions.touch_first_photo(session)
    store.time += 5 * HOUR
    first = store.sessions.delivered(session)
    assert first == Deadline(START + 29 * HOUR, START + 5 * HOUR)
    store.time += 5 * HOUR
    assert store.sessions.delivered(session) == first
    store.sessions.touch_first_photo(session)
    assert store.sessions.deadline(session) == first


def test_nothing_revives_an_overdue_session(store: Store) -> None:
    session, _ = store.sessions.create()
    store.time += 48 * HOUR
    for late in (
        store.sessions.delivered,
        store.sessions.touch_first_photo,
        store.sessions.deadline,
    ):
        with pytest.raises(UnknownSession):
            late(session)
    assert store.sweeper.sweep() == 1


def test_erasing_calls_back_before_the_files_go_and_after_the_key_went(store: Store) -> None:
    session, ticket = store.sessions.create()
    store.vault.put(session, "photo", "photo-01", b"face")
    seen = []

    def stop(session_id: str) -> None:
        seen.append((session_id, len(store.files()), store.sessions.alive(session_id)))
        with pytest.raises(UnknownSession):
            store.sessions.open(ticket.text())

    store.sessions.on_erase.append(stop)
    assert store.sessions.erase(session.id, "user")
    assert seen == [(session.id, 1, False)]
    assert not store.sessions.erase(session.id, "user")
    assert len(seen) == 1


def test_a_failing_callback_is_told_but_does_not_save_the_files(store: Store) -> None:
    session, _ = store.sessions.create()
    store.vault.put(session, "photo", "photo-01", b"face")
    called = []

    def fail(session_id: str) -> None:
        raise RuntimeError("the studio is confused")

    store.sessions.on_erase += [called.append, fail, called.append]
    with pytest.raises(RuntimeError, match="confused"):
        store.sessions.erase(session.id, "user")
    assert called == [session.id] * 2
    assert store.files() == []
    assert store.rows() == 0


def test_erasing_an_unknown_or_absurd_id_does_nothing(store: Store) -> None:
    session, _ = store.sessions.create()
    for session_id in ("", "..", "../..", "A" * 22, "/etc", "\0"):
        assert not store.sessions.erase(session_id, "user")
    assert store.sessions.alive(session.id)


def test_a_full_disk_at_creation_is_a_clear_answer(store: Store, monkeypatch) -> None:
    def full(*_: object) -> None:
        raise DiskFull

    monkeypatch.setattr("privacy.scratch.make_subfolder", full)
    with pytest.raises(DiskFull):
        store.sessions.create()
    assert store.rows() == 0


def test_a_folder_that_cannot_be_removed_is_tried_again(store: Store, monkeypatch) -> None:
    session, _ = store.sessions.create()
    with monkeypatch.context() as stubborn:
        stubborn.setattr("privacy.scratch.remove", _refuse)
        assert not store.sessions.erase(session.id, "user")
        assert store.rows() == 1
    assert store.sweeper.sweep() == 1
    assert store.rows() == 0


def _refuse(path: Path) -> None:
    raise PermissionError(1, "Operation not permitted")
