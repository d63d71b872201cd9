"""A real Ray cluster: machines in network namespaces, TLS and a token, killed, unplugged and added.

Needs Ray (requirements-cluster.txt), root and `ip`: `make test-cluster`.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import product
from pathlib import Path

import numpy as np
import pytest

import settings as configuration
from dev.ray_cluster import RayCluster, ray_cluster
from pipeline import job
from pipeline.assembly import Assembly, open_assembly
from pipeline.cluster.cluster import Cluster
from pipeline.cluster.cluster_file import ClusterFile
from pipeline.cluster.lines import FILE, Lines, verify
from pipeline.imaging import CutOut
from pipeline.job_queue import JobQueue
from pipeline.orders import ENDED, Order, Progress
from privacy import kinds
from privacy.keys import MasterKey
from privacy.sessions import Session
from tests.support.memory_search import found_in
from tests.support.waiting import until

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.skipif(
        find_spec("ray") is None or os.geteuid() != 0 or shutil.which("ip") is None,
        reason="needs Ray (make test-cluster), root and ip",
    ),
]

PHOTO_JOBS, PAINTED_JOBS, SEEDS = 40, 4, (1, 2)


@dataclass
class Company:
    """A front with its queue, and the machines."""

    machines: RayCluster
    assembly: Assembly
    queue: JobQueue
    cluster: Cluster
    file: Path
    receipts: Path

    def visitor(self, photos: list[bytes]) -> Session:
        session, _ = self.assembly.services.sessions.create()
        for number, photo in enumerate(photos):
            self.assembly.services.album.add(session, photo, f"{number}.jpg")
        return session

    def phase(self, session: Session) -> str:
        progress = self.queue.progress(session.id)
        assert progress is not None
        return progress.phase

    def portraits(self, session: Session) -> list[bytes]:
        vault = self.assembly.services.vault
        entries = vault.list(session, kinds.PORTRAIT)
        return [vault.open(session, kinds.PORTRAIT, entry.name) for entry in entries]

    def alone(self, photos: list[bytes], order: Order) -> list[bytes]:
        """The portraits of the same order on one box."""
        session = self.visitor(photos)
        job.run(session, order, self.assembly.services, report=lambda _: None, stop=lambda: False)
        return self.portraits(session)

    def machines_there(self) -> list[str]:
        return [one.machine for one in self.cluster.told()]

    def running_on(self, machine: str) -> bool:
        return any(t.machine == machine and t.state == "busy" for t in self.cluster.told())

    def canaries(self, sessions: list[Session]) -> dict[str, bytes]:
        """What must be nowhere but in the front and in workers: keys, sessions, pixels."""
        found = {}
        for number, session in enumerate(sessions):
            found[f"key {number}"] = session.data_key.reveal()
            found[f"session {number}"] = session.id.encode()
        png = self.assembly.services.vault.open(sessions[0], kinds.PHOTO, "photo-01")
        cut = CutOut.from_png(png)
        y, x = (side // 2 for side in cut.alpha.shape)
        found["png"] = png[4000:4060]
        found["pixels"] = cut.colours[y, x - 40 : x + 40].tobytes()
        found["rgba"] = np.dstack([cut.colours, cut.alpha])[y, x - 40 : x + 40].tobytes()
        return found


@pytest.fixture(scope="module")
def company(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Company]:
    place = tmp_path_factory.mktemp("front")
    with ray_cluster(tiny_base) as machines:
        file = machines.start()
        settings = configuration.load(
            scratch=place / "scratch",
            receipts=place / "receipts",
            base=str(tiny_base),
            cluster=str(file),
            queue_length=100,
        )
        with open_assembly(settings, master_key=MasterKey.ram()) as assembly:
            lines = Lines(settings.receipts / FILE)
            cluster = Cluster(file, assembly.services, assembly.clock.now, keep_line=lines.keep)
            queue = JobQueue(assembly.services, queue_length=100, lanes=())
            cluster.start(queue)
            company = Company(machines, assembly, queue, cluster, file, settings.receipts)
            try:
                machines.add("gpu-1", {"likeness": 1})
                machines.add("cpu-1", {"likeness-photo": 1})
                until(lambda: company.machines_there() == ["cpu-1", "gpu-1"], 90)
                yield company
            finally:
                queue.close()
                cluster.close()


def test_every_job_ends_right_while_machines_are_killed_and_added(
    company: Company, selfie_jpegs: list[bytes]
) -> None:
    photo_orders = [Order((), count=1, seed=seed, way="photo") for seed in SEEDS]
    wanted = {
        (which, order.seed): company.alone([selfie_jpegs[which]], order)
        for which, order in product(range(2), photo_orders)
    }
    painted = Order((), count=2, seed=5, way="painted")
    four = selfie_jpegs[:4]
    wanted_painted = company.alone(four, painted)

    visitors = [company.visitor(four) for _ in range(PAINTED_JOBS)]
    for session in visitors:
        company.queue.submit(session, painted, address=session.id)
    photo_visitors: dict[str, tuple[int, Order]] = {}
    sessions: list[Session] = []
    for number in range(PHOTO_JOBS):
        which, order = number % 2, photo_orders[number // 2 % 2]
        session = company.visitor([selfie_jpegs[which]])
        company.queue.submit(session, order, address=session.id)
        photo_visitors[session.id] = which, order
        sessions.append(session)

    until(lambda: company.running_on("gpu-1"), 60)
    (worker,) = company.machines.workers("gpu-1")
    os.kill(worker, signal.SIGKILL)  # in the middle of what it learns or paints
    company.machines.add("cpu-2", {"likeness-photo": 1})
    until(lambda: company.running_on("cpu-1"), 60)
    company.machines.kill("cpu-1")  # the whole machine
    until(lambda: "cpu-2" in company.machines_there(), 90)

    everybody = [*visitors, *sessions]
    until(lambda: all(company.phase(one) in ENDED for one in everybody), 500)
    assert {company.phase(one) for one in everybody} == {"done"}
    assert all(company.portraits(one) == wanted_painted for one in visitors)
    for session in sessions:
        which, order = photo_visitors[session.id]
        assert company.portraits(session) == wanted[which, order.seed]

    lines = company.receipts / FILE
    assert verify(lines, ClusterFile.read(company.file).authority) >= PHOTO_JOBS
    _nothing_lies_about(company, company.canaries([*visitors[:2], *sessions[:6]]))


def test_only_a_worker_process_knows_a_face_and_only_until_delete_everything(
    company: Company, selfie_jpegs: list[bytes]
) -> None:
    session = company.visitor(selfie_jpegs[:1])
    canaries = company.canaries([session])
    company.queue.submit(session, Order((), count=90, way="photo"))
    until(lambda: _made(company.queue.progress(session.id)), 60)
    holding = {
        pid
        for name in company.machines.names
        for pid in company.machines.processes(name)
        if found_in(pid, canaries)
    }
    workers = {pid for name in company.machines.names for pid in company.machines.workers(name)}
    assert len(holding) == 1
    assert holding <= workers
    _nothing_lies_about(company, canaries)
    company.assembly.services.sessions.erase(session.id, "user")
    time.sleep(5)
    everything = [p for name in company.machines.names for p in company.machines.processes(name)]
    assert [pid for pid in everything if found_in(pid, canaries)] == []
    until(
        lambda: len(company.cluster.told()) == len(company.machines.names), 60
    )  # and another worker is there


def test_a_job_survives_the_agent_and_then_rays_head(
    company: Company, selfie_jpegs: list[bytes]
) -> None:
    order = Order((), count=12, seed=3, way="photo")
    wanted = company.alone(selfie_jpegs[:1], order)
    session = company.visitor(selfie_jpegs[:1])
    company.queue.submit(session, order)
    until(lambda: _made(company.queue.progress(session.id)), 60)
    agent = company.cluster._process
    assert agent is not None
    agent.kill()
    until(lambda: company.phase(session) == "queued", 10)
    until(lambda: company.phase(session) == "done", 120)
    assert company.portraits(session) == wanted

    company.queue.submit(session, order)
    until(lambda: _made(company.queue.progress(session.id)), 60)
    company.machines.restart_head()
    until(lambda: company.phase(session) != "generating", 60)
    for name in company.machines.names:  # as their units do by themselves
        company.machines.restart(name)
    until(lambda: company.phase(session) == "done", 180)
    assert company.portraits(session) == wanted * 2


def test_a_machine_that_loses_the_net_forgets_by_itself(
    company: Company, selfie_jpegs: list[bytes]
) -> None:
    session = company.visitor(selfie_jpegs[:1])
    canaries = company.canaries([session])
    until(lambda: len(company.cluster.told()) == len(company.machines.names), 90)
    company.queue.submit(session, Order((), count=60, seed=4, way="photo"))
    until(lambda: _made(company.queue.progress(session.id)), 60)
    (machine,) = [t.machine for t in company.cluster.told() if t.state == "busy"]
    company.machines.unplug(machine)
    until(lambda: company.phase(session) == "queued" or not company.running_on(machine), 60)
    until(lambda: not any(found_in(p, canaries) for p in company.machines.processes(machine)), 60)
    until(lambda: company.phase(session) == "done", 240)
    assert len(company.portraits(session)) == 60


def _made(progress: Progress | None) -> bool:
    return progress is not None and progress.phase == "generating" and progress.made > 0


def _nothing_lies_about(company: Company, canaries: dict[str, bytes]) -> None:
    """Neither in Ray's session folder (logs, spilled objects), nor in its object store in
    /dev/shm, nor on the workers' disks, nor in command lines."""
    looked = 0
    for folder in (company.machines.folder, Path("/dev/shm")):
        for path in folder.rglob("*"):
            if path.is_file() and not path.is_symlink():
                with suppress(OSError):
                    content = path.read_bytes()
                    looked += len(content)
                    assert [name for name, one in canaries.items() if one in content] == [], path
    assert looked > 100_000
    listed = subprocess.run(["ps", "axeww"], capture_output=True, check=True).stdout
    assert [name for name, one in canaries.items() if one in listed] == []


def test_an_agent_that_runs_by_itself_serves_the_front(
    company: Company, selfie_jpegs: list[bytes]
) -> None:
    """The last one: it takes the places of the agent that the front had started."""
    company.cluster.close()
    door = company.machines.folder / "agent.sock"
    file = company.file.with_name("own-agent.toml")
    file.write_text(f'agent = "{door}"\n{company.file.read_text()}')
    file.chmod(0o600)
    with company.machines.agent(company.file, door):
        cluster = Cluster(file, company.assembly.services, company.assembly.clock.now)
        queue = JobQueue(company.assembly.services, queue_length=5, lanes=())
        cluster.start(queue)
        try:
            session = company.visitor(selfie_jpegs[:1])
            queue.submit(session, Order((), count=2, seed=1, way="photo"))

            def done() -> bool:
                progress = queue.progress(session.id)
                return progress is not None and progress.phase == "done"

            until(done, 120)
            assert len(company.portraits(session)) == 2
        finally:
            queue.close()
            cluster.close()
