"""Files of a session: put, open, delete, list."""

from __future__ import annotations

import os
import stat
import threading
from pathlib import Path

import pytest

from errors import BadSettings, DiskFull, TamperedError, UnknownSession
from privacy import scratch
from privacy.file_rows import Entry
from privacy.vault import Vault
from tests.support.store import Store


def test_what_was_put_is_opened(store: Store) -> None:
    session, _ = store.sessions.create()
    big = os.urandom(2_500_000)
    store.vault.put(session, "adapter", "adapter", big)
    store.vault.put(session, "photo", "photo-01", b"")
    assert store.vault.open(session, "adapter", "adapter") == big
    assert store.vault.open(session, "photo", "photo-01") == b""


def test_putting_again_replaces_and_leaves_one_file(store: Store) -> None:
    session, _ = store.sessions.create()
    store.vault.put(session, "sheet", "portraits", b"one")
    store.vault.put(session, "sheet", "portraits", b"second")
    assert store.vault.open(session, "sheet", "portraits") == b"second"
    assert len(store.files()) == 1


def test_several_files_at_once_are_each_opened_and_replace_their_earlier_versions(
    store: Store,
) -> None:
    session, _ = store.sessions.create()
    store.vault.put(session, "sheet", "portraits", b"one")
    store.vault.put_all(
        session, [("portrait", "portrait-001", b"pixels"), ("sheet", "portraits", b"second")]
    )
    assert store.vault.open(session, "portrait", "portrait-001") == b"pixels"
    assert store.vault.open(session, "sheet", "portraits") == b"second"
    assert len(store.files()) == 2


@pytest.mark.parametrize("call", ["write", "fsync"])
def test_of_several_files_that_do_not_fit_none_is_kept(store: Store, monkeypatch, call) -> None:
    session, _ = store.sessions.create()
    store.vault.put(session, "sheet", "portraits", b"one")
    works, calls = getattr(os, call), 0

    def full_at_the_second(*arguments: object, **options: object) -> object:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise OSError(28, "No space left on device")
        return works(*arguments, **options)

    with monkeypatch.context() as disk:
        disk.setattr(os, call, full_at_the_second)
        with pytest.raises(DiskFull):
            store.vault.put_all(
                session, [("portrait", "portrait-001", b"x"), ("sheet", "portraits", b"second")]
            )
    assert [entry.kind for entry in store.vault.list(session)] == ["sheet"]
    assert store.vault.open(session, "sheet", "portraits") == b"one"
    assert len(store.files()) == 1


def test_the_list_keeps_the_order_of_creation(store: Store) -> None:
    session, _ = store.sessions.create()
    vault = Vault(store.folder / "vault", store.database, now=lambda: 5.0)
    for name in ("photo-02", "photo-01", "photo-03"):
        vault.put(session, "photo", name, b"x" * 7)
    vault.put(session, "order", "order", b"{}")
    vault.put(session, "photo", "photo-02", b"y" * 8)
    assert vault.list(session, "photo") == [
        Entry("photo", "photo-02", 8, 5.0),
        Entry("photo", "photo-01", 7, 5.0),
        Entry("photo", "photo-03", 7, 5.0),
    ]
    assert [entry.kind for entry in vault.list(session)] == ["photo"] * 3 + ["order"]


def test_an_absent_file_is_a_key_error(store: Store) -> None:
    session, _ = store.sessions.create()
    with pytest.raises(KeyError):
        store.vault.open(session, "photo", "photo-01")
    assert store.vault.delete(session, "photo", "photo-01") == 0


def test_deleting_one_or_a_kind(store: Store) -> None:
    session, _ = store.sessions.create()
    for name in ("photo-01", "photo-02", "photo-03"):
        store.vault.put(session, "photo", name, b"x")
    store.vault.put(session, "adapter", "adapter", b"x")
    assert store.vault.delete(session, "photo", "photo-02") == 1
    assert store.vault.delete(session, "photo") == 2
    assert [entry.kind for entry in store.vault.list(session)] == ["adapter"]
    assert len(store.files()) == 1


def test_an_erased_session_is_unknown_to_every_method(store: Store) -> None:
    session, _ = store.sessions.create()
    store.vault.put(session, "photo", "photo-01", b"x")
    store.sessions.erase(session.id, "user")
    for call in (
        lambda: store.vault.put(session, "photo", "photo-02", b"x"),
        lambda: store.vault.open(session, "photo", "photo-01"),
        lambda: store.vault.delete(session, "photo"),
        lambda: store.vault.list(session),
    ):
        with pytest.raises(UnknownSession):
            call()
    assert store.files() == []


def test_files_are_private_whatever_the_umask(tmp_path: Path) -> None:
    for umask in (0o000, 0o777):
        before = os.umask(umask)
        try:
            folder = tmp_path / f"{umask:o}"
            with scratch.hold(folder):
                store = Store(folder)
                session, _ = store.sessions.create()
                store.vault.put(session, "photo", "photo-01", b"x")
        finally:
            os.umask(before)
        path = store.path(session, "photo", "photo-01")
        modes = [stat.S_IMODE(part.stat().st_mode) for part in (path, *path.parents[:3])]
        assert modes == [0o600, 0o700, 0o700, 0o700]
        assert stat.S_IMODE((folder / "likeness.db").stat().st_mode) == 0o600


def test_a_missing_or_grown_file_is_tampered(store: Store) -> None:
    session, _ = store.sessions.create()
    store.vault.put(session, "photo", "photo-01", b"x")
    path = store.path(session, "photo", "photo-01")
    path.write_bytes(path.read_bytes() + b"x")
    with pytest.raises(TamperedError):
        store.vault.open(session, "photo", "photo-01")
    path.unlink()
    with pytest.raises(TamperedError):
        store.vault.open(session, "photo", "photo-01")


def test_readers_see_the_old_or_the_new_version_during_replacement(store: Store) -> None:
    session, _ = store.sessions.create()
    versions = {bytes([n]) * 1000 for n in range(15)}
    store.vault.put(session, "sheet", "portraits", min(versions))
    done = threading.Event()

    def write() -> None:
        for version in sorted(versions):
            store.vault.put(session, "sheet", "portraits", version)
        done.set()

    writer = threading.Thread(target=write)
    writer.start()
    while not done.is_set():
        assert store.vault.open(session, "sheet", "portraits") in versions
    writer.join()
    assert store.vault.open(session, "sheet", "portraits") == max(versions)


@pytest.mark.parametrize("step", ["os.write", "os.fsync"])
def test_no_space_keeps_the_earlier_version(store: Store, monkeypatch, step: str) -> None:
    session, _ = store.sessions.create()
    store.vault.put(session, "photo", "photo-01", b"earlier")

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as disk:
        disk.setattr(step, full)
        with pytest.raises(DiskFull):
            store.vault.put(session, "photo", "photo-01", b"later")
    assert store.vault.open(session, "photo", "photo-01") == b"earlier"
    assert len(store.files()) == 1


def test_one_server_per_scratch_folder(tmp_path: Path) -> None:
    folder = tmp_path / "scratch"
    with scratch.hold(folder), pytest.raises(BadSettings, match="another server is using"):
        scratch.hold(folder)
    scratch.hold(folder).release()


def test_a_file_in_place_of_the_scratch_folder_is_a_clear_mistake(tmp_path: Path) -> None:
    (tmp_path / "scratch").write_text("hello")
    with pytest.raises(BadSettings, match="LIKENESS_SCRATCH"):
        scratch.hold(tmp_path / "scratch")


def test_an_existing_folder_keeps_its_mode(tmp_path: Path) -> None:
    folder = tmp_path / "shared"
    folder.mkdir()
    folder.chmod(0o755)
    scratch.hold(folder).release()
    assert stat.S_IMODE(folder.stat().st_mode) == 0o755
