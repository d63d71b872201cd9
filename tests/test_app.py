"""`python app.py`: starts, or says in one sentence why not."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import psutil
import pytest
import yaml

import settings as configuration
from app import GPU_FAILED, listen
from dev.own_server import own_server
from tests.support.units import Unit

Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def start(tmp_path: Path, tiny_base: Path) -> Iterator[Start]:
    """Starts servers with settings of their own, and ends them."""
    running: list[subprocess.Popen[str]] = []

    def start(**settings: object) -> subprocess.Popen[str]:
        chosen = {"PORT": 0, "SCRATCH": tmp_path / "scratch", "BASE": tiny_base}
        chosen |= {"RECEIPTS": tmp_path / "receipts", **settings}
        environment = {k: v for k, v in os.environ.items() if not k.startswith("LIKENESS_")}
        environment |= {f"LIKENESS_{name}": str(value) for name, value in chosen.items()}
        process = subprocess.Popen(
            [sys.executable, "app.py"],
            cwd=configuration.ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        running.append(process)
        return process

    yield start
    for process in running:
        process.kill()
        process.communicate()


def url_of(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    line = process.stdout.readline()
    assert "Likeness is ready: http://" in line, process.stderr and process.stderr.read()
    return line.rsplit(" ", 1)[1].strip()


def refused(process: subprocess.Popen[str], words: str) -> None:
    out, err = process.communicate(timeout=60)
    assert process.returncode == 2, out + err
    assert words in err
    assert "Traceback" not in err
    assert len(err.strip().splitlines()) == 1


@pytest.mark.slow
def test_the_server_starts_and_answers(start: Start) -> None:
    process = start()
    url = url_of(process)
    deadline = time.monotonic() + 10
    while True:  # the line is printed just before the first connection is accepted
        try:
            assert httpx.get(f"{url}/health").text.strip('"') == "ok"
            break
        except httpx.ConnectError:
            assert time.monotonic() < deadline
            time.sleep(0.05)
    process.terminate()
    assert process.wait(15) in (0, -15)


@pytest.mark.slow
def test_an_idle_server_rests(start: Start) -> None:
    process = start()
    httpx.get(f"{url_of(process)}/health")
    server = psutil.Process(process.pid)
    time.sleep(1)  # what happens once, after the start
    before = server.num_ctx_switches().voluntary
    time.sleep(2)
    wakes_per_second = (server.num_ctx_switches().voluntary - before) / 2
    assert wakes_per_second < 300  # a thousand, where Gradio looks for events as it likes to


def test_answers_are_not_held_back_by_tcp() -> None:
    """On a connection that is kept open, each answer would wait for the other side's 40 ms."""

    async def told() -> int:
        heard: asyncio.Future[int] = asyncio.get_running_loop().create_future()

        def hear(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            accepted = writer.get_extra_info("socket")
            heard.set_result(accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
            writer.close()

        async with await asyncio.start_server(hear, sock=listen("127.0.0.1", 0)) as server:
            _, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
            writer.close()
            return await heard

    assert asyncio.run(told()) == 1


def test_a_taken_port_is_a_sentence(start: Start) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        refused(start(PORT=taken.getsockname()[1]), "LIKENESS_PORT")


@pytest.mark.slow
def test_a_missing_base_is_a_sentence(start: Start) -> None:
    refused(start(BASE="no-such-base"), "LIKENESS_BASE")


def test_a_bad_setting_is_a_sentence(start: Start) -> None:
    refused(start(RETENTION_HOURS="for ever"), "LIKENESS_RETENTION_HOURS")


@pytest.mark.slow
def test_a_scratch_folder_that_is_in_use_is_a_sentence(start: Start) -> None:
    url_of(start())
    refused(start(), "another server")


@pytest.mark.slow
@pytest.mark.fact(10)
def test_a_key_file_that_others_can_read_is_a_sentence(start: Start, tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_bytes(os.urandom(32))
    key.chmod(0o644)
    refused(start(MASTER_KEY=key), "chmod 400")


def test_whoever_started_the_server_starts_it_anew_when_the_gpu_failed() -> None:
    service = Unit(configuration.ROOT / "deploy" / "likeness.service")["Service"]
    assert service["Restart"] == "on-failure"
    assert str(GPU_FAILED) not in service["RestartPreventExitStatus"].split()
    compose = yaml.safe_load((configuration.ROOT / "docker-compose.yml").read_text())
    assert compose["services"]["likeness"]["restart"] == "unless-stopped"
    on_gpu = yaml.safe_load((configuration.ROOT / "docker-compose.gpu.yml").read_text())
    own = on_gpu["services"]["likeness"]
    assert own["extends"] == {"file": "docker-compose.yml", "service": "likeness"}
    assert "restart" not in own


@pytest.mark.slow
def test_showing_pages_never_loads_torch(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """Torch costs seconds and hundreds of megabytes; it is the worker's, when a job starts."""
    monkeypatch.setenv("PYTHONPROFILEIMPORTTIME", "1")  # Python tells every import on stderr
    process = start()
    imports: list[str] = []
    reader = threading.Thread(target=lambda: imports.extend(process.stderr or []), daemon=True)
    reader.start()
    url = url_of(process)
    time.sleep(0.5)
    assert httpx.get(url).status_code == 200
    process.kill()
    reader.join(10)
    modules = {line.rsplit("|", 1)[-1].strip() for line in imports}
    assert "gradio" in modules
    assert "torch" not in modules


def test_who_reads_the_address_is_not_refused() -> None:
    """However long it takes until connections are answered."""
    late = "import app, sys, time, uvicorn; uvicorn.Server.run = lambda *_, **__: time.sleep(60); "
    with own_server("-c", f"{late} sys.exit(app.main())") as (process, url):
        address = urlsplit(url)
        with socket.create_connection((address.hostname or "", address.port or 0), timeout=10):
            pass
        process.kill()
