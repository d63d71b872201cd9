"""CUDA fails in the middle of an order: the server says so, ends by itself, and nothing is lost."""

from __future__ import annotations

import os
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from app import GPU_FAILED
from dev.own_server import own_server
from tests.attacks.test_interrupted_order import browser_at, photos, portraits, rows, status
from tests.support.failing_base import build_failing_base
from tests.support.gradio_client import order_portraits
from tests.support.waiting import until

STEPS, KEPT, FAIL_AT = 46, 40, 44
"""Of the training; after `KEPT` steps a checkpoint is kept."""
COUNT = 12
SERVER = "-m", "tests.support.failing_base"


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_what_needs_no_gpu_ends_and_the_rest_goes_on_in_the_next_process(
    tmp_path: Path, selfie_jpegs: list[bytes]
) -> None:
    base, key = tmp_path / "base", tmp_path / "master.key"
    build_failing_base(base, steps=STEPS, fail_at=FAIL_AT)
    key.write_bytes(os.urandom(32))
    key.chmod(0o600)
    scratch = tmp_path / "scratch"
    kept = {
        "BASE": base,
        "MASTER_KEY": key,
        "RECEIPTS": tmp_path / "receipts",
        "SCRATCH": scratch,
    }
    with own_server(*SERVER, **kept) as (process, url), ExitStack() as closing:
        ann, bob, eve = (closing.enter_context(browser_at(url)) for _ in range(3))
        for client, count in ((ann, 4), (bob, 1), (eve, 4)):
            client.timeout = httpx.Timeout(200)
            assert client.post("/session", data={"consent": "yes"}).status_code == 303
            files = [("files", ("me.jpg", photo, "image/jpeg")) for photo in selfie_jpegs[:count]]
            assert client.post("/studio/gradio_api/upload", files=files).status_code == 200
            until(lambda c=client, n=count: photos(c) == n, 60)  # type: ignore[misc]
        assert order_portraits(ann, 2, "painted") == ""
        steps = base / "steps"
        until(lambda: steps.exists() and len(steps.read_text().splitlines()) >= KEPT, 200)
        assert order_portraits(bob, COUNT) == ""
        until(lambda: bob.get("/health").status_code == 503, 200)
        assert bob.get("/health").text == "the GPU has failed"
        assert "Portraits from your photos are still made" in order_portraits(eve, 2, "painted")
        assert "go on when you come back" in status(ann)["job"]["sentence"]
        assert eve.post("/session/delete").status_code < 400
        assert process.wait(240) == GPU_FAILED
        cookies = dict(ann.cookies)
    assert rows(scratch, "portrait") == COUNT
    assert (rows(scratch, "order"), rows(scratch, "checkpoint")) == (1, 1)
    assert len(list((scratch / "vault").iterdir())) == 2  # eve's is gone
    (base / "fail-at").unlink()
    begun = len(steps.read_text().splitlines())
    assert begun == FAIL_AT
    with own_server(*SERVER, **kept) as (process, url), browser_at(url) as ann:
        ann.cookies.update(cookies)
        until(lambda: status(ann)["stage"] == "done", 200)
        assert portraits(ann) == 2
        assert ann.get("/health").text == "ok"
    assert len(steps.read_text().splitlines()) == begun + STEPS - KEPT
    assert rows(scratch, "order") == 0
