"""The server is killed in the middle of an order: it goes on, and nothing stays for no reason."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from dev.own_server import own_server
from privacy.sessions import Session
from tests.support.gradio_client import order_portraits
from tests.support.store import Store
from tests.support.waiting import until

COUNT = 24


@pytest.mark.slow
@pytest.mark.fact(42)
def test_a_killed_server_finishes_the_order_when_its_visitor_is_back(
    tmp_path: Path, selfie_jpegs: list[bytes]
) -> None:
    key = tmp_path / "master.key"
    key.write_bytes(os.urandom(32))
    key.chmod(0o600)
    kept = {
        "SCRATCH": tmp_path / "scratch",
        "RECEIPTS": tmp_path / "receipts",
        "MASTER_KEY": key,
    }
    with own_server(**kept) as (process, url), browser_at(url) as client:
        assert client.post("/session", data={"consent": "yes"}).status_code == 303
        files = [("files", ("me.jpg", photo, "image/jpeg")) for photo in selfie_jpegs[:3]]
        assert client.post("/studio/gradio_api/upload", files=files).status_code == 200
        until(lambda: photos(client) == 3, 60)
        assert order_portraits(client, COUNT) == ""
        until(lambda: portraits(client) >= 8, 60)
        process.kill()
        process.wait()
        cookies = dict(client.cookies)
    assert rows(kept["SCRATCH"], "order") == 1
    before = rows(kept["SCRATCH"], "portrait")
    assert 8 <= before < COUNT
    with own_server(**kept) as (process, url), browser_at(url) as client:
        client.cookies.update(cookies)
        until(lambda: client.get("/status").json()["stage"] == "done", 120)
        assert portraits(client) == COUNT
        assert client.get("/portrait/portrait-001").status_code == 200
        process.terminate()
        process.wait()
    assert rows(kept["SCRATCH"], "order") == 0
    assert rows(kept["SCRATCH"], "portrait") == COUNT


@pytest.mark.fact(42)
def test_what_a_training_had_learnt_goes_at_the_start_unless_an_order_needs_it(
    tmp_path: Path,
) -> None:
    store = Store(tmp_path)
    forgotten, waiting, erasing = (store.sessions.create()[0] for _ in range(3))
    for session in (forgotten, waiting):
        put(store, session, "checkpoint", "photo", "adapter")
    put(store, waiting, "order")
    files = len(store.files())
    assert store.vault.drop_without("checkpoint", "order") == 1
    assert len(store.files()) == files - 1
    assert [entry.kind for entry in store.vault.list(forgotten)] == ["photo", "adapter"]
    assert "checkpoint" in [entry.kind for entry in store.vault.list(waiting)]
    assert store.vault.list(erasing) == []
    assert store.vault.drop_without("checkpoint", "order") == 0


def put(store: Store, session: Session, *kinds: str) -> None:
    for kind in kinds:
        store.vault.put(session, kind, kind, b"what was learnt of a face")


def browser_at(url: str) -> httpx.Client:
    return httpx.Client(base_url=url, headers={"origin": url}, timeout=30)


def status(client: httpx.Client) -> dict[str, Any]:
    return dict(client.get("/status").json())


def photos(client: httpx.Client) -> int:
    return sum(photo["accepted"] for photo in status(client)["photos"]["list"])


def portraits(client: httpx.Client) -> int:
    return len(status(client)["portraits"])


def rows(scratch: Path, kind: str) -> int:
    with closing(sqlite3.connect(scratch / "likeness.db")) as database:
        return int(
            database.execute("SELECT count(*) FROM files WHERE kind = ?", (kind,)).fetchone()[0]
        )
