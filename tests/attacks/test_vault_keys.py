"""Facts 7 to 10: what is on the disk opens nothing, and a badly kept key file stops the start."""

from __future__ import annotations

import os
import random
import secrets
import tempfile
from pathlib import Path

import pytest
import structlog

from errors import BadSettings, UnknownSession
from privacy.keys import MasterKey, Ticket
from tests.support.store import HOUR, Store

KINDS = {"photo": "photo-01", "adapter": "adapter", "portrait": "portrait-001", "face": "photo-01"}


@pytest.mark.fact(7)
def test_canaries_never_appear_on_the_disk_or_in_the_log(tmp_path: Path, monkeypatch) -> None:
    for name in ("scratch", "temp"):
        (tmp_path / name).mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temp"))
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temp"))
    canaries = {kind: secrets.token_hex(16).encode() for kind in KINDS}
    with structlog.testing.capture_logs() as logs:
        store = Store(tmp_path / "scratch")
        session, ticket = store.sessions.create()
        for kind, name in KINDS.items():
            store.vault.put(session, kind, name, canaries[kind] * 40_000)
        hidden = [*canaries.values(), ticket.secret, ticket.text()[-43:].encode()]
        hidden += [session.data_key.reveal(), store.master_key.reveal()]
        alive = store.bytes_on_disk()
        store.sessions.erase(session.id, "user")
    erased = store.bytes_on_disk()
    assert session.id.encode() in alive  # the search does find what is there
    for canary in hidden:
        assert canary not in alive
        assert canary not in erased
        assert canary not in repr(logs).encode()
    assert list((tmp_path / "temp").iterdir()) == []


@pytest.mark.fact(7)
def test_nothing_of_erased_sessions_stays_between_those_that_live(tmp_path: Path, monkeypatch):
    """SQLite moves rows when pages fill up; `secure_delete` alone leaves the copies it made."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)
    store, dice = Store(tmp_path), random.Random(7)
    store.database.rows("PRAGMA synchronous = OFF")
    alive, gone = [], []
    for _ in range(250):
        session, _ = store.sessions.create()
        for n in range(dice.randrange(8)):
            store.vault.put(session, "photo", f"photo-{n:02}", b"x")
        alive.append(session.id)
        if dice.random() < 0.6:
            doomed = alive.pop(dice.randrange(len(alive)))
            gone += [doomed.encode(), *_stored(store, doomed)]
            store.sessions.erase_all([(doomed, "user")])
    without_scrub = store.bytes_on_disk()
    store.sessions.scrub()
    after = store.bytes_on_disk()
    assert not [trace for trace in gone if trace in after]
    assert all(session_id.encode() in after for session_id in alive)
    assert len(after) <= len(without_scrub)


def _stored(store: Store, session_id: str) -> list[bytes]:
    """The wrapped key, the verifier and the file ids of a session, as the database keeps them."""
    (secrets_,) = store.database.rows(
        "SELECT wrapped_key, verifier FROM sessions WHERE id = ?", (session_id,)
    )
    files = store.database.rows("SELECT file_id FROM files WHERE session_id = ?", (session_id,))
    return [*secrets_, *(file_id.encode() for (file_id,) in files)]


@pytest.mark.fact(7)
def test_after_the_last_hour_no_byte_of_the_session_is_left(tmp_path: Path) -> None:
    store = Store(tmp_path)
    session, ticket = store.sessions.create()
    store.vault.put(session, "portrait", "portrait-001", b"face")
    traces = [session.id.encode(), *_stored(store, session.id)]
    store.sessions.delivered(session)
    store.time += 24 * HOUR - 60
    store.sweeper.sweep()
    assert store.vault.open(store.sessions.open(ticket.text()), "portrait", "portrait-001")
    store.time += 120
    store.sweeper.sweep()
    left = store.bytes_on_disk()
    assert not [trace for trace in traces if trace in left]
    assert store.files() == []


@pytest.mark.fact(8)
def test_disk_and_master_key_without_the_secret_open_nothing(tmp_path: Path) -> None:
    store = Store(tmp_path)
    session, ticket = store.sessions.create()
    store.vault.put(session, "photo", "photo-01", b"face")
    thief = store.restart()  # has the folder and M
    for guess in (bytes(32), *(os.urandom(32) for _ in range(50))):
        with pytest.raises(UnknownSession):
            thief.sessions.open(Ticket(session.id, guess).text())
    # Nor does it help to plant a verifier of one's own: the key itself is bound to S.
    forged = Ticket(session.id, os.urandom(32))
    thief.database.change("UPDATE sessions SET verifier = ?", (forged.verifier(),))
    with pytest.raises(UnknownSession):
        thief.sessions.open(forged.text())
    assert ticket.secret not in store.bytes_on_disk()


@pytest.mark.fact(9)
def test_disk_and_secret_without_the_master_key_open_nothing(tmp_path: Path) -> None:
    store = Store(tmp_path)
    session, ticket = store.sessions.create()
    store.vault.put(session, "photo", "photo-01", b"face")
    thief = store.restart(master_key=MasterKey.ram())
    with pytest.raises(UnknownSession):
        thief.sessions.open(ticket.text())
    # Nor does it help to claim that the session was made under the thief's key.
    thief.database.change("UPDATE sessions SET master = ?", (thief.master_key.fingerprint,))
    with pytest.raises(UnknownSession):
        thief.sessions.open(ticket.text())


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    path = tmp_path / "keys" / "master"
    path.parent.mkdir()
    path.write_bytes(os.urandom(32))
    path.chmod(0o400)
    return path


@pytest.mark.fact(10)
@pytest.mark.parametrize("mode", [0o400, 0o600])
def test_a_well_kept_key_file_is_read(tmp_path: Path, key_file: Path, mode: int) -> None:
    key_file.chmod(mode)
    key = MasterKey.from_file(key_file, tmp_path / "scratch")
    assert key.reveal() == key_file.read_bytes()


def _refused(path: Path, scratch: Path, reason: str) -> None:
    with pytest.raises(BadSettings, match=reason) as caught:
        MasterKey.from_file(path, scratch)
    sentence = caught.value.sentence
    assert sentence.startswith("LIKENESS_MASTER_KEY: ")
    assert sentence.count("\n") == 0
    assert str(path) in sentence


@pytest.mark.fact(10)
@pytest.mark.parametrize("mode", [0o440, 0o404, 0o420, 0o644, 0o410])
def test_a_key_file_that_others_can_read_is_refused(tmp_path, key_file, mode: int) -> None:
    key_file.chmod(mode)
    _refused(key_file, tmp_path / "scratch", "read by others")


@pytest.mark.fact(10)
@pytest.mark.parametrize("length", [0, 1, 31, 33, 64, 65])
def test_a_key_file_of_another_length_is_refused(tmp_path, key_file, length: int) -> None:
    key_file.chmod(0o600)
    key_file.write_bytes(b"k" * length)
    _refused(key_file, tmp_path / "scratch", f"has {length} bytes")


@pytest.mark.fact(10)
def test_a_missing_key_file_a_folder_or_a_pipe_is_refused(tmp_path: Path, key_file: Path) -> None:
    scratch = tmp_path / "scratch"
    _refused(tmp_path / "nowhere", scratch, "cannot be read")
    _refused(key_file.parent, scratch, "not a plain file")
    os.mkfifo(tmp_path / "pipe", 0o400)
    _refused(tmp_path / "pipe", scratch, "not a plain file")
    (tmp_path / "loop").symlink_to("loop")
    _refused(tmp_path / "loop", scratch, "cannot be read")


@pytest.mark.fact(10)
def test_a_key_file_inside_the_volume_is_refused(tmp_path: Path, key_file: Path) -> None:
    _refused(key_file, key_file.parent, "inside the scratch folder")
    _refused(key_file, tmp_path, "inside the scratch folder")


@pytest.mark.fact(10)
def test_a_link_is_judged_by_both_its_ends(tmp_path: Path, key_file: Path) -> None:
    scratch, outside = tmp_path / "scratch", tmp_path / "link"
    scratch.mkdir()
    outside.symlink_to(key_file)
    assert MasterKey.from_file(outside, scratch).reveal() == key_file.read_bytes()
    (scratch / "link").symlink_to(key_file)
    _refused(scratch / "link", scratch, "inside the scratch folder")
    outside.unlink()
    outside.symlink_to(key_file)
    _refused(outside, key_file.parent, "inside the scratch folder")
    (tmp_path / "alias").symlink_to(key_file.parent, target_is_directory=True)
    _refused(tmp_path / "alias" / "master", key_file.parent, "inside the scratch folder")
    key_file.chmod(0o444)
    _refused(outside, scratch, "read by others")


@pytest.mark.fact(10)
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file to somebody else")
def test_a_key_file_of_another_user_is_refused(tmp_path: Path, key_file: Path) -> None:
    os.chown(key_file, 65534, 65534)
    _refused(key_file, tmp_path / "scratch", "belongs to another user")
