"""The process itself attacked: by others of its own user, by crashes, by errors that nobody caught.

From outside, on a real server with a real decoding process, wherever the kernel tells.
"""

from __future__ import annotations

import base64
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil
import pytest
import structlog

import settings as configuration
from privacy import harden as hardening

ROOT = configuration.ROOT

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="asks Linux about its processes")


def ordinary() -> list[str]:
    """What makes a command one of an ordinary user: root sheds the rights that overrule others."""
    if os.geteuid() != 0:
        return []
    if shutil.which("setpriv") is None:
        pytest.skip("root needs setpriv to act as an ordinary user")
    return ["setpriv", "--bounding-set=-all", "--inh-caps=-all"]


def is_open_to_its_own_user(pid: int) -> bool:
    """Whether another process of the same user gets at the memory (`environ` lies in it)."""
    spy = [*ordinary(), "cat", f"/proc/{pid}/environ"]
    return subprocess.run(spy, capture_output=True, check=False).returncode == 0


def environment(scratch: Path, base: Path) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith("LIKENESS_")}
    return kept | {
        "LIKENESS_SCRATCH": str(scratch),
        "LIKENESS_RECEIPTS": f"{scratch}-receipts",
        "LIKENESS_BASE": str(base),
        "LIKENESS_PORT": "0",
        "LIKENESS_LOG_LEVEL": "debug",
        "PYTHONPATH": str(ROOT),
    }


def with_cores() -> None:
    """The limit that somebody who wants core dumps would set."""
    _, most = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (most, most))


@dataclass
class Server:
    process: subprocess.Popen[str]
    url: str
    folder: Path


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, tiny_base: Path) -> Iterator[Server]:
    """A real server in an empty folder, started where core dumps are allowed."""
    folder = tmp_path_factory.mktemp("server")
    (folder / "cwd").mkdir()
    process = subprocess.Popen(
        [*ordinary(), sys.executable, str(ROOT / "app.py")],
        cwd=folder / "cwd",
        env=environment(folder / "scratch", tiny_base),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        preexec_fn=with_cores,
    )
    line = process.stdout.readline()
    assert "Likeness is ready" in line
    yield Server(process, line.rsplit(" ", 1)[1].strip(), folder / "cwd")
    process.kill()
    process.communicate()


@pytest.fixture(scope="module")
def decoding(server: Server, selfie_jpegs: list[bytes]) -> psutil.Process:
    """The process that opened a photo for a visitor."""
    with httpx.Client(
        base_url=server.url,
        headers={"origin": server.url},
        timeout=30,
        transport=httpx.HTTPTransport(retries=5),
    ) as visitor:
        assert visitor.post("/session", data={"consent": "yes"}).status_code == 303
        files = {"files": ("me.jpg", selfie_jpegs[0])}
        assert visitor.post("/studio/gradio_api/upload", files=files).status_code == 200
    children = psutil.Process(server.process.pid).children()
    return next(child for child in children if "decoder.py" in " ".join(child.cmdline()))


def test_an_ordinary_process_is_open_to_its_own_user() -> None:
    """The test of the test."""
    child = subprocess.Popen([*ordinary(), "sleep", "60"])
    try:
        time.sleep(0.2)
        if not is_open_to_its_own_user(child.pid):
            pytest.skip("this kernel closes every process to its own user")
    finally:
        child.kill()
        child.wait()


@pytest.mark.slow
def test_no_process_of_the_same_user_reads_the_servers_memory(
    server: Server, decoding: psutil.Process
) -> None:
    assert not is_open_to_its_own_user(server.process.pid)
    assert not is_open_to_its_own_user(decoding.pid)


@pytest.mark.slow
def test_the_limits_of_server_and_decoder_allow_no_core(
    server: Server, decoding: psutil.Process
) -> None:
    for pid in (server.process.pid, decoding.pid):
        limits = Path(f"/proc/{pid}/limits").read_text()
        (line,) = [line for line in limits.splitlines() if line.startswith("Max core file size")]
        assert line.split()[4:6] == ["0", "0"]


@pytest.mark.slow
def test_what_the_server_creates_is_its_owners_alone(
    server: Server, decoding: psutil.Process
) -> None:
    umask = Path(f"/proc/{server.process.pid}/status").read_text().split("Umask:\t")[1]
    assert umask.startswith("0077\n")


def crash(process: subprocess.Popen[str], with_signal: signal.Signals) -> tuple[int, bool]:
    """The signal it died of, and whether the kernel says that a core was dumped."""
    process.send_signal(with_signal)
    _, status = os.waitpid(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return os.WTERMSIG(status), os.WCOREDUMP(status)


SLEEPER = "import time; print('up', flush=True); time.sleep(60)"
HARDENED = "from privacy.harden import harden; harden(); " + SLEEPER


@pytest.mark.parametrize("with_signal", [signal.SIGABRT, signal.SIGSEGV])
def test_a_hardened_process_that_crashes_leaves_no_core(
    tmp_path: Path, with_signal: signal.Signals
) -> None:
    dumped = []
    for number, program in enumerate((SLEEPER, HARDENED)):
        cwd = tmp_path / str(number)
        cwd.mkdir()
        process = subprocess.Popen(
            [sys.executable, "-c", program],
            cwd=cwd,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            text=True,
            preexec_fn=with_cores,
        )
        process.stdout.readline()
        died_of, core = crash(process, with_signal)
        process.stdout.close()
        assert died_of == with_signal
        dumped.append(core or bool(list(cwd.iterdir())))
    assert dumped[1] is False
    if not dumped[0]:
        pytest.skip("this machine dumps no core of any process")


@pytest.mark.slow
def test_a_server_that_crashes_leaves_no_core(server: Server, decoding: psutil.Process) -> None:
    """The last to use `server`."""
    assert crash(server.process, signal.SIGABRT) == (signal.SIGABRT, False)
    assert list(server.folder.iterdir()) == []


# Stops at the moment when the master key is made and tells what has been closed by then.
WITNESS = """
import ctypes, os, resource, runpy, sys
from privacy.keys import MasterKey
def ram():
    dumpable = ctypes.CDLL(None).prctl(3, 0, 0, 0, 0)  # PR_GET_DUMPABLE
    print(dumpable, resource.getrlimit(resource.RLIMIT_CORE), oct(os.umask(0)), flush=True)
    os._exit(0)
MasterKey.ram = ram
name, sys.argv = sys.argv[1], sys.argv[1:]
sys.path.insert(0, os.getcwd())
runpy.run_path("app.py", run_name="__main__") if name == "app" else runpy.run_module(
    name, run_name="__main__"
)
"""


@pytest.mark.slow
@pytest.mark.parametrize("way_in", ["app", "pipeline"])
def test_everything_is_closed_before_any_key_exists(
    way_in: str, tmp_path: Path, tiny_base: Path
) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "me.jpg").write_bytes(b"x")
    arguments = [] if way_in == "app" else [str(tmp_path / "photos"), "--out", str(tmp_path / "o")]
    ran = subprocess.run(
        [sys.executable, "-c", WITNESS, way_in, *arguments],
        cwd=ROOT,
        env=environment(tmp_path / "scratch", tiny_base),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.stdout == "0 (0, 0) 0o77\n", ran.stderr


def test_what_cannot_be_closed_is_said_and_no_reason_to_stop(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(*_: object) -> None:
        raise ValueError

    monkeypatch.setattr("privacy.harden.sys.platform", "darwin")
    monkeypatch.setattr("privacy.harden.resource.setrlimit", refuse)
    before = os.umask(0o077)
    try:
        with structlog.testing.capture_logs() as logs:
            hardening.harden()
    finally:
        os.umask(before)
    assert {(line["event"], line["log_level"]) for line in logs} == {("not_hardened", "debug")}
    assert {line["what"] for line in logs} == {"core limit", "dumpable"}


# Every way in which an error that nobody caught may come to be written, with keys in reach.
CARELESS = """
import asyncio, logging, sys, threading, warnings
import httpx, structlog
from privacy.harden import harden
from privacy.log import configure
configure("debug")
harden()
from privacy.keys import DataKey, MasterKey, Session, Ticket
import settings
from web.http.errors import Edge

RAW = bytes.fromhex(sys.stdin.readline())

def fail():
    key, raw, master, data = list(RAW), RAW, MasterKey(RAW), DataKey(RAW)
    ticket, session = Ticket("A" * 22, RAW), Session("A" * 22, data)
    raise RuntimeError(f"{master} {data!s} {ticket!r} {session} {[master, ticket]}")

async def application(scope, receive, send):
    secret, ticket = RAW, Ticket("A" * 22, RAW)
    fail()

async def over_http():
    edge = httpx.ASGITransport(app=Edge(application, settings.load()), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=edge, base_url="http://likeness.example") as client:
        print((await client.get("/")).text)

def caught(write):
    raw = RAW
    try:
        fail()
    except RuntimeError:
        write("it_failed", exc_info=True)

log = structlog.get_logger()
for write in (log.error, log.warning, logging.getLogger("uvicorn.error").error):
    caught(write)
    print("-", file=sys.stderr)
try:
    fail()
except RuntimeError:
    log.exception("it_failed_again")
threading.Thread(target=fail).start()
asyncio.run(over_http())
async def forgotten():
    task = asyncio.ensure_future(asyncio.to_thread(fail))
    await asyncio.wait([task])
asyncio.run(forgotten())
fail()
"""


@pytest.mark.slow
def test_an_error_that_nobody_caught_shows_no_byte_of_a_key(tmp_path: Path) -> None:
    key = os.urandom(32)
    ran = subprocess.run(
        [sys.executable, "-c", CARELESS],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        input=key.hex() + "\n",
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    said = ran.stdout + ran.stderr
    assert ran.returncode == 1
    assert ran.stderr.count("it_failed") == 3, said
    assert "RuntimeError: MasterKey(…) DataKey(…) Ticket()" in said  # it was written, but closed
    for name, spelling in spellings(key).items():
        assert spelling not in said, name


def spellings(key: bytes) -> dict[str, str]:
    """How bytes from the middle of a key, and so all of it, would look in a text."""
    part = key[9:18]  # from a multiple of three: base64 spells them as it does inside the key
    return {
        "repr": repr(part)[2:-1],
        "hex": part.hex(),
        "base64": base64.b64encode(part).decode(),
        "base64url": base64.urlsafe_b64encode(part).decode(),
        "numbers": ", ".join(str(byte) for byte in part),
    }
