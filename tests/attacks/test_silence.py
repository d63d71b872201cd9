"""Connections that say nothing take neither the erasure nor the next visitor's turn."""

from __future__ import annotations

import os
import resource
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

import settings as configuration
from tests.test_app import url_of

SILENT, DESCRIPTORS = 400, 256
DUE_S, SWEEP_S = 8.0, 5
SERVER = f"""
from privacy.sweeper import Sweeper
Sweeper.__init__.__kwdefaults__["interval_s"] = {SWEEP_S}
import app, sys
sys.exit(app.main())
"""
"""`python app.py`, which sweeps more often than every minute, so that the test is short."""


@pytest.fixture
def server(tmp_path: Path, tiny_base: Path) -> Iterator[subprocess.Popen[str]]:
    """`python app.py` with few descriptors, where a session that began is soon due."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("LIKENESS_")} | {
        "LIKENESS_PORT": "0",
        "LIKENESS_BASE": str(tiny_base),
        "LIKENESS_SCRATCH": str(tmp_path / "scratch"),
        "LIKENESS_RECEIPTS": str(tmp_path / "receipts"),
        "LIKENESS_UNDELIVERED_HOURS": str(DUE_S / 3600),
    }
    limits = (DESCRIPTORS, DESCRIPTORS)
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-c", SERVER],
            cwd=configuration.ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, limits),
        )
        yield process
        process.kill()
        process.communicate()


class Crowd:
    """Sockets that connect, say nothing, and come back when they are cut off."""

    def __init__(self, url: str) -> None:
        self._address = ("127.0.0.1", int(url.rsplit(":", 1)[1]))
        self._sockets: list[socket.socket] = []
        self.cut = 0

    def fill(self) -> None:
        staying = []
        for connection in self._sockets:
            try:
                gone = connection.recv(1) == b""
            except BlockingIOError:
                gone = False
            except OSError:
                gone = True
            if gone:
                connection.close()
                self.cut += 1
            else:
                staying.append(connection)
        while len(staying) < SILENT:
            connection = socket.socket()
            connection.setblocking(False)
            connection.connect_ex(self._address)
            staying.append(connection)
        self._sockets = staying

    def close(self) -> None:
        for connection in self._sockets:
            connection.close()


@pytest.mark.slow
@pytest.mark.fact(35)
def test_silent_connections_stop_neither_erasure_nor_visitors(
    server: subprocess.Popen[str], tmp_path: Path, selfie_jpegs: list[bytes]
) -> None:
    url = url_of(server)
    vault = tmp_path / "scratch" / "vault"
    with httpx.Client(base_url=url, headers={"origin": url}, timeout=30) as ann:
        assert ann.post("/session", data={"consent": "yes"}).status_code == 303
        photo = {"files": ("me.jpg", selfie_jpegs[0], "image/jpeg")}
        assert ann.post("/studio/gradio_api/upload", files=photo).status_code == 200
    due = time.monotonic() + DUE_S
    assert any(path.is_file() for path in vault.rglob("*"))
    crowd, answers = Crowd(url), list[float]()
    try:
        while any(path.is_file() for path in vault.rglob("*")):
            assert time.monotonic() < due + SWEEP_S + 2, "what was due stayed"
            crowd.fill()
            since = time.monotonic()
            assert httpx.get(f"{url}/", timeout=5).status_code == 200
            answers.append(time.monotonic() - since)
            time.sleep(0.5)
    finally:
        crowd.close()
    assert crowd.cut > 0, "the crowd was never too large"
    assert max(answers) < 2
    assert len((tmp_path / "log").read_text().splitlines()) < 50
