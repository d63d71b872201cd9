"""The ways of a hand-in attacked: receivers that fail, hang, lie or listen in, and a bad file."""

from __future__ import annotations

import base64
import email
import hmac
import json
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.policy import default
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pyrage
import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, Envelope
from structlog.testing import capture_logs

import settings as configuration
from errors import BadSettings
from privacy.sessions import Session
from tests.support.hand_in import SECRET, into_folder, receiving, status, written
from tests.support.portal import certificate
from tests.support.proxy import free_port
from tests.support.store import Store
from web.hand_in import webhook
from web.hand_in.config import load
from web.hand_in.parcel import Picture
from web.hand_in.service import HandingIn

PICTURES = [Picture("a.png", "image/png", b"\x89PNG a"), Picture("b.png", "image/png", b"b" * 999)]
AGE = "age1ka37pqn93ns49mylzahxwhvgsxx6s64xtd2m9fzx9yqcfx6d954qz4jd2p"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    (tmp_path / "scratch").mkdir()
    return Store(tmp_path / "scratch")


def desk_of(store: Store, file: str) -> HandingIn:
    beside = store.folder.parent
    settings = configuration.load(hand_in=file, scratch=store.folder, receipts=beside / "receipts")
    receiver, _ = load(settings)
    assert receiver is not None
    return HandingIn(receiver, store.sessions, store.clock.now)


def visitor(store: Store) -> Session:
    session, _ = store.sessions.create()
    store.sessions.touch_first_photo(session)
    store.sessions.delivered(session)
    return session


def state(desk: HandingIn, session: Session) -> tuple[str, int]:
    """State and tries of the newest hand-in."""
    newest = desk.all_of(session)[-1]
    return newest.state, newest.tries


# --- webhooks -----------------------------------------------------------------------------------


@pytest.mark.fact(64)
def test_a_webhook_is_signed_and_tried_with_the_same_id_until_it_is_taken(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A proxy of the environment would be asked first, and there is none.
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{free_port()}")
    monkeypatch.setattr(webhook, "PATIENCE_S", 0.3)
    with receiving() as receiver, receiving() as elsewhere:

        def hangs(handler: BaseHTTPRequestHandler) -> None:
            handler.wfile.write(b"HTTP/1.1 200")  # and never another byte
            handler.connection.recv(1)

        def floods(handler: BaseHTTPRequestHandler) -> None:
            handler.send_response(200)
            handler.end_headers()
            try:
                while True:
                    handler.wfile.write(b"x" * 65_536)
            except OSError:
                return  # nobody reads

        def moves(handler: BaseHTTPRequestHandler) -> None:
            status(handler, 307, location=elsewhere.url)

        def fails(handler: BaseHTTPRequestHandler) -> None:
            status(handler, 500)

        hook = {"url": receiver.url, "secret": SECRET}
        desk = desk_of(store, written(tmp_path, webhook=hook, hold_minutes=0))
        session = visitor(store)
        desk.give(session, PICTURES, "")
        reasons = ("answered 500", "answered 307", "no answer within")
        for tries, (answer, reason) in enumerate(zip((fails, moves, hangs), reasons, strict=True)):
            receiver.answer = answer
            with capture_logs() as events:
                assert desk.deliver_due() == 1
            assert reason in events[0]["why"]
            assert state(desk, session) == ("waiting", tries + 1)
            assert desk.all_of(session)[0].due == store.time + 60 * 2**tries
            assert desk.deliver_due() == 0  # not before its time
            store.time += 60 * 2**tries
        receiver.answer = floods
        assert desk.deliver_due() == 1
        assert state(desk, session) == ("delivered", 4)
        assert desk.counts() == {"waiting": 0, "failing": 0, "delivered_today": 1}
        assert elsewhere.got == []
        assert len(receiver.got) == 4
        for headers, body in receiver.got:
            told = json.loads(body)
            assert headers["idempotency-key"] == headers["webhook-id"] == told["id"]
            when = headers["webhook-timestamp"]
            assert abs(int(when) - time.time()) < 60
            key = base64.b64decode(SECRET.removeprefix("whsec_"))
            signed = f"{told['id']}.{when}.".encode() + body
            mine = base64.b64encode(hmac.digest(key, signed, "sha256")).decode()
            assert headers["webhook-signature"] == f"v1,{mine}"
        assert len({body for _, body in receiver.got}) == 1
        assert [(one["file"], base64.b64decode(one["data"])) for one in told["pictures"]] == [
            (picture.file, picture.data) for picture in PICTURES
        ]


@pytest.mark.fact(64)
def test_what_never_arrives_is_tried_after_a_restart_and_ends_with_its_session(
    store: Store, tmp_path: Path
) -> None:
    hook = {"url": f"http://127.0.0.1:{free_port()}/", "secret": SECRET}
    file = written(tmp_path, webhook=hook, hold_minutes=0)
    session = visitor(store)
    desk_of(store, file).give(session, PICTURES, "")
    assert desk_of(store, file).deliver_due() == 1
    again = store.restart(later=60)
    desk = desk_of(again, file)
    assert desk.deliver_due() == 1
    assert state(desk, session) == ("waiting", 2)
    again.time += 24 * 3600  # overdue, and no sweep has come by
    assert desk.deliver_due() == 0
    again.sweeper.sweep()
    assert desk.counts()["waiting"] == 0
    rows = again.database.rows("SELECT event FROM unlogged")
    (handed,) = [event for (text,) in rows for event in (json.loads(text),) if "outcome" in event]
    assert handed["outcome"] == "unconfirmed"
    assert again.files() == []


@pytest.mark.fact(65)
def test_what_waits_is_ciphertext_and_dies_with_another_master_key(
    store: Store, tmp_path: Path
) -> None:
    hook = {"url": "http://localhost:9/", "secret": SECRET}
    file = written(tmp_path, webhook=hook, ask="Your name")
    session = visitor(store)
    desk_of(store, file).give(session, PICTURES, "Canary Okafor")
    on_disk = store.bytes_on_disk()
    for canary in (b"Canary", b"b" * 99, base64.b64encode(PICTURES[1].data)[:60]):
        assert canary not in on_disk
    other = store.restart(later=3600, master_key=type(store.master_key).ram())
    assert desk_of(other, file).deliver_due() == 0
    other.sweeper.sweep()
    assert other.files() == []


# --- mail ---------------------------------------------------------------------------------------


@dataclass
class Mailbox:
    """What a mail server was sent, and by whom. answer: what it says to a mail."""

    got: list[tuple[Envelope, EmailMessage]] = field(default_factory=list)
    logins: list[bytes] = field(default_factory=list)
    answer: str = "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Envelope) -> str:
        message = email.message_from_bytes(envelope.original_content or b"", policy=default)
        assert isinstance(message, EmailMessage)
        self.got.append((envelope, message))
        return self.answer

    def login(self, server: Any, session: Any, envelope: Any, kind: str, data: Any) -> AuthResult:
        self.logins.append(data.password)
        return AuthResult(success=data.password == b"open sesame")


@contextmanager
def mail_server(folder: Path) -> Iterator[tuple[Mailbox, dict[str, Any]]]:
    """A mail server that wants STARTTLS and a password, and the table `[mail]` that fits it."""
    proof = certificate(folder / "mail.pem", "localhost")
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(proof)
    box, port = Mailbox(), free_port()
    controller = Controller(
        box,
        hostname="127.0.0.1",
        port=port,
        tls_context=tls,
        require_starttls=True,
        auth_required=True,
        authenticator=box.login,
    )
    controller.start()
    table = {
        "host": "localhost",
        "port": port,
        "from": "headshots@corp.example",
        "to": "hr@corp.example",
        "user": "headshots",
        "password": "open sesame",
    }
    try:
        yield box, table | {"ca": str(proof)}
    finally:
        controller.stop()


@pytest.mark.fact(65)
def test_a_mail_goes_to_the_one_mailbox_whatever_was_typed(store: Store, tmp_path: Path) -> None:
    with mail_server(tmp_path) as (box, table):
        ours = written(tmp_path, mail=table, ask="Your name", hold_minutes=0)
        desk, session = desk_of(store, ours), visitor(store)
        pictures = [Picture('Zoë "a"; x=y, <b>.png', "image/png", b"png")]
        desk.give(session, pictures, "Ann\r\nBcc: evil@evil.example\r\n\r\n.\r\nQUIT")
        box.answer = "451 try again"
        assert desk.deliver_due() == 1
        assert state(desk, session) == ("waiting", 1)
        store.time += 60
        box.answer = "250 OK"
        assert desk.deliver_due() == 1
        assert state(desk, session) == ("delivered", 2)
        (_, first), (envelope, mail) = box.got
        assert envelope.rcpt_tos == ["hr@corp.example"]
        assert mail["To"] == "hr@corp.example"
        assert mail["Bcc"] is None
        assert "Ann" not in str(mail.items())
        assert mail["Message-ID"] == first["Message-ID"]
        body = mail.get_body()
        assert body is not None
        assert "name: Ann Bcc: evil@evil.example . QUIT" in body.get_content()
        (attached,) = mail.iter_attachments()
        assert attached.get_filename() == pictures[0].file
        assert attached.get_content() == b"png"
        assert set(box.logins) == {b"open sesame"}


@pytest.mark.fact(65)
def test_no_password_and_no_picture_goes_to_a_server_that_cannot_prove_its_name(
    store: Store, tmp_path: Path
) -> None:
    with mail_server(tmp_path) as (box, table):
        del table["ca"]  # signed by nobody whom the system knows
        desk = desk_of(store, written(tmp_path, mail=table, hold_minutes=0))
        session = visitor(store)
        desk.give(session, PICTURES, "")
        assert desk.deliver_due() == 1
        assert state(desk, session) == ("waiting", 1)
        assert (box.got, box.logins) == ([], [])


# --- the folder ---------------------------------------------------------------------------------


@pytest.mark.fact(64)
def test_a_folder_that_is_gone_costs_another_try(store: Store, tmp_path: Path) -> None:
    hr = pyrage.x25519.Identity.generate()
    desk = desk_of(store, into_folder(tmp_path, hr, hold_minutes=0))
    session, box = visitor(store), tmp_path / "box"
    desk.give(session, PICTURES, "")
    box.rename(tmp_path / "away")
    assert desk.deliver_due() == 1
    assert state(desk, session) == ("waiting", 1)
    (tmp_path / "elsewhere").mkdir()
    box.symlink_to(tmp_path / "elsewhere")  # a link in its place is not followed
    store.time += 60
    assert desk.deliver_due() == 1
    assert list((tmp_path / "elsewhere").iterdir()) == []
    box.unlink()
    (tmp_path / "away").rename(box)
    store.time += 120
    desk.deliver_due()
    assert state(desk, session) == ("delivered", 3)
    assert len(list(box.iterdir())) == 1


# --- the file -----------------------------------------------------------------------------------

FOLDER = {"path": "BOX", "recipients": [AGE]}
HOOK = {"url": "https://hr.corp.example/", "secret": SECRET}
MAIL = {"host": "mail.corp.example", "from": "a@corp.example", "to": "b@corp.example"}
DONE = {"url": "https://portal.corp.example/done", "secret": "x" * 32}


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ({}, "exactly one of"),
        ({"folder": FOLDER, "mail": MAIL}, "exactly one of"),
        ({"folder": FOLDER, "colour": "red"}, "'colour'"),
        ({"folder": FOLDER, "to": ""}, "'to'"),
        ({"folder": FOLDER, "ask": {"en": "Name"}}, "missing in the language"),
        ({"folder": FOLDER, "hold_minutes": 1441}, "'hold_minutes'"),
        ({"folder": FOLDER, "hold_minutes": "60"}, "'hold_minutes'"),
        ({"folder": FOLDER | {"path": "/no/such/folder"}}, "no folder"),
        ({"folder": FOLDER | {"path": "SCRATCH"}}, "inside LIKENESS_SCRATCH"),
        ({"folder": FOLDER | {"recipients": []}}, "'recipients'"),
        ({"folder": FOLDER | {"recipients": [AGE[:-1]]}}, "no public key"),
        ({"folder": FOLDER | {"recipients": ["AGE-SECRET-KEY-1X"]}}, "a secret key"),
        ({"webhook": HOOK | {"url": "http://hr.corp.example/"}}, "https://"),
        ({"webhook": HOOK | {"url": "https://me:pw@hr.corp.example/"}}, "no password"),
        ({"webhook": HOOK | {"url": "https://[x/"}}, "must be an address"),
        ({"webhook": HOOK | {"secret": "whsec_c2hvcnQ="}}, "openssl rand"),
        ({"webhook": HOOK | {"ca": "/nowhere.pem"}}, "'ca'"),
        ({"webhook": HOOK | {"sceret": "x"}}, "'sceret'"),
        ({"mail": MAIL | {"tls": "none"}}, "inside the network"),
        ({"mail": MAIL | {"user": "a"}}, "go together"),
        ({"mail": MAIL | {"to": "HR <hr@corp.example>"}}, "must be an address"),
        ({"mail": MAIL | {"port": 0}}, "'port'"),
        ({"done": DONE | {"url": "https://portal.example/?a=b"}}, "no '?'"),
        ({"done": DONE | {"url": "javascript:alert(1)"}}, "must be an address"),
        ({"done": DONE | {"secret": "short"}}, "at least 32"),
    ],
)
def test_a_mistake_stops_the_start_with_one_sentence(
    tmp_path: Path, table: dict[str, Any], words: str
) -> None:
    (tmp_path / "box").mkdir()
    (tmp_path / "scratch").mkdir()
    places = {"BOX": str(tmp_path / "box"), "SCRATCH": str(tmp_path / "scratch")}
    if "folder" in table:
        path = table["folder"]["path"]
        table = table | {"folder": table["folder"] | {"path": places.get(path, path)}}
    settings = configuration.load(
        hand_in=written(tmp_path, **table),
        scratch=tmp_path / "scratch",
        receipts=tmp_path / "receipts",
    )
    with pytest.raises(BadSettings) as problem:
        load(settings)
    assert problem.value.sentence.startswith("LIKENESS_HAND_IN")
    assert words in problem.value.sentence
    assert SECRET not in problem.value.sentence


def test_a_file_that_others_can_read_stops_the_start(tmp_path: Path) -> None:
    file = Path(written(tmp_path, done=DONE))
    assert load(configuration.load(hand_in=str(file)))[1] is not None
    file.chmod(0o640)
    with pytest.raises(BadSettings, match="chmod 600"):
        load(configuration.load(hand_in=str(file)))
    with pytest.raises(BadSettings, match="cannot be read"):
        load(configuration.load(hand_in=str(tmp_path / "none.toml")))
