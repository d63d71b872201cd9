"""Which texts let a browser vote in a session."""

from __future__ import annotations

from pathlib import Path

from privacy.keys import MasterKey
from privacy.shares import Guest
from tests.support.store import Store


def guest(store: Store) -> Guest:
    session, _ = store.sessions.create()
    return store.sessions.shares.open(store.sessions.shares.create(session).text())


def test_a_browser_keeps_its_name_and_is_let_in_for_each_session(tmp_path: Path) -> None:
    store = Store(tmp_path)
    shares = store.sessions.shares
    ann, bob = guest(store), guest(store)
    for_ann = shares.admit(ann, None)
    for_bob = shares.admit(bob, for_ann)
    assert shares.vote_of(ann, for_ann) == shares.vote_of(bob, for_bob) == for_ann.split(".")[0]
    assert shares.vote_of(bob, for_ann) is None
    assert shares.vote_of(ann, for_bob) is None
    assert shares.admit(ann, for_bob) == for_ann


def test_a_name_that_is_not_ours_is_replaced(tmp_path: Path) -> None:
    store = Store(tmp_path)
    shares = store.sessions.shares
    ann = guest(store)
    for text in (None, "", "mine", "a.b.c", "...", "ä.ö.ü"):
        assert shares.vote_of(ann, text) is None
        name = shares.vote_of(ann, shares.admit(ann, text))
        assert name is not None
        assert len(name) == 22


def test_another_master_key_signs_otherwise() -> None:
    one, other = MasterKey.ram(), MasterKey.ram()
    assert one.signature("a") == one.signature("a") != one.signature("b")
    assert one.signature("a") != other.signature("a")
