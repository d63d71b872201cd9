"""An order in the vault: what was asked for comes back as it was, and nothing else does."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline import kept_order
from pipeline.orders import Order
from tests.support.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path)


def test_an_order_comes_back_as_it_was(store: Store) -> None:
    session, _ = store.sessions.create()
    assert kept_order.load(store.vault, session) is None
    order = Order(("corporate", "natural"), 12, seed=99, keep_adapter=True, crop="4:5", earlier=3)
    order = replace(order, class_word="woman")
    kept_order.keep(store.vault, session, order)
    assert kept_order.load(store.vault, session) == order
    kept_order.forget(store.vault, session)
    assert kept_order.load(store.vault, session) is None


@pytest.mark.parametrize("row", [{"styles": []}, {"styles": [], "count": 1, "hat": 1}, [], None])
def test_an_order_of_another_version_is_none(store: Store, row: object) -> None:
    session, _ = store.sessions.create()
    store.vault.put(session, "order", "order", json.dumps(row).encode())
    assert kept_order.load(store.vault, session) is None


def test_an_order_of_an_erased_session_is_forgotten_without_a_word(store: Store) -> None:
    session, _ = store.sessions.create()
    store.sessions.erase(session.id, "user")
    kept_order.forget(store.vault, session)
