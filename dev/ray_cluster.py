"""A real Ray cluster on this machine: a head and workers, each in a network namespace of its own,
with certificates and a token, reached over a bridge as machines of a company are.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from dev.own_worker import worker_settings
from pipeline.cluster.cluster_file import ClusterFile
from settings import ROOT
from tools.cluster_certs import write

NETWORK = "10.77.0"
OBJECT_STORE = 150_000_000
STARTS_S = 120.0


class RayCluster:
    """The head is this machine itself, under NETWORK.1; each worker has an address of its own."""

    def __init__(self, folder: Path, base: Path) -> None:
        """
        Args:
            folder: of certificates, Ray's session and the workers' scratch folders; a short path.
            base: the base model of the workers.
        """
        self.folder, self._base = folder, base
        self._mark = secrets.token_hex(2)
        self._bridge, self._nodes = f"lk{self._mark}", dict[str, subprocess.Popen[bytes]]()
        self._numbers, self._arguments = {"front": 1}, dict[str, list[str]]()

    def start(self) -> Path:
        """Start the head; the front's `cluster.toml`."""
        _ip("link", "add", self._bridge, "type", "bridge")
        _ip("addr", "add", f"{NETWORK}.1/24", "dev", self._bridge)
        _ip("link", "set", self._bridge, "up")
        (front,) = write(self.folder / "pki", [("front", f"{NETWORK}.1")])
        arguments = ["--head", "--port=6379", f"--temp-dir={self.folder / 'ray'}"]
        self._start("front", 1, [*arguments, "--num-cpus=0", "--include-dashboard=false"])
        return front / "cluster.toml"

    def add(self, name: str, places: dict[str, int]) -> None:
        """A machine with places for workers."""
        number = self._numbers[name] = len(self._numbers) + 1
        write(self.folder / "pki", [(name, f"{NETWORK}.{number}")])
        outside, inside = f"{self._bridge}-{number}", f"{self._bridge}i{number}"
        _ip("netns", "add", self._space(name))
        _ip("link", "add", outside, "type", "veth", "peer", "name", inside)
        _ip("link", "set", outside, "master", self._bridge, "up")
        _ip("link", "set", inside, "netns", self._space(name))
        within = ["netns", "exec", self._space(name), "ip"]
        _ip(*within, "addr", "add", f"{NETWORK}.{number}/24", "dev", inside)
        _ip(*within, "link", "set", inside, "up")
        _ip(*within, "link", "set", "lo", "up")
        resources = json.dumps(places)
        arguments = [f"--address={NETWORK}.1:6379", "--num-cpus=1", f"--resources={resources}"]
        self._start(name, number, arguments)

    @property
    def names(self) -> list[str]:
        """The machines that there are beside the front."""
        return [name for name in self._nodes if name != "front"]

    def kill(self, name: str) -> None:
        """The machine is gone, with everything that ran on it."""
        process = self._nodes.pop(name)
        for pid in self.processes(name):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        process.kill()
        process.wait()

    def restart(self, name: str) -> None:
        """The machine's Ray ends, and is started again."""
        self.kill(name)
        self._start(name, self._numbers[name], self._arguments[name])

    def restart_head(self) -> None:
        """Ray's head ends, and is started again."""
        self._end_head()
        self._start("front", 1, self._arguments["front"])

    def unplug(self, name: str) -> None:
        """Take the machine's cable out."""
        _ip("link", "set", f"{self._bridge}-{self._numbers[name]}", "down")

    @contextmanager
    def agent(self, file: Path, door: Path) -> Iterator[None]:
        """An agent that runs by itself, and waits for a front at this socket."""
        command = [sys.executable, "-m", "pipeline.cluster.agent", str(file), str(door)]
        process = subprocess.Popen(command, env=self._environment("front"), cwd=ROOT)
        try:
            yield
        finally:
            process.kill()
            process.wait()

    def processes(self, name: str) -> list[int]:
        """All that runs on a machine."""
        listed = subprocess.run(
            ["ip", "netns", "pids", self._space(name)], capture_output=True, text=True, check=True
        )
        return [int(pid) for pid in listed.stdout.split()]

    def workers(self, name: str) -> list[int]:
        """The worker processes of a machine."""
        return [pid for pid in self.processes(name) if b"pipeline.cluster.worker" in _command(pid)]

    def close(self) -> None:
        """End everything."""
        for name in self.names:
            self.kill(name)
        self._end_head()
        spaces = subprocess.run(["ip", "netns", "list"], capture_output=True, text=True, check=True)
        for line in spaces.stdout.splitlines():
            if line.startswith(f"{self._bridge}-"):
                _ip("netns", "del", line.split()[0])
        _ip("link", "del", self._bridge)

    def _end_head(self) -> None:
        """Ray's processes on the front: those that name its session's folder."""
        if (head := self._nodes.pop("front", None)) is not None:
            head.kill()
            head.wait()
        mark = str(self.folder / "ray").encode()
        for entry in Path("/proc").glob("[0-9]*"):
            if mark in _command(int(entry.name)) and int(entry.name) != os.getpid():
                with suppress(ProcessLookupError):
                    os.kill(int(entry.name), signal.SIGKILL)

    def _space(self, name: str) -> str:
        return f"{self._bridge}-{name}"

    def _environment(self, name: str) -> dict[str, str]:
        file = ClusterFile.read(self.folder / "pki" / name / "cluster.toml")
        own = {
            "PATH": f"{Path(sys.executable).parent}:/usr/sbin:/usr/bin:/bin",
            "HOME": str(self.folder),
            "PYTHONPATH": str(ROOT),
        }
        settings = worker_settings(file.path, self.folder, self._base, name)
        return own | file.ray_environment() | settings

    def _start(self, name: str, number: int, arguments: list[str]) -> None:
        log = self.folder / f"{name}.log"
        self._arguments[name] = arguments
        log.unlink(missing_ok=True)
        environment = self._environment(name)
        within = [] if name == "front" else ["ip", "netns", "exec", self._space(name)]
        command = [sys.executable, "-m", "ray.scripts.scripts", "start", *arguments, "--block"]
        command += [f"--node-ip-address={NETWORK}.{number}", "--disable-usage-stats"]
        command += [f"--object-store-memory={OBJECT_STORE}"]
        with log.open("ab") as said:
            self._nodes[name] = subprocess.Popen(
                [*within, *command],
                env=environment,
                cwd=ROOT,
                stdout=said,
                stderr=said,
                start_new_session=True,
            )
        end = time.monotonic() + STARTS_S
        while b"Ray runtime started" not in log.read_bytes():
            if time.monotonic() > end:
                raise RuntimeError(f"Ray did not start on {name}:\n{log.read_text()}")
            time.sleep(0.05)


@contextmanager
def ray_cluster(base: Path) -> Iterator[RayCluster]:
    """A cluster without machines yet."""
    folder = Path(tempfile.mkdtemp(prefix="lk", dir="/tmp"))
    cluster = RayCluster(folder, base)
    try:
        yield cluster
    finally:
        cluster.close()
        shutil.rmtree(folder, ignore_errors=True)


def _command(pid: int) -> bytes:
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    return b""


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True)
