"""Facts 18 to 21: erasing under way of writers and readers, strays on the disk, borrowed ids."""

from __future__ import annotations

import os
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from threading import Event, Thread

import pytest

from errors import UnknownSession
from privacy.keys import Ticket
from tests.support.store import HOUR, Store


@pytest.mark.fact(18)
def test_erasing_during_a_job_stops_it_and_nothing_is_written_after(tmp_path: Path) -> None:
    store = Store(tmp_path)
    session, _ = store.sessions.create()
    stop, writing = Event(), Event()

    def job() -> None:
        """Writes portraits until told to stop; being refused does not impress it."""
        made = 0
        while not stop.is_set():
            made += 1
            try:
                store.vault.put(session, "portrait", f"portrait-{made:03}", b"face" * 50_000)
            except UnknownSession:
                continue
            writing.set()

    worker = Thread(target=job)

    def stop_job(session_id: str) -> None:
        assert session_id == session.id
        stop.set()
        worker.join(5)

    store.sessions.on_erase.append(stop_job)
    worker.start()
    assert writing.wait(5)
    started = time.monotonic()
    assert store.sessions.erase(session.id, "user")
    assert time.monotonic() - started < 5
    assert not worker.is_alive()
    assert (store.files(), store.rows()) == ([], 0)


@pytest.mark.fact(18)
def test_a_job_that_ignores_the_stop_still_leaves_nothing(tmp_path: Path) -> None:
    store = Store(tmp_path)
    session, _ = store.sessions.create()
    end = Event()

    def deaf_job() -> None:
        while not end.is_set():
            with suppress(UnknownSession):
                store.vault.put(session, "adapter", "adapter", b"face" * 50_000)

    workers = [Thread(target=deaf_job) for _ in range(3)]
    for worker in workers:
        worker.start()
    time.sleep(0.1)
    assert store.sessions.erase(session.id, "user")
    seen = []
    for _ in range(20):
        seen += list((tmp_path / "vault").iterdir())
        time.sleep(0.005)
    end.set()
    for worker in workers:
        worker.join(5)
    assert (seen, store.files(), store.rows()) == ([], [], 0)


@pytest.mark.fact(18)
@pytest.mark.parametrize("moment", ["open", "write", "fsync", "close"])
def test_a_session_erased_in_the_middle_of_a_write_stays_erased(
    tmp_path: Path, monkeypatch, moment: str
) -> None:
    store = Store(tmp_path)
    session, _ = store.sessions.create()
    call, erased = getattr(os, moment), []

    def erase_first(*args: object, **options: object) -> object:
        if not erased:
            erased.append(True)
            store.sessions.erase(session.id, "user")
        return call(*args, **options)

    monkeypatch.setattr(os, moment, erase_first)
    with pytest.raises(UnknownSession):
        store.vault.put(session, "adapter", "adapter", b"face")
    assert (store.files(), store.rows()) == ([], 0)
    assert list((tmp_path / "vault").iterdir()) == []


@pytest.mark.fact(18)
def test_a_write_that_ends_while_the_job_is_being_stopped_is_refused(
    tmp_path: Path, monkeypatch
) -> None:
    store = Store(tmp_path)
    session, _ = store.sessions.create()
    stopping, written = Event(), Event()

    def stop(session_id: str) -> None:
        stopping.set()
        written.wait(5)

    store.sessions.on_erase.append(stop)
    eraser = Thread(target=store.sessions.erase, args=(session.id, "user"))
    sync = os.fsync

    def erase_meanwhile(descriptor: int) -> None:
        if eraser.ident is None:
            eraser.start()
            assert stopping.wait(5)  # the key is gone, the folder still there
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", erase_meanwhile)
    with pytest.raises(UnknownSession):
        store.vault.put(session, "adapter", "adapter", b"face")
    assert store.files() == []
    written.set()
    eraser.join(5)
    assert store.rows() == 0


@pytest.mark.fact(19)
def test_erasing_twice_is_the_same_as_once(tmp_path: Path) -> None:
    store = Store(tmp_path)
    session, _ = store.sessions.create()
    assert store.sessions.erase(session.id, "user") is True
    assert store.sessions.erase(session.id, "expired") is False


@pytest.mark.fact(19)
def test_of_many_erasures_at_once_exactly_one_counts(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for _ in range(5):
        session, _ = store.sessions.create()
        for n in range(5):
            store.vault.put(session, "photo", f"photo-{n}", b"face")
        store.sessions.on_erase[:] = [lambda session_id: time.sleep(0.01)]
        with ThreadPoolExecutor(8) as pool:
            erase = [pool.submit(store.sessions.erase, session.id, "user") for _ in range(7)]
            sweep = pool.submit(store.sweeper.sweep)
            counted = sum(done.result() for done in erase) + sweep.result()
        assert counted == 1
        assert (store.files(), store.rows()) == ([], 0)


@pytest.mark.fact(19)
def test_a_download_sees_whole_files_or_a_plain_refusal(tmp_path: Path) -> None:
    store = Store(tmp_path)
    session, _ = store.sessions.create()
    names = [f"portrait-{n:03}" for n in range(20)]
    for name in names:
        store.vault.put(session, "portrait", name, name.encode() * 10_000)
    reading, seen = Event(), []

    def download() -> str:
        while True:
            for name in names:
                try:
                    seen.append(
                        store.vault.open(session, "portrait", name) == name.encode() * 10_000
                    )
                except (UnknownSession, KeyError) as refusal:
                    return type(refusal).__name__
                reading.set()

    with ThreadPoolExecutor(2) as pool:
        readers = [pool.submit(download) for _ in range(2)]
        assert reading.wait(5)
        assert store.sessions.erase(session.id, "user")
        assert {reader.result() for reader in readers} == {"UnknownSession"}
    assert all(seen)


@pytest.mark.fact(20)
def test_strays_on_the_disk_and_in_the_database_are_reconciled(tmp_path: Path) -> None:
    store = Store(tmp_path)
    session, _ = store.sessions.create()
    store.vault.put(session, "photo", "photo-01", b"kept")
    store.vault.put(session, "photo", "photo-02", b"lost")
    store.path(session, "photo", "photo-02").unlink()
    home = tmp_path / "vault" / session.id
    (home / ("0" * 32)).write_bytes(b"a file without a row")
    (home / ("0" * 32 + ".part")).write_bytes(b"left by a kill")
    (home / "folder" / "deep").mkdir(parents=True)
    (tmp_path / "vault" / ("A" * 22)).mkdir()
    (tmp_path / "vault" / ("A" * 22) / "file").write_bytes(b"a folder without a row")
    found = store.vault.reconcile()
    assert (found.files, found.rows, found.strangers) == (4, 1, 0)
    assert store.files() == [store.path(session, "photo", "photo-01")]
    assert store.vault.open(session, "photo", "photo-01") == b"kept"
    assert [entry.name for entry in store.vault.list(session)] == ["photo-01"]
    again = store.vault.reconcile()
    assert (again.files, again.rows) == (0, 0)


@pytest.mark.fact(20)
def test_links_are_cut_not_followed_and_strangers_left_alone(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious").write_bytes(b"not ours")
    (tmp_path / "scratch").mkdir()
    store = Store(tmp_path / "scratch")
    session, _ = store.sessions.create()
    root = tmp_path / "scratch" / "vault"
    (root / session.id / "link").symlink_to(outside, target_is_directory=True)
    (root / ("B" * 22)).symlink_to(outside, target_is_directory=True)
    (root / "lost+found").mkdir()
    found = store.vault.reconcile()
    assert (found.files, found.strangers) == (2, 1)
    assert (outside / "precious").read_bytes() == b"not ours"
    assert sorted(path.name for path in root.iterdir()) == sorted([session.id, "lost+found"])


@pytest.mark.fact(20)
def test_a_write_under_way_is_not_taken_for_a_stray(tmp_path: Path, monkeypatch) -> None:
    store = Store(tmp_path)
    session, _ = store.sessions.create()
    sync, swept = os.fsync, []

    def sweep_first(descriptor: int) -> None:
        if not swept:
            swept.append(store.vault.reconcile().files)
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", sweep_first)
    store.vault.put(session, "photo", "photo-01", b"face")
    assert swept == [0]
    assert store.vault.open(session, "photo", "photo-01") == b"face"


@pytest.mark.fact(20)
def test_sweeps_beside_writers_lose_nothing(tmp_path: Path) -> None:
    store = Store(tmp_path)
    session, _ = store.sessions.create()
    end = Event()

    def sweep() -> None:
        while not end.is_set():
            store.sweeper.sweep()

    sweeper = Thread(target=sweep)
    sweeper.start()
    for n in range(15):
        store.vault.put(session, "portrait", f"portrait-{n:03}", b"face")
        store.vault.put(session, "sheet", "portraits", b"%d" % n)
    end.set()
    sweeper.join()
    for n in range(15):
        assert store.vault.open(session, "portrait", f"portrait-{n:03}") == b"face"
    assert store.vault.open(session, "sheet", "portraits") == b"14"
    assert len(store.files()) == 16


@pytest.mark.fact(21)
def test_ones_secret_on_anothers_id_is_like_an_unknown_id(tmp_path: Path) -> None:
    store = Store(tmp_path)
    _, mine = store.sessions.create()
    yours, _ = store.sessions.create()
    answers = []
    for ticket in (Ticket(yours.id, mine.secret), Ticket.random()):
        with pytest.raises(UnknownSession) as caught:
            store.sessions.open(ticket.text())
        answers.append((type(caught.value), caught.value.message, caught.value.__cause__))
    assert answers[0] == answers[1]


@pytest.mark.fact(21)
def test_one_session_neither_sees_nor_touches_anothers_files(tmp_path: Path) -> None:
    store = Store(tmp_path)
    mine, _ = store.sessions.create()
    yours, _ = store.sessions.create()
    store.vault.put(yours, "photo", "photo-01", b"yours")
    assert store.vault.list(mine) == []
    assert store.vault.delete(mine, "photo") == 0
    with pytest.raises(KeyError):
        store.vault.open(mine, "photo", "photo-01")
    store.vault.put(mine, "photo", "photo-01", b"mine")
    store.sessions.erase(mine.id, "user")
    store.time += HOUR
    assert store.vault.open(yours, "photo", "photo-01") == b"yours"
