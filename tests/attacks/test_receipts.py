"""The log of receipts under attack: by whoever may write to its folder, by kills, by a full disk,
and by whoever would like to learn from it who was here.
"""

from __future__ import annotations

import json
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
from collections import Counter
from contextlib import closing
from pathlib import Path

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from structlog.testing import capture_logs

import settings as configuration
from privacy.keys import Ticket
from privacy.receipt_lines import Head, VerifierKey, hash_of, read, write, write_checkpoint
from privacy.verify_log import main as verify
from tests.support.hand import Hand
from tests.support.logged import Logged, check, joined
from tests.support.store import HOUR, START
from tests.support.volume import fill
from tests.support.web import Place, session_of, upload, visitor

LATER = START + 200 * HOUR


@pytest.fixture
def logged(tmp_path: Path) -> Logged:
    """Three sessions, erased by their person, expired and undelivered: seven lines."""
    store = Logged(tmp_path)
    by_hand, expiring = store.opened(), store.opened()
    store.opened()
    store.sessions.erase(by_hand.session_id, "user")
    store.sessions.delivered(store.sessions.open(expiring.text()))
    store.sweeper.sweep()
    store.time += 48 * HOUR
    store.sweeper.sweep()
    return store


@pytest.fixture
def lines(logged: Logged) -> list[bytes]:
    return list(logged.log.lines())


# --- the log is rewritten ---------------------------------------------------------------------


def test_an_honest_log_has_nothing_wrong(logged: Logged, lines: list[bytes]) -> None:
    assert len(lines) == 7
    assert check(lines, logged.log.key, LATER) == []


@pytest.mark.parametrize("place", range(7))
@pytest.mark.parametrize(
    "edit",
    [
        (b'"seq":', b'"seq":1'),
        (b'"app":"0.0.0"', b'"app":"0.0.1"'),
        (b'"sig":"', b'"sig":"0'),
        (b'":', b'": '),
        (b"{", b'{"name":"Ann",'),
    ],
    ids=["number", "version", "signature", "spelling", "one more field"],
)
def test_an_edited_line_is_found(
    logged: Logged, lines: list[bytes], place: int, edit: tuple[bytes, bytes]
) -> None:
    lines[place] = lines[place].replace(*edit, 1)
    assert any(f"Line {place} " in finding for finding in check(lines, logged.log.key))


def test_every_flipped_bit_of_a_line_is_found(logged: Logged, lines: list[bytes]) -> None:
    whole = lines[4]
    for bit in range(0, len(whole) * 8, 7):
        changed = bytearray(whole)
        changed[bit // 8] ^= 1 << bit % 8
        assert check([*lines[:4], bytes(changed), *lines[5:]], logged.log.key), bit


@pytest.mark.parametrize("place", range(6))
def test_a_dropped_line_is_found(logged: Logged, lines: list[bytes], place: int) -> None:
    del lines[place]
    found = check(lines, logged.log.key)
    assert f"Before line {place}, 1 line(s) are missing." in found
    assert any("does not follow" in finding for finding in found)


@pytest.mark.parametrize("place", range(6))
def test_reordered_lines_are_found(logged: Logged, lines: list[bytes], place: int) -> None:
    lines[place], lines[place + 1] = lines[place + 1], lines[place]
    assert any("does not follow" in finding for finding in check(lines, logged.log.key))


def test_a_line_told_twice_is_found(logged: Logged, lines: list[bytes]) -> None:
    assert check([*lines, lines[-1]], logged.log.key)


def resigned(lines: list[bytes], key: Ed25519PrivateKey, drop: int = -1) -> list[bytes]:
    """The whole log again with another key, or without a line, every hash and number right."""
    head, again = Head(), []
    for number, raw in enumerate(lines):
        if number != drop:
            line = json.loads(raw)
            event = {k: v for k, v in line.items() if k not in ("v", "seq", "prev", "app", "sig")}
            if event["event"] == "log":
                event["key"] = VerifierKey.of(key).public.hex()
            again.append(write(event, head, line["app"], key))
            head = head.after(again[-1])
    return again


def test_a_log_signed_again_with_another_key_is_found(logged: Logged, lines: list[bytes]) -> None:
    forged = resigned(lines, Ed25519PrivateKey.generate())
    found = check(forged, logged.log.key)
    assert len([finding for finding in found if "signed with another key" in finding]) == 7


def test_whoever_holds_the_key_is_caught_by_a_checkpoint_or_a_receipt_kept_elsewhere(
    logged: Logged, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The chain alone cannot show it: that is what checkpoints and receipts are for."""
    ticket = logged.opened()
    logged.sessions.erase(ticket.session_id, "user")
    logged.log.checkpoint("2027-02-01")
    lines = list(logged.log.lines())
    kept = tmp_path / "kept"
    kept.write_text(logged.log.latest_checkpoint() or "")
    receipt = tmp_path / "receipt.json"
    line = lines[-1].decode()
    receipt.write_text(json.dumps({"r": ticket.receipt().hex(), "line": line}))
    forged = tmp_path / "forged.jsonl"
    # The undelivered session never was: its two lines are gone, the rest is signed anew.
    honest, log_id = resigned(lines, logged.signing_key()), json.loads(lines[3])["id"].encode()
    assert honest == lines
    forged.write_bytes(
        joined(resigned([raw for raw in lines if log_id not in raw], logged.signing_key()))
    )
    common = [str(forged), "--key", logged.log.key.text, "--now", "2027-03-01"]
    assert verify(common) == 0
    assert verify([*common, "--checkpoint", str(kept)]) == 1
    assert "its end was cut off" in capsys.readouterr().out
    assert verify([*common, "--receipt", str(receipt)]) == 1
    assert "line of the receipt is not in the log" in capsys.readouterr().out
    assert verify([str(logged.receipts_folder), *common[1:], "--receipt", str(receipt)]) == 0


def test_a_truncated_log_is_found_by_a_checkpoint_or_by_who_is_missing(
    logged: Logged, lines: list[bytes], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kept, cut = tmp_path / "kept", tmp_path / "cut.jsonl"
    logged.log.checkpoint("2027-02-01")
    kept.write_text(logged.log.latest_checkpoint() or "")
    cut.write_bytes(joined(lines[:-1]))
    options = [str(cut), "--key", logged.log.key.text]
    assert verify([*options, "--now", "2027-03-01"]) == 1
    assert "no line says that it was" in capsys.readouterr().out
    early = ["--now", "2027-01-15T08:30"]
    assert verify([*options, *early]) == 0
    assert verify([*options, *early, "--live", "0"]) == 1
    assert verify([*options, *early, "--checkpoint", str(kept)]) == 1
    assert "7 lines, the log has 6" in capsys.readouterr().out
    cut.write_bytes(joined(lines)[:-20])
    assert verify([*options, *early]) == 1
    assert "ends in the middle of a line" in capsys.readouterr().out


def test_a_forged_checkpoint_is_refused(
    logged: Logged, lines: list[bytes], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One that would hide a cut log: another size, another key, another note around its hash."""
    logged.log.checkpoint("2027-02-01")
    honest = logged.log.latest_checkpoint()
    shorter = Head(6, hash_of(lines[5]))
    forgeries = [
        honest.replace("\n7\n", "\n6\n"),
        write_checkpoint(shorter, "2027-02-01", Ed25519PrivateKey.generate()),
        honest.replace("\n\n", "\nmore\n\n"),
        honest.replace("2027-02-01", "2027-02-02"),
        honest[:-10],
        "",
    ]
    for number, forged in enumerate(forgeries):
        file = tmp_path / str(number)
        file.write_text(forged)
        options = [str(logged.receipts_folder), "--key", logged.log.key.text]
        assert verify([*options, "--now", "2027-03-01", "--checkpoint", str(file)]) == 1, number
        assert "The checkpoint " in capsys.readouterr().out


def test_a_receipt_of_somebody_else_is_refused(
    logged: Logged, lines: list[bytes], tmp_path: Path
) -> None:
    file = tmp_path / "receipt.json"
    options = [str(logged.receipts_folder), "--key", logged.log.key.text, "--now", "2027-03-01"]
    for receipt in (
        {"r": Ticket.random().receipt().hex(), "line": lines[-1].decode()},
        {"r": "zz", "line": lines[-1].decode()},
        {"r": 7},
        [],
    ):
        file.write_text(json.dumps(receipt))
        assert verify([*options, "--receipt", str(file)]) == 1


def test_an_auditor_needs_neither_server_nor_secret(logged: Logged) -> None:
    """The folder, the public key, a process of its own: not even the database is there."""
    folder, scratch = logged.receipts_folder, logged.folder
    logged.close()
    shutil.rmtree(scratch)
    (folder / "signing.key").unlink()
    ran = subprocess.run(
        [
            *(sys.executable, "-m", "privacy.verify_log", str(folder)),
            *("--key", str(folder / "log.pub"), "--live", "0"),
        ],
        cwd=configuration.ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.strip().endswith("7 lines, 3 session(s) erased, 0 open: all is well.")


@pytest.mark.parametrize(("log", "key"), [("nowhere", None), (".", None), (None, "no key")])
def test_a_mistake_of_the_auditor_is_a_sentence(
    logged: Logged, capsys: pytest.CaptureFixture[str], log: str | None, key: str | None
) -> None:
    target = str(logged.top / log) if log else str(logged.receipts_folder)
    assert verify([target, "--key", key or logged.log.key.text]) == 1
    said = capsys.readouterr().out.strip()
    assert len(said.splitlines()) == 1
    assert said.endswith(".")


# --- crashes and full disks -------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.fact(12)
@pytest.mark.parametrize("action", ["erase", "sweep"])
def test_killed_at_any_step_of_an_erasure_there_is_one_receipt(tmp_path: Path, action: str) -> None:
    (tmp_path / "template").mkdir()
    template = Logged(tmp_path / "template")
    ticket = template.opened()
    template.close()
    steps = range(1, 54)
    orders = []
    for step in steps:
        folder = tmp_path / str(step)
        shutil.copytree(tmp_path / "template", folder)
        order = {"folder": str(folder), "ticket": ticket.text(), "action": action, "step": step}
        orders.append(json.dumps(order))
    ran = subprocess.run(
        [sys.executable, "-m", "tests.support.receipt_victim"],
        cwd=configuration.ROOT,
        input="\n".join(orders) + "\n",
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    codes = [int(code) for code in ran.stdout.split()[1::2]]
    assert len(codes) == len(steps)
    end = codes.index(0)  # the first kill that would have come after the end
    assert codes == [-signal.SIGKILL] * end + [0] * (len(codes) - end)
    said: Counter[str] = Counter()
    for step in steps[: end + 1]:
        before = (tmp_path / str(step) / "receipts" / "log-000000000.jsonl").read_bytes()
        store = Logged(tmp_path / str(step), time=START + 1e9 * (action == "sweep"))
        gone = not store.sessions.alive(ticket.session_id)
        assert store.events().count("erased") == gone
        assert store.events().count("opened") == 1
        assert (store.waiting(), store.audit().problems) == (0, [])
        assert ticket.session_id.encode() not in store.bytes_on_disk() or not gone
        told = before.count(b'"erased"')
        said["before the kill" if told else "at the next start" if gone else "never"] += 1
        said["torn"] += not before.endswith(b"\n")
        store.close()
    assert said["before the kill"] > 2
    assert said["at the next start"] > 5
    assert said["torn"] >= 1


@pytest.mark.fact(28)
def test_a_log_on_a_full_disk_stops_no_erasure(
    small_volume: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    top = tmp_path_factory.mktemp("top")
    (top / "receipts").symlink_to(small_volume / "receipts", target_is_directory=True)
    (small_volume / "receipts").mkdir()
    store = Logged(top)
    tickets = [store.opened() for _ in range(12)]  # more lines than one block of the disk holds
    fill(small_volume)
    for ticket in tickets:
        assert store.sessions.erase(ticket.session_id, "user")
    assert (store.files(), store.rows()) == ([], 0)
    # What still fitted into the last block of the file is whole; the rest waits.
    assert store.events().count("erased") + store.waiting() == 12
    assert store.waiting() > 0
    assert store.audit().problems == []
    (small_volume / "ballast").unlink()
    store.sweeper.sweep()
    assert (store.events().count("erased"), store.waiting()) == (12, 0)
    assert store.audit().problems == []


@pytest.mark.fact(19)
def test_of_many_erasures_at_once_one_line_comes(tmp_path: Path) -> None:
    store = Logged(tmp_path)
    ticket = store.opened()
    threads = [
        threading.Thread(target=store.sessions.erase, args=(ticket.session_id, "user"))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    store.sweeper.sweep()
    assert store.events() == ["log", "opened", "erased"]


@pytest.mark.fact(17)
def test_a_session_that_outlives_its_deadline_is_found(logged: Logged) -> None:
    logged.opened()
    assert logged.audit().problems == []
    assert logged.audit(later=72 * HOUR).problems == []
    (problem,) = logged.audit(later=74 * HOUR).problems
    assert "had to be erased" in problem
    later = logged.restart(later=100 * HOUR)
    found = later.audit()
    assert found.problems == []
    assert any("hours late" in note for note in found.notes)


# --- who was here? ----------------------------------------------------------------------------


@pytest.mark.fact(7)
def test_the_log_holds_nothing_of_the_session(
    place: Place, ann: httpx.Client, selfie_jpegs: list[bytes]
) -> None:
    ticket = ann.cookies["likeness"]
    session = session_of(place, ann)
    upload(ann, selfie_jpegs[0], name="CANARY-ann-smith.jpg")
    place.job_queue.deliver(session, 2, "old-money")
    parsed = Ticket.parse(ticket)
    with closing(sqlite3.connect(place.services.settings.scratch / "likeness.db")) as database:
        (row,) = database.execute(
            "SELECT verifier, wrapped_key, created FROM sessions WHERE id = ?", (session.id,)
        )
    ann.post("/session/delete")
    folder = place.services.settings.receipts
    data = b"".join(f.read_bytes() for f in folder.iterdir() if f.name != "signing.key")
    assert data.count(b'"erased"') >= 1
    for canary in (
        *(ticket, session.id, "CANARY", "smith", "old-money", "127.0.0.1", str(row[2])),
        *(ticket.split(".")[1], parsed.secret.hex(), parsed.receipt().hex()),
        *(row[0].hex(), row[1].hex(), session.data_key.reveal().hex()),
    ):
        assert canary.encode() not in data


@pytest.mark.fact(21)
def test_nobody_learns_whether_a_session_existed(
    place: Place, ann: httpx.Client, bob: httpx.Client, stranger: httpx.Client
) -> None:
    """Neither from its id, nor from the public hash, nor from the id in the log."""
    ids = [ann.cookies["likeness"].split(".")[0], bob.cookies["likeness"].split(".")[0]]
    for client in (ann, bob):
        place.services.sessions.touch_first_photo(session_of(place, client))
    ann.post("/session/delete")
    lines = [json.loads(raw) for raw in place.services.sessions.receipts.log.lines()]
    line = [line for line in lines if line["event"] == "opened"][-1]
    secret = Ticket.random().text().split(".")[1]
    never = Ticket.random().session_id
    asked = [*ids, never, *(f"{name}.{secret}" for name in (*ids, never))]
    asked += [line["receipt"], line["id"], "", "x", "{}", '{"r": 7}', '{"r": "' + "0" * 64 + '"}']
    asked += ["[" * 5000, "é" * 64, "0" * 63, "\x00"]
    pages = {(a.status_code, a.text) for a in (ask(stranger, text) for text in asked)}
    assert len(pages) == 1
    ((status, page),) = pages
    assert status == 404
    assert "No line in the log belongs to that." in page


def ask(client: httpx.Client, text: str) -> httpx.Response:
    return client.post("/receipt", data={"receipt": text})


@pytest.mark.fact(21)
def test_r_opens_nothing(place: Place, ann: httpx.Client, stranger: httpx.Client) -> None:
    parsed = Ticket.parse(ann.cookies["likeness"])
    r = Ticket(parsed.session_id, parsed.receipt()).text()
    stranger.cookies.set("likeness", r)
    assert stranger.get("/status").status_code == 404
    assert ann.get("/status").status_code == 200


def test_r_is_in_no_log_output_and_in_no_address(
    place: Place, selfie_jpegs: list[bytes], capfd: pytest.CaptureFixture[str]
) -> None:
    with capture_logs() as events:
        client = visitor(place)
        r = Ticket.parse(client.cookies["likeness"]).receipt().hex()
        upload(client, selfie_jpegs[0])
        answers = [client.post("/session/delete"), client.get("/goodbye")]
        answers += [
            ask(client, r),
            client.post("/receipt/likeness-receipt.json", data={"receipt": r}),
        ]
        client.close()
    assert [answer.status_code for answer in answers] == [200] * 4
    assert r in answers[1].text
    for answer in answers:
        assert r not in str(answer.url)
        assert r not in answer.headers.get("location", "")
    assert r not in repr(events)
    assert r not in "".join(capfd.readouterr())
    # A link with r in its query does nothing, so nobody is tempted to make one.
    assert r not in httpx.get(f"{place.url}/receipt", params={"receipt": r}).text


def test_a_foreign_page_cannot_look_anything_up(
    place: Place, ann: httpx.Client, clock: Hand
) -> None:
    for address in ("/receipt", "/receipt/likeness-receipt.json"):
        headers = {"origin": "https://evil.example"}
        assert ann.post(address, data={"own": "yes"}, headers=headers).status_code == 403


def test_a_huge_form_is_the_same_sentence(place: Place, stranger: httpx.Client) -> None:
    for huge in (
        ask(stranger, "0" * 5_000_000),
        stranger.post("/receipt", files={"file": ("a.json", b"{" * 2_000_000)}),
    ):
        assert huge.status_code == 413  # unread: not even its beginning is looked at
    answers = [
        ask(stranger, "0" * 10_000),
        stranger.post("/receipt", files={"file": ("a.json", b"{" * 10_000)}),
        stranger.post(
            "/receipt", content=b"x", headers={"content-type": "multipart/form-data; boundary=y"}
        ),
        stranger.post("/receipt", files=[("file", ("a", b"{}"))] * 5),
    ]
    for answer in answers:
        assert answer.status_code == 404
        assert "No line in the log belongs to that." in answer.text


def test_the_signing_key_is_not_served(place: Place, stranger: httpx.Client) -> None:
    key = (place.services.settings.receipts / "signing.key").read_bytes()
    for address in (
        "/receipts/signing.key",
        "/receipts/../signing.key",
        "/receipts/log/signing.key",
    ):
        assert stranger.get(address).status_code == 404
    for address in ("/receipts/log", "/receipts/key", "/receipts/checkpoint", "/privacy"):
        assert key not in stranger.get(address).content
        assert key.hex() not in stranger.get(address).text


def test_what_the_server_serves_an_auditor_can_check(
    place: Place, ann: httpx.Client, tmp_path: Path
) -> None:
    place.services.sessions.touch_first_photo(session_of(place, ann))
    log, key = tmp_path / "log.jsonl", ann.get("/receipts/key").text
    log.write_bytes(ann.get("/receipts/log").content)
    assert key.strip() in ann.get("/privacy").text
    assert read(log.read_bytes().splitlines()[-1], VerifierKey.parse(key))["event"] == "opened"
    assert verify([str(log), "--key", key, "--now", "2027-01-15T08:30"]) == 0
