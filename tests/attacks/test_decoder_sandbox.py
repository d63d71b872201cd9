"""The decoding process taken over for real: what hostile code in it can still do.

`tests/support/taken_over.py` is a server with the real `ingest` and the real decoding process, of
which only `decode` is replaced. Each attack runs as the user of the tests and, where that is root,
as an ordinary user too.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import structlog

import settings as configuration
from pipeline.photos import sandbox
from pipeline.photos.ingest import Decoder
from tests.support.waiting import until

PROGRAM = configuration.ROOT / "tests" / "support" / "taken_over.py"
NOBODY = 65534

pytestmark = pytest.mark.skipif(
    not sandbox.supported(), reason="this kernel gives no seccomp, as the server says at its start"
)


@pytest.fixture(params=["as the user of the tests", "as nobody"])
def user(request: pytest.FixtureRequest) -> list[str]:
    """What makes a command one of the user. Nobody may read all files here, as the interpreter may
    lie where only root looks; for the attacker that is one right more."""
    if request.param == "as the user of the tests":
        return []
    if os.geteuid() != 0 or shutil.which("setpriv") is None:
        pytest.skip("only root with setpriv can act as another user")
    rights = ["--inh-caps=-all,+dac_read_search", "--ambient-caps=+dac_read_search"]
    return ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", *rights]


@pytest.fixture
def prey(tmp_path: Path) -> Iterator[dict[str, Any]]:
    """A key file that its owner alone reads, a vault, and a port that answers."""
    key, vault = tmp_path / "key", tmp_path / "vault"
    key.write_bytes(bytes(32))
    key.chmod(0o400)
    vault.mkdir(mode=0o700)
    for path in (key, vault):
        if os.geteuid() == 0:
            os.chown(path, NOBODY, NOBODY)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield {"key": str(key), "vault": str(vault), "port": listening.getsockname()[1]}


def serve(user: list[str], program: Path, *requests: dict[str, Any]) -> list[Any]:
    command = [*user, sys.executable, str(program), json.dumps(requests)]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=90, check=False)
    assert ran.returncode == 0, ran.stderr
    answers: list[Any] = json.loads(ran.stdout)
    return answers


@pytest.mark.slow
@pytest.mark.fact(32)
def test_a_decoder_that_was_taken_over_reaches_nothing(
    user: list[str], prey: dict[str, Any]
) -> None:
    results, signals = serve(user, PROGRAM, prey | {"walls": True})
    assert results.pop("thread") == "done"
    assert results.pop("clone3") == "ENOSYS"
    assert set(results.values()) == {"EPERM"}, results
    assert {"key", "vault", "tcp", "fork", "exec", "ptrace", "signal to the server"} <= set(results)
    assert signals == 0


@pytest.mark.slow
def test_without_walls_the_same_attacks_succeed(
    user: list[str], prey: dict[str, Any], tmp_path: Path
) -> None:
    """The test of the test."""
    (tmp_path / "no_walls.py").symlink_to(PROGRAM)
    results, signals = serve(user, tmp_path / "no_walls.py", prey | {"walls": False})
    for name in ("key", "vault", "stat", "tcp", "socketpair", "fork", "code in memory"):
        assert results[name] == "done", (name, results)
    assert signals == 1


@pytest.mark.slow
@pytest.mark.fact(32)
def test_a_fork_that_stays_never_gets_the_next_photo(user: list[str]) -> None:
    """It answers well and waits for more; the server waits for the first process's word."""
    stayed, after, _ = serve(user, PROGRAM, {"do": "stay", "timeout_s": 8}, {"do": "nothing"})
    assert stayed in ("unreadable", "timeout")
    assert after == {}


@pytest.mark.slow
@pytest.mark.fact(32)
@pytest.mark.skipif(os.uname().machine != "x86_64", reason="a second table of calls is x86_64's")
def test_the_second_table_of_calls_kills(user: list[str]) -> None:
    killed, after, _ = serve(user, PROGRAM, {"do": "x32"}, {"do": "nothing"})
    assert (killed, after) == ("unreadable", {})


@pytest.mark.slow
@pytest.mark.fact(32)
def test_decoding_processes_end_with_their_server(user: list[str]) -> None:
    command = [*user, sys.executable, str(PROGRAM), json.dumps([{"do": "sleep"}])]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        until(lambda: len(psutil.Process(server.pid).children(recursive=True)) == 2)
        children = psutil.Process(server.pid).children(recursive=True)
        assert {os.getsid(child.pid) for child in children} == {children[0].pid}  # its own session
    finally:
        server.kill()
        server.wait()
    _, alive = psutil.wait_procs(children, timeout=10)
    assert alive == []


@pytest.mark.fact(32)
def test_a_server_without_seccomp_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox, "supported", lambda: False)
    with structlog.testing.capture_logs() as logs, Decoder(max_bytes=1, max_pixels=1):
        pass
    assert [(line["event"], line["log_level"]) for line in logs] == [
        ("photos_opened_without_walls", "warning")
    ]


def test_no_list_for_other_machines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.photos.sandbox.platform.machine", lambda: "riscv64")
    assert not sandbox.supported()
    with pytest.raises(OSError, match="no list"):
        sandbox.seal()
