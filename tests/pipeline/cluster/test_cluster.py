"""The front's side of a cluster, with an agent that is played: carriers and workers are real."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from dev.own_worker import started_worker
from errors import BadSettings
from pipeline.assembly import Assembly
from pipeline.cluster import cluster as clusters
from pipeline.cluster.carrier import Carrier
from pipeline.cluster.cluster import Cluster
from pipeline.cluster.cluster_file import ClusterFile
from pipeline.cluster.frames import Pipe
from pipeline.cluster.lines import FILE, Lines, verify
from pipeline.job_queue import JobQueue
from pipeline.orders import Order
from privacy.sessions import Session
from tests.support.machines import cluster_of
from tests.support.waiting import until

pytestmark = pytest.mark.slow


class PlayedAgent:
    """Stands in for Ray and the agent: one carrier, reached through a socket."""

    def __init__(self, path: Path, carrier: Carrier) -> None:
        self._path, self._carrier = path, carrier
        self._door = socket.socket(socket.AF_UNIX)
        self._door.bind(str(path))
        self._door.listen(1)
        self.pipe: Pipe | None = None
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                front, _ = self._door.accept()
                self.pipe = pipe = Pipe(front.detach())
                threading.Thread(target=self._carry, args=(pipe,), daemon=True).start()
                with suppress(EOFError, OSError):
                    while (came := pipe.receive()) is not None:
                        (what, worker, *head), parts = came
                        if what == "kill":
                            self._carrier.kill(worker)
                        else:
                            self._carrier.give(worker, head, list(parts))
                self.pipe = None
                self._carrier.kill(self._carrier.worker())  # as all of Ray's actors end with it

    def _carry(self, pipe: Pipe) -> None:
        with suppress(OSError):
            known = self._carrier.worker()
            pipe.send(["up", known])
            while self.pipe is pipe:
                for worker, head, parts in self._carrier.take(0.2):
                    pipe.send([head[0], worker, *head[1:]], parts)
                if self._carrier.worker() != known:
                    known = self._carrier.worker()
                    pipe.send(["up", known])

    def close(self) -> None:
        self._door.close()
        self._carrier.close()


@dataclass
class Front:
    """The front, its queue, the agent that is played and the file of what machines signed."""

    cluster: Cluster
    queue: JobQueue
    agent: PlayedAgent
    carrier: Carrier
    file: Path
    lines: Path


@pytest.fixture
def front(
    assembly: Assembly, tiny_base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Front]:
    files = cluster_of(tmp_path / "pki", "front", "gpu-1")
    path, place = files["front"].path, tmp_path / "agent.sock"
    path.write_text(f'agent = "{place}"\n{path.read_text()}')
    monkeypatch.setenv("LIKENESS_CLUSTER", str(files["gpu-1"].path))
    monkeypatch.setattr(clusters, "find_spec", lambda name: True)
    monkeypatch.setattr(clusters, "AGAIN_S", 0.1)
    monkeypatch.setattr(clusters, "READ_S", 0.1)
    worker = files["gpu-1"].path, tmp_path, tiny_base
    carrier = Carrier("gpu-1", start=lambda name, photo: started_worker(*worker, name))
    agent, lines = PlayedAgent(place, carrier), tmp_path / FILE
    cluster = Cluster(path, assembly.services, assembly.clock.now, Lines(lines).keep)
    queue = JobQueue(assembly.services, queue_length=5, lanes=())
    cluster.start(queue)
    try:
        yield Front(cluster, queue, agent, carrier, path, lines)
    finally:
        queue.close()
        cluster.close()
        agent.close()


@pytest.fixture
def ann(assembly: Assembly, selfie_jpegs: list[bytes]) -> Session:
    session, _ = assembly.services.sessions.create()
    assembly.services.album.add(session, selfie_jpegs[0], "me.jpg")
    return session


def phase(front: Front, session: Session) -> str:
    progress = front.queue.progress(session.id)
    return progress.phase if progress else ""


def test_a_job_goes_there_is_signed_for_and_another_worker_follows_a_killed_one(
    assembly: Assembly, front: Front, ann: Session
) -> None:
    front.queue.submit(ann, Order((), count=2, way="photo"))
    until(lambda: phase(front, ann) == "done", 60)
    (told,) = front.cluster.told()
    assert (told.machine, told.state, told.done) == ("gpu-1", "free", 1)

    front.queue.submit(ann, Order((), count=60, way="photo"))
    until(lambda: phase(front, ann) == "generating", 60)
    first = front.carrier.worker()
    started = time.monotonic()
    assembly.services.sessions.erase(ann.id, "user")
    assert time.monotonic() - started < 5
    authority = ClusterFile.read(front.file).authority
    until(
        lambda: front.lines.exists() and '"ended' in front.lines.read_text().replace("\\", ""), 10
    )
    assert verify(front.lines, authority) >= 2
    until(lambda: front.carrier.worker() != first, 30)
    until(lambda: len(front.cluster.told()) == 1, 60)


def test_an_agent_that_comes_back_is_found_and_the_order_goes_on(
    front: Front, ann: Session
) -> None:
    front.queue.submit(ann, Order((), count=8, way="photo"))
    until(lambda: phase(front, ann) == "generating", 60)
    assert front.agent.pipe is not None
    front.agent.pipe.shut()
    until(lambda: phase(front, ann) == "done", 90)
    progress = front.queue.progress(ann.id)
    assert progress is not None
    assert len(front.queue.portraits(ann)) == 8


def test_a_machine_is_drained_by_its_name_and_comes_back_without_it(
    front: Front, ann: Session
) -> None:
    until(lambda: len(front.cluster.told()) == 1, 60)
    text = front.file.read_text()
    front.file.write_text(text.replace("drained = []", 'drained = ["gpu-1"]'))
    until(lambda: front.cluster.told()[0].state == "drained", 10)
    front.queue.submit(ann, Order((), count=1, way="photo"))
    progress = front.queue.progress(ann.id)
    assert progress is not None
    assert progress.message is not None
    assert progress.message.key == "job.ahead.nobody"
    front.file.write_text(text)
    until(lambda: phase(front, ann) == "done", 60)


def test_a_carrier_that_nobody_hears_ends_its_worker(
    front: Front, ann: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    front.queue.submit(ann, Order((), count=60, way="photo"))
    until(lambda: phase(front, ann) == "generating", 60)
    first = front.carrier.worker()
    monkeypatch.setattr("pipeline.cluster.carrier.UNHEARD_S", -1.0)
    until(lambda: front.carrier.worker() != first, 30)


def test_without_ray_the_server_says_what_to_install(
    assembly: Assembly, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clusters, "find_spec", lambda name: None)
    with pytest.raises(BadSettings, match=r"requirements-cluster\.txt"):
        Cluster(tmp_path / "cluster.toml", assembly.services)
