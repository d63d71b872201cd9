"""Who holds what, and that it does not slip out by a repr, a pickle or a log line."""

from __future__ import annotations

import base64
import copy
import dataclasses
import json
import pickle
import pprint
import reprlib
import traceback
from pathlib import Path

import pytest
import structlog

from errors import UnknownSession
from privacy.keys import DataKey, MasterKey, Session, ShareTicket, Ticket, unwrap, wrap
from tests.support.store import HOUR, Store


def test_a_ticket_reads_back_from_its_text() -> None:
    ticket = Ticket.random()
    text = ticket.text()
    assert len(text) == 22 + 1 + 43
    assert Ticket.parse(text) == ticket


def test_two_tickets_differ_in_both_parts() -> None:
    one, two = Ticket.random(), Ticket.random()
    assert one.session_id != two.session_id
    assert one.secret != two.secret


def _respelled(text: str) -> str:
    """The same bytes with an unused trailing bit set, where base64 decoders look away."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    return text[:-1] + alphabet[alphabet.index(text[-1]) + 1]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda text: None,
        lambda text: "",
        lambda text: text + "A",
        lambda text: text[:-1],
        lambda text: text + "=",
        lambda text: text + "\n",
        lambda text: " " + text,
        lambda text: text.replace(".", ":"),
        lambda text: text[:21] + "é" + text[22:],
        lambda text: text[:21] + "+" + text[22:],
        lambda text: "../../../etc/passwd" + text,
        lambda text: text[:5] + "\0" + text[6:],
        _respelled,
        lambda text: _respelled(text[:22]) + text[22:],
        lambda text: text * 1000,
    ],
)
def test_anything_but_the_one_spelling_is_unknown(spoil) -> None:
    text = Ticket("A" * 22, bytes(32)).text()
    Ticket.parse(text)
    with pytest.raises(UnknownSession):
        Ticket.parse(spoil(text))


def test_the_data_key_needs_all_three() -> None:
    master, ticket, data_key = MasterKey.ram(), Ticket.random(), DataKey.random()
    wrapped = wrap(data_key, master, ticket)
    assert unwrap(wrapped, master, ticket).reveal() == data_key.reveal()
    other_session = Ticket(Ticket.random().session_id, ticket.secret)
    for opened in (
        lambda: unwrap(wrapped, MasterKey.ram(), ticket),
        lambda: unwrap(wrapped, master, Ticket.random()),
        lambda: unwrap(wrapped, master, other_session),
        lambda: unwrap(wrapped[:-1] + bytes([wrapped[-1] ^ 1]), master, ticket),
        lambda: unwrap(b"", master, ticket),
    ):
        with pytest.raises(UnknownSession):
            opened()


def test_wrapping_twice_uses_two_nonces() -> None:
    master, ticket, data_key = MasterKey.ram(), Ticket.random(), DataKey.random()
    assert wrap(data_key, master, ticket)[:12] != wrap(data_key, master, ticket)[:12]


def test_the_fingerprint_names_a_key_without_telling_it() -> None:
    key = MasterKey(bytes(32))
    assert key.fingerprint == MasterKey(bytes(32)).fingerprint
    assert key.fingerprint != MasterKey.ram().fingerprint
    assert bytes(32).hex() not in key.fingerprint


SECRETS = [
    MasterKey.ram(),
    DataKey.random(),
    Ticket.random(),
    ShareTicket.random(),
    Session("x" * 22, DataKey.random()),
]


@pytest.mark.parametrize("secret", SECRETS, ids=lambda secret: type(secret).__name__)
def test_secrets_show_nothing(secret: object) -> None:
    hidden = []
    for part in (secret, getattr(secret, "data_key", None)):
        if isinstance(part, MasterKey | DataKey):
            hidden.append(part.reveal())
    if isinstance(secret, Ticket | ShareTicket):
        hidden.append(secret.secret)
    assert hidden
    spoken = [repr(secret), str(secret), f"{secret}", f"{secret!a}", "%s %r" % (secret, secret)]  # noqa: UP031
    spoken += [repr([secret]), str({"key": secret}), pprint.pformat(secret), f"{secret:}"]
    spoken += [reprlib.repr(secret), json.dumps(secret, default=str)]
    for shown in spoken:
        for value in hidden:
            assert value.hex() not in shown
            assert repr(value)[2:-1] not in shown
            assert base64.urlsafe_b64encode(value)[:43].decode() not in shown
        assert getattr(secret, "session_id", "?") not in shown
        assert getattr(secret, "share_id", "?") not in shown


@pytest.mark.parametrize("secret", SECRETS, ids=lambda secret: type(secret).__name__)
@pytest.mark.parametrize("leave", [pickle.dumps, copy.deepcopy])
def test_secrets_are_neither_pickled_nor_copied(secret: object, leave) -> None:
    with pytest.raises(TypeError, match="does not leave this process"):
        leave(secret)


def test_a_session_is_no_dict_of_keys() -> None:
    with pytest.raises(TypeError, match="does not leave this process"):
        dataclasses.asdict(Session("x" * 22, DataKey.random()))


def test_a_wrong_secret_leaves_no_key_in_the_traceback(tmp_path: Path) -> None:
    store = Store(tmp_path)
    _, ticket = store.sessions.create()
    forged = Ticket(ticket.session_id, Ticket.random().secret)
    with pytest.raises(UnknownSession) as caught:
        store.sessions.open(forged.text())
    shown = "".join(
        traceback.TracebackException.from_exception(caught.value, capture_locals=True).format()
    )
    assert repr(store.master_key.reveal())[2:-1] not in shown
    assert store.master_key.reveal().hex() not in shown


def test_logs_hold_no_id_secret_or_name(tmp_path: Path) -> None:
    with structlog.testing.capture_logs() as logs:
        store = Store(tmp_path)
        session, ticket = store.sessions.create()
        store.vault.put(session, "photo", "photo-01", b"x")
        store.sessions.touch_first_photo(session)
        store.sessions.delivered(session)
        store.time += 25 * HOUR
        store.sweeper.sweep()
        store.sessions.erase(store.sessions.create()[0].id, "user")
    assert {line["event"] for line in logs} == {"session_created", "session_erased", "swept"}
    shown = repr(logs)
    for private in (session.id, ticket.text(), "photo-01", str(tmp_path)):
        assert private not in shown
