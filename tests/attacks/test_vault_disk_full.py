"""Fact 28: a volume that really is full, a small tmpfs; where we may not mount one, skipped.

tests/privacy/test_vault.py plays the same answers of the system at each call, on any machine.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from errors import DiskFull
from tests.attacks.conftest import fill
from tests.support.store import HOUR, Store


@pytest.mark.fact(28)
def test_a_file_that_does_not_fit_is_refused_and_nothing_is_lost(small_volume: Path) -> None:
    store = Store(small_volume)
    session, _ = store.sessions.create()
    store.vault.put(session, "photo", "photo-01", b"earlier")
    for name in ("photo-01", "photo-02"):
        with pytest.raises(DiskFull):
            store.vault.put(session, "photo", name, os.urandom(3_000_000))
    assert store.vault.open(session, "photo", "photo-01") == b"earlier"
    assert store.files() == [store.path(session, "photo", "photo-01")]
    store.vault.put(session, "photo", "photo-02", b"a small one still fits")


@pytest.mark.fact(28)
def test_a_full_volume_refuses_clearly_and_still_erases(small_volume: Path) -> None:
    store = Store(small_volume)
    session, _ = store.sessions.create()
    store.vault.put(session, "photo", "photo-01", b"earlier" * 10_000)
    fill(small_volume)
    for refused in (
        lambda: store.vault.put(session, "photo", "photo-02", b"x"),
        lambda: store.vault.put(session, "photo", "photo-01", b"x"),
        store.sessions.create,
    ):
        with pytest.raises(DiskFull):
            refused()
    assert store.vault.open(session, "photo", "photo-01") == b"earlier" * 10_000
    assert store.sessions.erase(session.id, "user")
    assert (store.files(), store.rows()) == ([], 0)


@pytest.mark.fact(28)
def test_a_full_volume_is_still_swept(small_volume: Path) -> None:
    store = Store(small_volume)
    for _ in range(3):
        session, _ = store.sessions.create()
        store.vault.put(session, "photo", "photo-01", b"face" * 5000)
    fill(small_volume)
    store.time += 48 * HOUR
    assert store.sweeper.sweep() == 3
    assert (store.files(), store.rows()) == ([], 0)
