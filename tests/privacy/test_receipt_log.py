"""The files of the log: begun, continued, rotated, repaired; and who may not open it."""

from __future__ import annotations

import base64
import hashlib
import itertools
import os
import stat
from pathlib import Path

import pytest
import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from errors import BadSettings, TamperedError
from privacy import receipt_log
from privacy.receipt_lines import Head, VerifierKey, hash_of, hour, read, read_checkpoint, write
from privacy.receipt_log import ReceiptLog, files_of
from privacy.verify_log import audit
from tests.support.store import START

EVENT = {
    "event": "opened",
    "id": "0" * 32,
    "receipt": "1" * 64,
    "time": "2027-01-15T08:00Z",
    "erase_by": "2027-01-18T09:00Z",
}


def numbered(number: int) -> dict[str, object]:
    return {**EVENT, "id": f"{number:032x}"}


def test_a_new_log_makes_its_key_readable_by_us_alone(tmp_path: Path) -> None:
    before = os.umask(0)
    log = ReceiptLog(tmp_path / "log", "1.0")
    os.umask(before)
    key = tmp_path / "log" / "signing.key"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert VerifierKey.parse((tmp_path / "log" / "log.pub").read_text()) == log.key
    log.append([EVENT])
    log.checkpoint("2027-01-15")
    secret = key.read_bytes()
    for file in (tmp_path / "log").iterdir():
        if file != key:
            assert secret not in file.read_bytes()
            assert secret.hex().encode() not in file.read_bytes()
            assert base64.b64encode(secret) not in file.read_bytes()


def test_the_log_goes_on_after_a_restart(tmp_path: Path) -> None:
    for number in range(3):
        log = ReceiptLog(tmp_path, "1.0")
        log.append([numbered(number)])
        log.close()
    data = (tmp_path / "log-000000000.jsonl").read_bytes()
    assert data.count(b"\n") == 4
    assert audit(data, log.key, START).problems == []


def test_files_follow_each_other_in_one_chain(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(receipt_log, "FILE_BYTES", 1000)
    log = ReceiptLog(tmp_path, "1.0")
    for number in range(7):
        log.append([numbered(number)])
        if number == 4:
            log.close()
            log = ReceiptLog(tmp_path, "1.0")
    files = files_of(tmp_path)
    assert len(files) >= 3
    for earlier, later in itertools.pairwise(files):
        first = read(later.read_bytes().splitlines()[0], log.key)
        assert first["event"] == "log"
        assert first["prev"] == hash_of(earlier.read_bytes().splitlines()[-1])
        assert later.name == f"log-{first['seq']:09d}.jsonl"
    found = audit(b"".join(log.chunks()), log.key, START)
    assert (found.problems, len(found.open)) == ([], 7)
    assert len(log.mentions("1" * 64)) == 7


@pytest.mark.parametrize("cut", [1, 50, 300])
def test_a_torn_line_is_cut_counted_and_said(tmp_path: Path, cut: int) -> None:
    log = ReceiptLog(tmp_path, "1.0")
    log.append([numbered(1)])
    log.append([numbered(2)])
    log.close()
    file = tmp_path / "log-000000000.jsonl"
    whole = file.read_bytes()
    length = len(whole.splitlines()[-1]) + 1
    file.write_bytes(whole[:-cut])
    with structlog.testing.capture_logs() as said:
        log = ReceiptLog(tmp_path, "1.0")
    assert said == [{"event": "receipt_log_cut", "bytes": length - cut, "log_level": "warning"}]
    log.append([numbered(2)])
    assert [read(raw, log.key)["event"] for raw in log.lines()] == [
        *("log", "opened", "repaired", "opened")
    ]
    found = audit(b"".join(log.chunks()), log.key, START)
    assert found.problems == []
    assert f"{length - cut} bytes" in found.notes[0]


def test_a_log_torn_in_its_very_first_line_begins_again(tmp_path: Path) -> None:
    ReceiptLog(tmp_path, "1.0").close()
    (tmp_path / "log-000000000.jsonl").write_bytes(b'{"v":1,"se')
    log = ReceiptLog(tmp_path, "1.0")
    log.append([EVENT])
    assert audit(b"".join(log.chunks()), log.key, START).problems == []


def test_a_last_line_that_is_not_ours_stops_the_start(tmp_path: Path) -> None:
    log = ReceiptLog(tmp_path, "1.0")
    log.append([EVENT])
    log.close()
    file = tmp_path / "log-000000000.jsonl"
    file.write_bytes(file.read_bytes().replace(b"T09", b"T10"))
    with pytest.raises(BadSettings, match=r"LIKENESS_RECEIPTS: the last line .* was changed"):
        ReceiptLog(tmp_path, "1.0")


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o666])
def test_a_signing_key_that_others_can_read_stops_the_start(tmp_path: Path, mode: int) -> None:
    ReceiptLog(tmp_path, "1.0").close()
    (tmp_path / "signing.key").chmod(mode)
    with pytest.raises(BadSettings, match="chmod 600"):
        ReceiptLog(tmp_path, "1.0")


def test_a_damaged_or_linked_key_stops_the_start(tmp_path: Path) -> None:
    ReceiptLog(tmp_path / "a", "1.0").close()
    (tmp_path / "a" / "signing.key").write_bytes(b"short")
    with pytest.raises(BadSettings, match="damaged"):
        ReceiptLog(tmp_path / "a", "1.0")
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "signing.key").symlink_to(tmp_path / "a" / "signing.key")
    with pytest.raises(BadSettings, match="signing key"):
        ReceiptLog(tmp_path / "b", "1.0")


def test_two_servers_cannot_write_one_log(tmp_path: Path) -> None:
    log = ReceiptLog(tmp_path, "1.0")
    with pytest.raises(BadSettings, match="LIKENESS_RECEIPTS: another server"):
        ReceiptLog(tmp_path, "1.0")
    log.close()
    ReceiptLog(tmp_path, "1.0").close()


def test_no_line_says_more_than_its_event_has_room_for(tmp_path: Path) -> None:
    log = ReceiptLog(tmp_path, "1.0")
    for event in (
        EVENT | {"name": "Ann"},
        EVENT | {"id": "Ann"},
        EVENT | {"time": "2027-01-15T08:13Z"},
        {"event": "log"},
    ):
        with pytest.raises((ValueError, KeyError)):
            log.append([event])
    assert (log.size, list(log.lines())) == (0, [])


def test_a_checkpoint_a_day_is_a_signed_note_of_the_head(tmp_path: Path) -> None:
    log = ReceiptLog(tmp_path, "1.0")
    log.checkpoint("2027-01-15")
    assert log.latest_checkpoint() is None  # nothing to sign yet
    log.append([EVENT])
    log.checkpoint("2027-01-15")
    first = log.latest_checkpoint()
    log.append([numbered(2)])
    log.checkpoint("2027-01-15")
    assert log.latest_checkpoint() == first
    log.checkpoint("2027-01-16")
    head, day = read_checkpoint(log.latest_checkpoint() or "", log.key)
    assert (head, day) == (Head(3, hash_of(list(log.lines())[-1])), "2027-01-16")


def test_a_checkpoint_follows_the_published_format(tmp_path: Path) -> None:
    """C2SP signed-note, recomputed by hand: key id, text that is signed, base64."""
    log = ReceiptLog(tmp_path, "1.0")
    log.append([EVENT])
    log.checkpoint("2027-01-15")
    note, signature = log.latest_checkpoint().split("\n\n— ")
    name, encoded = signature.removesuffix("\n").split(" ")
    raw = base64.b64decode(encoded)
    kind_and_key = b"\x01" + log.key.public
    key_id = hashlib.sha256(name.encode() + b"\n" + kind_and_key).digest()[:4]
    assert raw[:4] == key_id
    assert len(raw) == 4 + 64
    assert log.key.signed(raw[4:], note.encode() + b"\n")
    assert note.split("\n")[:2] == [name, "2"]
    assert log.key.text == f"{name}+{key_id.hex()}+{base64.b64encode(kind_and_key).decode()}"


def test_hours_are_rounded_and_deadlines_upwards() -> None:
    assert hour(START) == "2027-01-15T08:00Z"
    assert hour(START + 3599) == "2027-01-15T08:00Z"
    assert hour(START, up=True) == "2027-01-15T08:00Z"
    assert hour(START + 1, up=True) == "2027-01-15T09:00Z"


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    log = ReceiptLog(tmp_path, "1.0")
    key = Ed25519PrivateKey.from_private_bytes((tmp_path / "signing.key").read_bytes())
    raw = write(EVENT, Head(), "1.0", key)
    assert read(raw, log.key).items() >= EVENT.items()


def test_lines_are_found_by_an_index_and_nothing_else_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(receipt_log, "FILE_BYTES", 2000)
    log = ReceiptLog(tmp_path, "1.0")
    before, after = (hash_of(word) for word in (b"before", b"after"))
    ids = {before: "b" * 32, after: "c" * 32}
    for number in range(20):
        log.append([numbered(number)])
        if number == 7:
            log.append([EVENT | {"receipt": before, "id": ids[before]}])
    assert len(log.mentions(before)) == 1  # from here on there is an index
    log.append([EVENT | {"receipt": after, "id": ids[after]}])
    with monkeypatch.context() as reading:
        reading.setattr(Path, "read_bytes", lambda path: pytest.fail(f"{path} was read through"))
        for mark, name in ids.items():
            assert [line["receipt"] for line in log.mentions(mark)] == [mark]
            assert [line["id"] for line in log.mentions(name)] == [name]
        assert log.mentions("d" * 64) == []
        assert log.mentions(before[:16] + "0" * 48) == []  # the same mark, another hash
    log.close()


def test_a_changed_line_is_found_by_the_index_and_refused(tmp_path: Path) -> None:
    log = ReceiptLog(tmp_path, "1.0")
    log.append([EVENT])
    assert len(log.mentions(EVENT["receipt"])) == 1
    file = tmp_path / "log-000000000.jsonl"
    file.write_bytes(file.read_bytes().replace(b"T09", b"T10"))
    with pytest.raises(TamperedError):
        log.mentions(EVENT["receipt"])
