"""What it costs that a job runs elsewhere: seconds and bytes, beside the same job in this process.

With Ray, root and `ip` through a real cluster of this machine, else through a pipe to a worker.
"""

from __future__ import annotations

import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import settings as configuration
from benchmarks.measure import Measurement
from dev.own_worker import own_worker
from dev.ray_cluster import ray_cluster
from pipeline import job
from pipeline.assembly import Assembly, open_assembly
from pipeline.cluster.cluster import Cluster
from pipeline.cluster.cluster_file import ClusterFile
from pipeline.cluster.frames import Frame
from pipeline.cluster.link import Link
from pipeline.cluster.remote_lane import RemoteLane
from pipeline.orders import Order
from privacy import kinds
from privacy.keys import MasterKey
from privacy.sessions import Session
from tools.cluster_certs import write

TIMES, ORDER = 7, Order((), count=4, seed=3, way="photo")
BASE = configuration.ROOT / "models" / "studio-mini"


@dataclass
class _Counted:
    """A link that counts bytes."""

    link: Link
    passed: int = 0

    @property
    def name(self) -> str:
        return self.link.name

    def send(self, frame: Frame) -> None:
        self.passed += frame.size + len(str(frame.head()))
        self.link.send(frame)

    def receive(self, timeout_s: float) -> Frame | None:
        frame = self.link.receive(timeout_s)
        self.passed += 0 if frame is None else frame.size + len(str(frame.head()))
        return frame

    def kill(self) -> None:
        self.link.kill()


def run() -> dict[str, Measurement]:
    """Seconds of a job of four portraits there and here, by turns; bytes that passed, beside those
    of the photo and the portraits as they lie in the vault."""
    folder = Path(tempfile.mkdtemp(prefix="lkb", dir="/tmp"))
    try:
        own = {"scratch": folder / "scratch", "receipts": folder / "receipts"}
        settings = configuration.load(base=str(BASE), **own)
        with (
            open_assembly(settings, master_key=MasterKey.ram()) as assembly,
            _lane(assembly, folder) as (lane, counted),
        ):
            return _measured(assembly, lane, counted)
    finally:
        shutil.rmtree(folder)


def _measured(assembly: Assembly, lane: RemoteLane, counted: _Counted) -> dict[str, Measurement]:
    here, there, shares = list[float](), list[float](), list[float]()
    for turn in range(TIMES + 1):
        session = _visitor(assembly)
        started = time.perf_counter()
        job.run(session, ORDER, assembly.services, report=lambda _: None, stop=lambda: False)
        alone = time.perf_counter() - started
        assembly.services.sessions.erase(session.id, "user")
        session = _visitor(assembly)
        counted.passed, started = 0, time.perf_counter()
        lane.run(
            session,
            ORDER,
            report=lambda _: None,
            stop=lambda: False,
            seconds_per_portrait=None,
        )
        elsewhere, passed = time.perf_counter() - started, counted.passed
        files = sum(
            len(assembly.services.vault.sealed(session, entry.kind, entry.name).ciphertext)
            for entry in assembly.services.vault.list(session)
            if entry.kind in (kinds.PHOTO, kinds.PORTRAIT)
        )
        assembly.services.sessions.erase(session.id, "user")
        if turn:  # the first loads the models, on either side
            here.append(alone)
            there.append(elsewhere)
            shares.append(passed / files)
    more = [far - near for far, near in zip(there, here, strict=True)]
    return {
        "cluster_job": Measurement(
            statistics.median(there), "s", "ratio as near 1 as can be", statistics.median(here)
        ),
        "cluster_overhead": Measurement(statistics.median(more), "s", "<= 0.15"),
        "cluster_bytes": Measurement(statistics.median(shares), "×", "<= 1.03"),
    }


def _visitor(assembly: Assembly) -> Session:
    sample = min((configuration.ROOT / "web" / "samples").glob("*.jpg"))
    session, _ = assembly.services.sessions.create()
    assembly.services.album.add(session, sample.read_bytes(), "me.jpg")
    return session


@contextmanager
def _lane(assembly: Assembly, folder: Path) -> Iterator[tuple[RemoteLane, _Counted]]:
    if find_spec("ray") and os.geteuid() == 0 and shutil.which("ip"):
        with ray_cluster(BASE) as machines:
            file = machines.start()
            cluster = Cluster(file, assembly.services)
            cluster.start(_NoQueue())  # type: ignore[arg-type]
            try:
                machines.add("gpu-1", {"likeness": 1})
                while not cluster.told():
                    time.sleep(0.1)
                link = next(iter(cluster._lanes.values()))[0]
                yield _counting(link, assembly, ClusterFile.read(file))
            finally:
                cluster.close()
        return
    front, machine = write(folder / "pki", [("front", "127.0.0.1"), ("gpu-1", "127.0.0.2")])
    with own_worker(machine / "cluster.toml", folder, BASE) as child:
        yield _counting(child, assembly, ClusterFile.read(front / "cluster.toml"))


def _counting(link: Link, assembly: Assembly, file: ClusterFile) -> tuple[RemoteLane, _Counted]:
    counted = _Counted(link)
    lane = RemoteLane(counted, assembly.services, file.authority, assembly.clock.now)
    lane.meet()
    return lane, counted


class _NoQueue:
    """Takes no jobs: the lane is used by hand."""

    def add_lane(self, lane: object) -> None:
        """Nothing."""

    def lanes_changed(self) -> None:
        """Nothing."""
