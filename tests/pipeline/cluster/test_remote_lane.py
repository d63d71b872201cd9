"""Jobs in a real worker process: the same portraits to the bit, and nothing left there."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from errors import BadOrder, Stopped
from pipeline import job
from pipeline.assembly import Assembly
from pipeline.cluster.cluster_file import ClusterFile
from pipeline.cluster.lines import SignedLine
from pipeline.cluster.link import Child
from pipeline.cluster.remote_lane import RemoteLane
from pipeline.lanes import LaneLost
from pipeline.orders import Order, Progress, Report
from privacy import kinds
from privacy.sessions import Session
from tests.support.machines import PlayedWorker, cluster_of, worker_process
from tests.support.waiting import until

pytestmark = pytest.mark.slow

BOTH = Order((), count=3, seed=11, way="both")


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> dict[str, ClusterFile]:
    return cluster_of(tmp_path_factory.mktemp("pki"), "front", "gpu-1", "gpu-2")


@pytest.fixture(scope="module")
def child(
    cluster: dict[str, ClusterFile], tiny_base: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Child]:
    """A worker that tests share as long as they leave it alive. Its clock is 400 days behind."""
    folder = tmp_path_factory.mktemp("w")
    folder.joinpath("sitecustomize.py").write_text(f"""
import pathlib, time
right = time.time
time.time = lambda: right() - 400 * 86400
time.time_ns = lambda: int(time.time() * 1e9)
pathlib.Path({str(folder / "behind")!r}).touch()
""")
    with worker_process(cluster["gpu-1"], folder, tiny_base, PYTHONPATH=str(folder)) as child:
        yield child
    assert (folder / "behind").exists()


def visitor(assembly: Assembly, jpegs: list[bytes]) -> Session:
    session, _ = assembly.services.sessions.create()
    for number, photo in enumerate(jpegs[:4]):
        assembly.services.album.add(session, photo, f"{number}.jpg")
    assembly.services.album.compare(session)
    return session


@pytest.fixture
def ann(assembly: Assembly, selfie_jpegs: list[bytes]) -> Session:
    return visitor(assembly, selfie_jpegs)


def lane_of(
    link: Child | PlayedWorker, assembly: Assembly, cluster: dict[str, ClusterFile]
) -> RemoteLane:
    return RemoteLane(link, assembly.services, cluster["front"].authority, assembly.clock.now)


def ran(
    lane: RemoteLane,
    session: Session,
    order: Order,
    *,
    report: Callable[[Progress], None] = lambda _: None,
    stop: Callable[[], bool] = lambda: False,
) -> Report:
    return lane.run(session, order, report=report, stop=stop, seconds_per_portrait=None)


def portraits(assembly: Assembly, session: Session) -> list[bytes]:
    vault = assembly.services.vault
    entries = vault.list(session, kinds.PORTRAIT)
    return [vault.open(session, kinds.PORTRAIT, entry.name) for entry in entries]


def test_the_portraits_are_those_of_one_box_to_the_bit(
    assembly: Assembly,
    cluster: dict[str, ClusterFile],
    child: Child,
    ann: Session,
    selfie_jpegs: list[bytes],
) -> None:
    lines: list[SignedLine] = []
    lane = RemoteLane(
        child,
        assembly.services,
        cluster["front"].authority,
        assembly.clock.now,
        keep_line=lines.append,
    )
    assert lane.meet().machine == "gpu-1"
    shown: list[Progress] = []
    report = ran(lane, ann, BOTH, report=shown.append)
    here = visitor(assembly, selfie_jpegs)
    alone = job.run(here, BOTH, assembly.services, report=shown.append, stop=lambda: False)
    assert portraits(assembly, ann) == portraits(assembly, here)
    assert len(portraits(assembly, ann)) == 6
    assert report.likeness == alone.likeness
    assert report.photo is not None
    assert {"preparing", "training", "generating"} <= {progress.phase for progress in shown}
    assert assembly.services.sessions.deadline(ann).delivered_at is not None
    kept = {entry.kind for entry in assembly.services.vault.list(ann)}
    assert not kept & {kinds.ADAPTER, kinds.CHECKPOINT}
    ran(lane, ann, replace(BOTH, count=1, way="photo"))
    assert [line.machine for line in lines] == ["gpu-1"]  # of the job before


def test_a_stop_is_heard_and_what_was_made_stays(
    assembly: Assembly, cluster: dict[str, ClusterFile], child: Child, ann: Session
) -> None:
    lane, stopping = lane_of(child, assembly, cluster), threading.Event()

    def report(progress: Progress) -> None:
        if progress.made >= 4:
            stopping.set()

    with pytest.raises(Stopped):
        ran(lane, ann, replace(BOTH, count=60, way="photo"), report=report, stop=stopping.is_set)
    assert 4 <= len(portraits(assembly, ann)) < 60
    assert lane.alive


def test_an_order_that_cannot_start_is_told_as_here(
    assembly: Assembly, cluster: dict[str, ClusterFile], child: Child
) -> None:
    empty, _ = assembly.services.sessions.create()
    lane = lane_of(child, assembly, cluster)
    with pytest.raises(BadOrder) as why:
        ran(lane, empty, BOTH)
    assert why.value.message.key == "order.no_photos"
    assert lane.alive


def test_a_killed_workers_order_is_finished_by_another_from_its_checkpoint(
    assembly: Assembly,
    cluster: dict[str, ClusterFile],
    tiny_base: Path,
    tmp_path: Path,
    ann: Session,
    child: Child,
    selfie_jpegs: list[bytes],
) -> None:
    order = replace(BOTH, earlier=0)
    with worker_process(cluster["gpu-2"], tmp_path, tiny_base) as doomed:
        lane = lane_of(doomed, assembly, cluster)

        def report(progress: Progress) -> None:
            if progress.phase == "generating" and progress.steps == 0 and painted(assembly, ann):
                doomed.kill()

        with pytest.raises(LaneLost):
            ran(lane, ann, order, report=report)
        assert not lane.alive
    kept = {entry.kind for entry in assembly.services.vault.list(ann)}
    assert kinds.ADAPTER in kept  # what it had learnt goes on
    shown: list[Progress] = []
    ran(lane_of(child, assembly, cluster), ann, order, report=shown.append)
    assert "training" not in {progress.phase for progress in shown}
    here = visitor(assembly, selfie_jpegs)
    job.run(here, order, assembly.services, report=lambda _: None, stop=lambda: False)
    assert portraits(assembly, ann) == portraits(assembly, here)


def painted(assembly: Assembly, session: Session) -> bool:
    return bool(assembly.services.vault.list(session, kinds.ADAPTER))


def test_a_worker_that_says_nothing_is_lost(
    assembly: Assembly,
    cluster: dict[str, ClusterFile],
    ann: Session,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("pipeline.cluster.remote_lane.SILENT_S", 0.3)
    worker = PlayedWorker(cluster["gpu-1"].signer)
    worker.at_job = lambda what, files: None  # type: ignore[method-assign]
    lane = lane_of(worker, assembly, cluster)
    with pytest.raises(LaneLost):
        ran(lane, ann, BOTH)
    assert worker.killed
    assert not lane.alive


def test_a_worker_that_does_not_stop_is_ended(
    assembly: Assembly,
    cluster: dict[str, ClusterFile],
    ann: Session,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("pipeline.cluster.remote_lane.STOPS_S", 0.3)
    worker = PlayedWorker(cluster["gpu-1"].signer)
    worker.at_job = lambda what, files: None  # type: ignore[method-assign]
    with pytest.raises(LaneLost):
        ran(lane_of(worker, assembly, cluster), ann, BOTH, stop=lambda: True)
    assert worker.killed


def test_a_worker_of_another_version_gets_no_job(
    assembly: Assembly, cluster: dict[str, ClusterFile], ann: Session
) -> None:
    worker = PlayedWorker(cluster["gpu-1"].signer)
    worker.facts["version"] = "0.0.1"
    with pytest.raises(LaneLost):
        lane_of(worker, assembly, cluster).meet()
    assert [frame.kind for frame in worker.seen] == ["hello"]


def test_a_worker_ends_with_whoever_started_it(
    cluster: dict[str, ClusterFile], tiny_base: Path, tmp_path: Path
) -> None:
    with worker_process(cluster["gpu-2"], tmp_path, tiny_base) as child:
        pid = child.pid
        child._pipe.close()
        until(lambda: child._process.poll() is not None, 30)
        assert not Path(f"/proc/{pid}").exists()
