"""The cluster as the front has it: its agent, a lane for each worker, and what is known of each."""

from __future__ import annotations

import json
import queue
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import structlog

from errors import BadSettings, TamperedError
from pipeline.cluster.cluster_file import SETTING, ClusterFile
from pipeline.cluster.frames import Frame, Pipe
from pipeline.cluster.lines import KeepLine, read_line
from pipeline.cluster.link import ROOT, LinkLost
from pipeline.cluster.remote_lane import RemoteLane
from pipeline.job import Services
from pipeline.job_queue import JobQueue
from pipeline.lanes import LaneLost

log = structlog.get_logger()

AGAIN_S = 3.0
"""From an agent's end to the next one's start."""

KILLED_S = 3.0
"""Longest wait for the word that a worker is gone."""

READ_S = 5.0
"""Between two looks at the file of the cluster."""


@dataclass(frozen=True)
class Told:
    """What an operator is told of a worker. state: "free", "busy" or "drained"."""

    worker: str
    machine: str
    base: str
    ways: tuple[str, ...]
    state: str
    done: int


class AgentLink:
    """A worker somewhere in the cluster, by way of the agent."""

    def __init__(self, name: str, send: Callable[[list[str], tuple[bytes, ...]], None]) -> None:
        self.name, self._send = name, send
        self._came: queue.Queue[Frame | None] = queue.Queue()
        self._gone = threading.Event()

    def send(self, frame: Frame) -> None:
        """See `Link`."""
        if self._gone.is_set():
            raise LinkLost
        try:
            self._send(["send", self.name, *frame.head()], frame.parts)
        except (OSError, ValueError):
            raise LinkLost from None

    def receive(self, timeout_s: float) -> Frame | None:
        """See `Link`."""
        try:
            frame = self._came.get(timeout=timeout_s)
        except queue.Empty:
            return None
        if frame is None:
            raise LinkLost
        return frame

    def kill(self) -> None:
        """See `Link`; waits a little for the word that it is gone."""
        if not self._gone.is_set():
            with suppress(OSError, ValueError):
                self._send(["kill", self.name], ())
            self._gone.wait(KILLED_S)

    def came(self, frame: Frame) -> None:
        """Take a frame of the worker's."""
        self._came.put(frame)

    def lost(self) -> None:
        """It is gone."""
        self._gone.set()
        self._came.put(None)


class Cluster:
    """Keeps an agent, and gives the queue a lane for each worker that it tells of."""

    def __init__(
        self,
        path: Path,
        services: Services,
        now: Callable[[], float] = time.time,
        keep_line: KeepLine = lambda line: None,
    ) -> None:
        """
        Args:
            path: of the file that `LIKENESS_CLUSTER` names.
            now: the sessions' clock.
            keep_line: given what a machine signs when nothing of a job is left there.

        Raises:
            BadSettings: the file is not what it should be, or Ray is not installed.
        """
        if find_spec("ray") is None:
            raise BadSettings(
                f"{SETTING} needs Ray: pip install --require-hashes -r requirements-cluster.txt"
            )
        self._file, self._services, self._now = ClusterFile.read(path), services, now
        self._keep_line = keep_line
        self._lock = threading.Lock()
        self._lanes: dict[str, tuple[AgentLink, RemoteLane]] = {}
        self._queue: JobQueue | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._pipe: Pipe | None = None
        self._closed = threading.Event()

    def start(self, job_queue: JobQueue) -> None:
        """Find workers for this queue from now on."""
        self._queue = job_queue
        for work in (self._keep_agent, self._reread):
            threading.Thread(target=work, name=work.__name__, daemon=True).start()

    def close(self) -> None:
        """End the agent; workers end with it."""
        self._closed.set()
        if self._pipe is not None:
            self._pipe.shut()
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def told(self) -> list[Told]:
        """What is known of each worker."""
        with self._lock:
            lanes = [lane for _, lane in self._lanes.values() if lane.alive and lane.facts.ways]
        return [
            Told(
                lane.name,
                lane.facts.machine,
                lane.facts.base,
                lane.facts.ways,
                "busy" if lane.busy else "drained" if lane.drained else "free",
                lane.done,
            )
            for lane in sorted(lanes, key=lambda lane: (lane.facts.machine, lane.name))
        ]

    def _keep_agent(self) -> None:
        while not self._closed.is_set():
            try:
                self._pipe = self._reached() if self._file.agent else self._started()
                while (came := self._pipe.receive()) is not None:
                    (what, worker, *head), parts = came
                    self._heed(what, worker, head, parts)
            except (EOFError, OSError, ValueError):
                pass
            with self._lock:
                workers = list(self._lanes)
            for worker in workers:
                self._gone(worker)
            if not self._closed.is_set():
                log.warning("cluster_unreachable", next_try_s=AGAIN_S)
            self._closed.wait(AGAIN_S)

    def _reached(self) -> Pipe:
        """The pipe of the agent that runs.

        Raises:
            OSError: it does not.
        """
        with socket.socket(socket.AF_UNIX) as agent:
            agent.connect(self._file.agent)
            return Pipe(agent.detach())

    def _started(self) -> Pipe:
        """A new agent's pipe."""
        ours, theirs = socket.socketpair()
        # Nothing of this process's environment: only what Ray needs to be let in.
        own = {"PATH": "/usr/local/bin:/usr/bin:/bin", "PYTHONPATH": str(ROOT)}
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "pipeline.cluster.agent", str(self._file.path)],
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                cwd=ROOT,
                env=own | self._file.ray_environment(),
                start_new_session=True,
            )
        return Pipe(ours.detach())

    def _heed(self, what: str, worker: str, head: list[str], parts: tuple[bytes, ...]) -> None:
        if what == "up":
            self._up(worker)
        elif what == "gone":
            self._gone(worker)
            self._ended(parts)
        elif what == "frame":
            with self._lock:
                known = self._lanes.get(worker)
            if known is not None:
                known[0].came(Frame.of(head, parts))

    def _up(self, worker: str) -> None:
        assert self._pipe is not None
        link = AgentLink(worker, self._pipe.send)
        lane = RemoteLane(link, self._services, self._file.authority, self._now, self._keep_line)
        with self._lock:
            self._lanes[worker] = link, lane
        threading.Thread(target=self._meet, args=(lane,), name="meet", daemon=True).start()

    def _meet(self, lane: RemoteLane) -> None:
        with suppress(LaneLost):
            lane.meet()
            lane.drained = lane.facts.machine in self._file.drained
            assert self._queue is not None
            log.info("worker_there", base=lane.facts.base, ways=len(lane.facts.ways))
            self._queue.add_lane(lane)

    def _gone(self, worker: str) -> None:
        with self._lock:
            known = self._lanes.pop(worker, None)
        if known is not None:
            link, lane = known
            lane.alive = False
            link.lost()
            assert self._queue is not None
            self._queue.lanes_changed()

    def _ended(self, parts: tuple[bytes, ...]) -> None:
        with suppress(TamperedError, ValueError):
            signed = read_line(self._file.authority, parts)
            if json.loads(signed.line)["job"]:
                self._keep_line(signed)

    def _reread(self) -> None:
        """Take over which machines are drained, whenever the file changes."""
        seen = self._file.path.stat().st_mtime_ns
        while not self._closed.wait(READ_S):
            with suppress(OSError, BadSettings):
                changed = self._file.path.stat().st_mtime_ns
                if changed == seen:
                    continue
                seen, self._file = changed, ClusterFile.read(self._file.path)
                with self._lock:
                    lanes = [lane for _, lane in self._lanes.values()]
                for lane in lanes:
                    lane.drained = lane.facts.machine in self._file.drained
                assert self._queue is not None
                self._queue.lanes_changed()
