"""Machines of a cluster without Ray: certificates, real worker processes, and a played one."""

from __future__ import annotations

import base64
import json
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dev.own_worker import own_worker
from pipeline.cluster.cluster_file import ClusterFile
from pipeline.cluster.frames import Frame
from pipeline.cluster.identity import Signer
from pipeline.cluster.lines import sign_line
from pipeline.cluster.link import Child, LinkLost
from pipeline.cluster.talk import Talk, job_info, signed
from privacy.envelope import Receiver
from privacy.keys import DataKey, Session
from settings import VERSION
from tools.cluster_certs import write


def cluster_of(folder: Path, *names: str) -> dict[str, ClusterFile]:
    """The files of these machines, all of one cluster."""
    homes = write(folder, [(name, "127.0.0.1") for name in names])
    found = dict(zip(names, homes, strict=True))
    return {name: ClusterFile.read(home / "cluster.toml") for name, home in found.items()}


@contextmanager
def worker_process(file: ClusterFile, folder: Path, base: Path, **more: str) -> Iterator[Child]:
    """A real worker process of that machine. folder: of its scratch. more: of its environment."""
    with own_worker(file.path, folder, base, **more) as child:
        yield child


class PlayedWorker:
    """A worker that somebody took over: it has its machine's certificate, and does as it likes.

    `at_job` is called when a job has been opened, and answers through `say`.
    """

    def __init__(self, signer: Signer, name: str = "played") -> None:
        self.name, self.signer = name, signer
        self.receiver, self.out, self.seen = Receiver(), deque[Frame](), list[Frame]()
        self.facts: dict[str, Any] = {
            "version": VERSION,
            "base": "tiny",
            "ways": ["photo", "painted", "both"],
        }
        self.session: Session | None = None
        self.talk: Talk | None = None
        self.job, self.killed = "", False

    def at_job(self, what: dict[str, Any], files: tuple[bytes, ...]) -> None:
        """Do what a test wants; by default, be done at once."""
        self.end()

    def say(self, what: dict[str, Any], *files: bytes) -> Frame:
        """Send something of the job."""
        assert self.talk is not None
        frame = Frame("talk", self.job, self.talk.say(what, files))
        self.out.append(frame)
        return frame

    def end(self) -> None:
        """Say that the job is done, and that nothing of it is held."""
        self.say({"is": "end", "report": REPORT})
        line = sign_line(self.signer, event="released", job=self.job)
        self.out.append(Frame("over", self.job, line))

    # --- the link -------------------------------------------------------------------------------

    def send(self, frame: Frame) -> None:
        """Take a frame of the front's."""
        if self.killed:
            raise LinkLost
        self.seen.append(frame)
        if frame.kind == "hello":
            public, facts = self.receiver.public(), json.dumps(self.facts).encode()
            signature = self.signer.sign(signed(frame.parts[0], public, facts))
            parts = (public, facts, self.signer.certificate, signature)
            self.out.append(Frame("key", frame.job, parts))
        elif frame.kind == "job":
            whose = json.loads(self.receiver.open(frame.parts[0], job_info(frame.job)))
            self.session = Session(whose["session"], DataKey(base64.b64decode(whose["key"])))
            self.job = frame.job
            self.talk = Talk(base64.b64decode(whose["talk"]), frame.job, "worker")
            what, files = self.talk.hear(frame.parts[1:])
            self.at_job(what, files)

    def receive(self, timeout_s: float) -> Frame | None:
        """Give a frame to the front."""
        if self.killed:
            raise LinkLost
        return self.out.popleft() if self.out else None

    def kill(self) -> None:
        """It is gone."""
        self.killed = True


REPORT: dict[str, Any] = {
    "ways": ["photo"],
    "photo": None,
    "dressed": None,
    "base": "",
    "adapter": {},
    "choice": {},
    "seconds": {"total": 0.1},
    "headshots": 0,
    "likeness": {},
    "again": {},
    "seconds_per_portrait": 1.0,
    "seconds_per_step": None,
    "steps_down": 0,
}
