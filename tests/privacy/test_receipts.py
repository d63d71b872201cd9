"""What is said about a session, when, and that it is said once."""

from __future__ import annotations

import errno
import hashlib
import os
from pathlib import Path

import pytest
import structlog

from errors import BadSettings
from privacy.keys import MasterKey, Ticket
from privacy.receipt_lines import FIELDS
from privacy.receipt_log import files_of
from tests.support.logged import Logged
from tests.support.store import HOUR, START, Store


@pytest.fixture
def logged(tmp_path: Path) -> Logged:
    return Logged(tmp_path)


def test_the_life_of_a_session_is_two_lines(logged: Logged) -> None:
    ticket = logged.opened()
    session = logged.sessions.open(ticket.text())
    for number in range(3):
        logged.vault.put(session, "portrait", f"portrait-{number}", b"x")
    logged.vault.put(session, "sheet", "portraits", b"x")
    logged.time += 2.5 * HOUR
    assert logged.sessions.erase(session.id, "user")
    _, opened, erased = logged.lines()
    mark = hashlib.sha256(ticket.receipt()).hexdigest()
    assert (opened["receipt"], erased["receipt"]) == (mark, mark)
    assert opened["id"] == erased["id"]
    assert (opened["time"], opened["erase_by"]) == ("2027-01-15T08:00Z", "2027-01-18T09:00Z")
    assert (erased["time"], erased["reason"]) == ("2027-01-15T10:00Z", "user")
    assert (erased["photos"], erased["adapters"], erased["portraits"]) == (1, 0, 3)
    assert logged.audit(later=1e9).problems == []


def test_a_session_without_a_photo_leaves_no_line(logged: Logged) -> None:
    session, ticket = logged.sessions.create()
    logged.sessions.erase(session.id, "user")
    assert logged.events() == []
    found = logged.sessions.receipts.find(ticket.receipt())
    assert (found.lines, found.waiting) == ((), False)


def test_a_photo_whose_opening_was_never_said_is_said_at_the_end(logged: Logged) -> None:
    session, _ = logged.sessions.create()
    logged.vault.put(session, "photo", "photo-01", b"face")
    logged.sessions.erase(session.id, "user")
    assert logged.events() == ["log", "opened", "erased"]
    assert logged.audit().problems == []


def test_only_the_first_photo_is_said(logged: Logged) -> None:
    session = logged.sessions.open(logged.opened().text())
    logged.sessions.touch_first_photo(session)
    assert logged.events() == ["log", "opened"]


def test_every_reason_of_the_sweep_is_in_its_line(logged: Logged) -> None:
    logged.opened()
    delivered = logged.sessions.open(logged.opened().text())
    logged.sessions.delivered(delivered)
    logged.time += 48 * HOUR
    assert logged.sweeper.sweep() == 2
    logged.opened()
    later = logged.restart(master_key=MasterKey.ram())
    reasons = {line.get("reason") for line in later.lines()} - {None}
    assert reasons == {"undelivered", "expired", "aborted"}
    assert later.audit(later=1e9).problems == []


def test_the_visitor_finds_their_lines_and_nobody_elses(logged: Logged) -> None:
    ann, bob = logged.opened(), logged.opened()
    logged.sessions.erase(ann.session_id, "user")
    found = logged.sessions.receipts.find(ann.receipt())
    assert [line["event"] for line in found.lines] == ["opened", "erased"]
    found = logged.sessions.receipts.find(bob.receipt())
    assert [line["event"] for line in found.lines] == ["opened"]
    assert logged.sessions.receipts.find(Ticket.random().receipt()).lines == ()


def test_r_neither_is_nor_tells_the_secret_or_what_the_server_keeps() -> None:
    ticket = Ticket.random()
    told = {ticket.receipt(), hashlib.sha256(ticket.receipt()).digest()}
    assert not told & {ticket.secret, ticket.verifier()}
    assert Ticket.parse(ticket.text()).receipt() == ticket.receipt()
    assert Ticket.random().receipt() != ticket.receipt()


def test_after_the_erasure_nothing_leads_from_the_store_to_the_line(logged: Logged) -> None:
    ticket = logged.opened()
    mark = hashlib.sha256(ticket.receipt()).hexdigest().encode()
    assert mark in logged.bytes_on_disk()
    log_id = logged.lines()[-1]["id"].encode()
    logged.sessions.erase(ticket.session_id, "user")
    assert mark not in logged.bytes_on_disk()
    assert log_id not in logged.bytes_on_disk()


def test_a_log_that_cannot_be_written_stops_no_erasure_and_is_caught_up(
    logged: Logged, monkeypatch: pytest.MonkeyPatch
) -> None:
    ticket = logged.opened()
    before = b"".join(logged.log.chunks())
    write, file = os.write, files_of(logged.receipts_folder)[-1]

    def full(descriptor: int, data: bytes) -> int:
        if os.path.samestat(os.fstat(descriptor), file.stat()):
            write(descriptor, bytes(data)[: len(data) // 2])
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(descriptor, data)

    with monkeypatch.context() as patch, structlog.testing.capture_logs() as said:
        patch.setattr(os, "write", full)
        assert logged.sessions.erase(ticket.session_id, "user")
        assert (logged.files(), logged.rows(), logged.waiting()) == ([], 0, 1)
        assert logged.sessions.receipts.find(ticket.receipt()).waiting
        logged.sweeper.sweep()
        assert b"".join(logged.log.chunks()) == before
    assert {
        "event": "receipts_waiting",
        "count": 1,
        "error": "OSError",
        "log_level": "warning",
    } in said
    logged.sweeper.sweep()
    assert logged.events() == ["log", "opened", "erased"]
    assert (logged.waiting(), logged.audit().problems) == (0, [])


def test_what_could_not_be_said_before_the_end_is_said_at_the_next_start(tmp_path: Path) -> None:
    logged = Logged(tmp_path)
    ticket = logged.opened()
    logged.sessions.receipts.log = None
    logged.sessions.erase(ticket.session_id, "user")
    assert logged.waiting() == 1
    later = logged.restart(later=5 * HOUR)
    assert later.events() == ["log", "opened", "erased"]
    assert later.lines()[-1]["time"] == "2027-01-15T08:00Z"  # when it was erased, not when told


def test_a_line_whose_row_was_not_deleted_is_not_said_twice(tmp_path: Path) -> None:
    logged = Logged(tmp_path)
    ticket = logged.opened()
    logged.database.change(
        "CREATE TRIGGER stubborn BEFORE DELETE ON unlogged BEGIN SELECT RAISE(IGNORE); END"
    )
    logged.sessions.erase(ticket.session_id, "user")
    logged.sweeper.sweep()
    assert logged.waiting() == 1
    assert logged.events() == ["log", "opened", "erased"]
    later = logged.restart()
    assert later.events() == ["log", "opened", "erased"]
    later.database.change("DROP TRIGGER stubborn")
    later.sweeper.sweep()
    assert (later.waiting(), later.events()) == (0, ["log", "opened", "erased"])


def test_what_is_overdue_is_erased_even_if_the_log_cannot_be_continued(tmp_path: Path) -> None:
    logged = Logged(tmp_path)
    logged.opened()
    (logged.receipts_folder / "signing.key").unlink()
    with pytest.raises(BadSettings, match=r"LIKENESS_RECEIPTS.*missing"):
        logged.restart(later=48 * HOUR)
    assert Store(tmp_path / "scratch").rows() == 0


def test_a_session_without_a_receipt_is_erased_and_leaves_no_line(tmp_path: Path) -> None:
    store = Store(tmp_path, time=START)
    store.database.change(
        "INSERT INTO sessions (id, state, master, created, erase_at)"
        " VALUES (?, 'live', 'gone', 0, 1)",
        ("A" * 22,),
    )
    assert store.sweeper.sweep() == 1
    assert store.rows() == 0
    assert store.database.rows("SELECT * FROM unlogged") == []


def test_no_event_has_room_for_anything_personal() -> None:
    assert {name for fields in FIELDS.values() for name in fields} == {
        *("v", "seq", "prev", "event", "app", "sig", "key", "cut"),
        *("id", "receipt", "time", "erase_by", "reason", "photos", "adapters", "portraits"),
        *("number", "channel", "outcome"),
    }
