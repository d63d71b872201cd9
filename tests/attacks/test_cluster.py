"""Attacks on jobs that run elsewhere: by whoever carries the frames, by a worker that was taken
over, by a machine that does not belong, and by looking into a worker's memory afterwards.
"""

from __future__ import annotations

import ast
import base64
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from errors import TamperedError, UnknownSession
from pipeline.assembly import Assembly
from pipeline.cluster.cluster_file import ClusterFile
from pipeline.cluster.frames import Frame
from pipeline.cluster.remote_lane import RemoteLane
from pipeline.imaging import CutOut
from pipeline.lanes import LaneLost
from pipeline.orders import Order, Report
from privacy import kinds
from privacy.sealed import Sealed, seal
from privacy.sessions import Session
from settings import ROOT
from tests.support.machines import PlayedWorker, cluster_of, worker_process
from tests.support.memory_search import found_in
from tests.support.waiting import until

ORDER = Order((), count=2, way="photo")


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> dict[str, ClusterFile]:
    return cluster_of(tmp_path_factory.mktemp("pki"), "front", "gpu-1", "gpu-2")


@pytest.fixture
def ann(assembly: Assembly, selfie_jpegs: list[bytes]) -> Session:
    session, _ = assembly.services.sessions.create()
    assembly.services.album.add(session, selfie_jpegs[0], "me.jpg")
    return session


@pytest.fixture
def bob(assembly: Assembly) -> Session:
    session, _ = assembly.services.sessions.create()
    assembly.services.vault.put(session, kinds.PORTRAIT, "portrait-001", b"bob")
    return session


@pytest.fixture
def worker(cluster: dict[str, ClusterFile]) -> PlayedWorker:
    return PlayedWorker(cluster["gpu-1"].signer)


@pytest.fixture
def go(
    assembly: Assembly, cluster: dict[str, ClusterFile]
) -> Callable[[PlayedWorker, Session], Report]:
    """Run an order on a played worker."""

    def go(worker: PlayedWorker, session: Session) -> Report:
        authority = cluster["front"].authority
        lane = RemoteLane(worker, assembly.services, authority, assembly.clock.now)
        return lane.run(
            session,
            ORDER,
            report=lambda _: None,
            stop=lambda: False,
            seconds_per_portrait=None,
        )

    return go


def kept(assembly: Assembly, session: Session) -> list[tuple[str, str]]:
    return [(entry.kind, entry.name) for entry in assembly.services.vault.list(session)]


@pytest.mark.fact(72)
def test_who_carries_a_job_sees_ciphertext_alone(
    assembly: Assembly,
    ann: Session,
    worker: PlayedWorker,
    go: Callable[[PlayedWorker, Session], Report],
) -> None:
    portrait = b"a portrait that nobody else may see"

    def work(what: dict[str, Any], files: tuple[bytes, ...]) -> None:
        assert worker.session is not None
        file = seal(worker.session, kinds.PORTRAIT, "portrait-001", portrait)
        put = [[file.kind, file.name, file.size]]
        answered.append(worker.say({"is": "files", "put": put, "gone": []}, file.ciphertext))
        worker.end()

    answered: list[Frame] = []
    worker.at_job = work  # type: ignore[method-assign]
    go(worker, ann)
    passed = b"".join(part for frame in (*worker.seen, *answered) for part in frame.parts)
    photo = assembly.services.vault.open(ann, kinds.PHOTO, "photo-01")
    secrets = (ann.data_key.reveal(), ann.id.encode(), photo[100:140], b"corporate", portrait)
    assert [secret for secret in secrets if secret in passed] == []
    opened = assembly.services.vault.open(ann, kinds.PORTRAIT, "portrait-001")
    assert opened == portrait
    assert {frame.kind for frame in worker.seen} == {"hello", "job"}


@pytest.mark.fact(73)
@pytest.mark.parametrize("in_between", ["key", "facts", "signature", "certificate", "challenge"])
def test_who_puts_another_key_in_the_workers_place_gets_no_envelope(
    ann: Session,
    worker: PlayedWorker,
    cluster: dict[str, ClusterFile],
    go: Callable[[PlayedWorker, Session], Report],
    in_between: str,
) -> None:
    original, earlier = worker.send, list[Frame]()

    def send(frame: Frame) -> None:
        original(frame)
        if frame.kind != "hello":
            return
        answer = worker.out.pop()
        public, facts, certificate, signature = answer.parts
        parts = {
            "key": (bytes([9]) + bytes(31), facts, certificate, signature),
            "facts": (public, facts.replace(b"tiny", b"huge"), certificate, signature),
            "signature": (public, facts, certificate, signature[:-1] + b"?"),
            "certificate": (public, facts, cluster["gpu-2"].signer.certificate, signature),
            "challenge": earlier[-1].parts if earlier else answer.parts,
        }[in_between]
        worker.out.append(replace(answer, parts=parts))
        earlier.append(answer)

    worker.send = send  # type: ignore[method-assign]
    if in_between == "challenge":  # an answer that was recorded, once more
        send(Frame("hello", "", (b"an earlier question",)))
        worker.out.clear()
    with pytest.raises(LaneLost):
        go(worker, ann)
    assert "job" not in {frame.kind for frame in worker.seen}


@pytest.mark.fact(73)
def test_a_machine_that_does_not_belong_gets_no_envelope(
    ann: Session, tmp_path: Path, go: Callable[[PlayedWorker, Session], Report]
) -> None:
    stranger = PlayedWorker(cluster_of(tmp_path, "gpu-1")["gpu-1"].signer)
    with pytest.raises(LaneLost):
        go(stranger, ann)
    assert [frame.kind for frame in stranger.seen] == ["hello"]


@pytest.mark.fact(73)
def test_an_envelope_opens_on_no_other_worker_and_not_again(
    ann: Session,
    worker: PlayedWorker,
    cluster: dict[str, ClusterFile],
    go: Callable[[PlayedWorker, Session], Report],
) -> None:
    go(worker, ann)
    recorded = next(frame for frame in worker.seen if frame.kind == "job")
    other = PlayedWorker(cluster["gpu-2"].signer)
    for somebody in (other, worker):
        somebody.send(Frame("hello", recorded.job, (b"question",)))
        with pytest.raises(TamperedError):
            somebody.send(recorded)


@pytest.mark.fact(74)
@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (kinds.PHOTO, "photo-01"),
        (kinds.FACE, "photo-01"),
        (kinds.ORDER, "order"),
        (kinds.SHEET, "kept"),
        (kinds.HEARTS, "hearts"),
        (kinds.PORTRAIT, "kept-001"),
        (kinds.PORTRAIT, "../../portrait-001"),
    ],
)
def test_a_worker_that_was_taken_over_writes_nothing_but_what_a_job_makes(
    assembly: Assembly,
    ann: Session,
    worker: PlayedWorker,
    go: Callable[[PlayedWorker, Session], Report],
    kind: str,
    name: str,
) -> None:
    before = kept(assembly, ann)

    def work(what: dict[str, Any], files: tuple[bytes, ...]) -> None:
        assert worker.session is not None
        file = seal(worker.session, kind, name, b"mine")
        put = [[kind, name, file.size]]
        worker.say({"is": "files", "put": put, "gone": []}, file.ciphertext)
        worker.end()

    worker.at_job = work  # type: ignore[method-assign]
    with pytest.raises(LaneLost):
        go(worker, ann)
    assert kept(assembly, ann) == before
    assert worker.killed


@pytest.mark.fact(74)
@pytest.mark.parametrize("kind", [kinds.PORTRAIT, kinds.PHOTO, kinds.SHEET, kinds.ORDER])
def test_nor_does_it_delete_anything_else(
    assembly: Assembly,
    ann: Session,
    worker: PlayedWorker,
    go: Callable[[PlayedWorker, Session], Report],
    kind: str,
) -> None:
    assembly.services.vault.put(ann, kinds.PORTRAIT, "portrait-001", b"earlier")
    before = kept(assembly, ann)
    worker.at_job = lambda what, files: (  # type: ignore[method-assign]
        worker.say({"is": "files", "put": [], "gone": [[kind, None]]}),
        worker.end(),
    )[1]
    with pytest.raises(LaneLost):
        go(worker, ann)
    assert kept(assembly, ann) == before


@pytest.mark.fact(74)
def test_a_worker_reaches_no_other_session(
    assembly: Assembly,
    ann: Session,
    bob: Session,
    worker: PlayedWorker,
    go: Callable[[PlayedWorker, Session], Report],
) -> None:
    foreign = assembly.services.vault.sealed(bob, kinds.PORTRAIT, "portrait-001")

    def work(what: dict[str, Any], files: tuple[bytes, ...]) -> None:
        assert worker.session is not None
        assert worker.session.id == ann.id
        names = {row[0] for row in what["files"]}
        assert names <= {kinds.PHOTO, kinds.FACE}
        for session in (bob.id, "x" * 22):  # said, and not heeded
            row = [foreign.kind, foreign.name, foreign.size]
            said = {"is": "files", "session": session, "put": [row], "gone": []}
            worker.say(said, foreign.ciphertext)
        worker.end()

    worker.at_job = work  # type: ignore[method-assign]
    go(worker, ann)
    assert assembly.services.vault.open(bob, kinds.PORTRAIT, "portrait-001") == b"bob"
    with pytest.raises(TamperedError):  # bob's, under ann's name: opens to nobody
        assembly.services.vault.open(ann, kinds.PORTRAIT, "portrait-001")


@pytest.mark.fact(74)
@pytest.mark.parametrize("trick", ["cut", "replayed", "swapped", "garbage"])
def test_what_was_changed_on_the_way_back_is_not_kept(
    assembly: Assembly,
    ann: Session,
    worker: PlayedWorker,
    go: Callable[[PlayedWorker, Session], Report],
    trick: str,
) -> None:
    def work(what: dict[str, Any], files: tuple[bytes, ...]) -> None:
        assert worker.session is not None
        made = [seal(worker.session, kinds.PORTRAIT, f"portrait-00{n}", b"p") for n in (1, 2)]
        put = [[file.kind, file.name, file.size] for file in made]
        frame = worker.say(
            {"is": "files", "put": put, "gone": []}, *(file.ciphertext for file in made)
        )
        words, one, two = worker.out.pop().parts
        parts = {
            "cut": (words, one),
            "replayed": (words, one, two),
            "swapped": (words, two, one),
            "garbage": (words, bytes(len(one)), two),
        }[trick]
        worker.out.append(replace(frame, parts=parts))
        if trick == "replayed":
            worker.out.append(frame)
        worker.end()

    worker.at_job = work  # type: ignore[method-assign]
    with pytest.raises(LaneLost):
        go(worker, ann)
    portraits = [name for kind, name in kept(assembly, ann) if kind == kinds.PORTRAIT]
    assert portraits == (["portrait-001", "portrait-002"] if trick == "replayed" else [])


@pytest.mark.fact(74)
@pytest.mark.parametrize(
    "nonsense",
    [
        [],
        {},
        {"is": "progress"},
        {"is": "progress", "progress": {"made": "all", "message": {"key": 3}}},
        {"is": "end", "report": {"ways": 3}},
        {"is": "end", "error": {"type": "SystemExit"}},
        {"is": "end", "error": {"name": "BadOrder", "message": {"key": 3, "values": {}}}},
        {"is": "files", "put": 3, "gone": []},
        {"is": "files", "put": [], "gone": [3]},
        {"is": "files", "put": [["portrait", "portrait-001", "big"]], "gone": []},
    ],
)
def test_a_worker_that_says_nonsense_is_lost(
    assembly: Assembly,
    ann: Session,
    worker: PlayedWorker,
    go: Callable[[PlayedWorker, Session], Report],
    nonsense: Any,
) -> None:
    before = kept(assembly, ann)
    worker.at_job = lambda what, files: worker.say(nonsense)  # type: ignore[assignment, method-assign]
    with pytest.raises(LaneLost):
        go(worker, ann)
    assert kept(assembly, ann) == before
    assert worker.killed


@pytest.mark.fact(74)
def test_a_file_of_another_length_than_it_says_is_not_kept(
    assembly: Assembly, ann: Session
) -> None:
    file = seal(ann, kinds.PORTRAIT, "portrait-001", b"a portrait")
    for lie in (replace(file, size=9), replace(file, ciphertext=file.ciphertext[:-1])):
        with pytest.raises(TamperedError):
            assembly.services.vault.put_sealed(ann, [lie])
    assert kinds.PORTRAIT not in {kind for kind, _ in kept(assembly, ann)}


@pytest.mark.fact(75)
def test_nothing_is_taken_for_a_session_that_was_erased(
    assembly: Assembly,
    ann: Session,
    worker: PlayedWorker,
    go: Callable[[PlayedWorker, Session], Report],
) -> None:
    def work(what: dict[str, Any], files: tuple[bytes, ...]) -> None:
        assert worker.session is not None
        file = seal(worker.session, kinds.PORTRAIT, "portrait-001", b"late")
        assembly.services.sessions.erase(ann.id, "user")
        put = [[file.kind, file.name, file.size]]
        worker.say({"is": "files", "put": put, "gone": []}, file.ciphertext)
        worker.end()

    worker.at_job = work  # type: ignore[method-assign]
    with pytest.raises(UnknownSession):
        go(worker, ann)
    assert worker.killed
    assert list((assembly.settings.scratch / "vault").iterdir()) == []


@pytest.mark.slow
@pytest.mark.fact(75)
def test_a_workers_memory_holds_a_job_while_it_runs_and_nothing_of_it_after(
    assembly: Assembly,
    ann: Session,
    cluster: dict[str, ClusterFile],
    tiny_base: Path,
    tmp_path: Path,
) -> None:
    cut = CutOut.from_png(assembly.services.vault.open(ann, kinds.PHOTO, "photo-01"))
    rgba = np.dstack([cut.colours, cut.alpha])
    height, width = cut.alpha.shape
    rows = [rgba[y, width // 2 :][:40] for y in range(height // 3, height, height // 12)]
    canaries = {
        "data key": ann.data_key.reveal(),
        "data key as text": base64.b64encode(ann.data_key.reveal()),
        "session": ann.id.encode(),
        **{f"pixels {n}": row[:, :3].tobytes() for n, row in enumerate(rows)},
        **{f"pixels and alpha {n}": row.tobytes() for n, row in enumerate(rows)},
    }
    with worker_process(cluster["gpu-1"], tmp_path, tiny_base) as child:
        authority = cluster["front"].authority
        lane = RemoteLane(child, assembly.services, authority, assembly.clock.now)
        during, reached, ended = set[str](), threading.Event(), threading.Event()

        def run(count: int) -> None:
            with_count = replace(ORDER, count=count)
            try:
                lane.run(
                    ann,
                    with_count,
                    report=lambda progress: reached.set() if progress.made else None,
                    stop=lambda: False,
                    seconds_per_portrait=None,
                )
            except (LaneLost, UnknownSession):
                ended.set()

        threading.Thread(target=run, args=(6,), daemon=True).start()
        assert reached.wait(60)
        during = found_in(child.pid, canaries)
        assert {"data key", "session"} <= during
        assert len([name for name in during if name.startswith("pixels")]) >= len(rows)
        until(lambda: not lane.busy, 60)
        until(lambda: found_in(child.pid, canaries) == set(), 5)

        reached.clear()
        assembly.services.sessions.on_erase.append(lane.abandon)
        threading.Thread(target=run, args=(90,), daemon=True).start()
        assert reached.wait(60)
        assembly.services.sessions.erase(ann.id, "user")
        assert not Path(f"/proc/{child.pid}").exists()
        assert ended.wait(5)


@pytest.mark.fact(76)
def test_without_a_cluster_nothing_of_it_is_imported(tmp_path: Path) -> None:
    program = (
        "import app, settings, sys, web.server, pipeline.job_queue;"
        f"s = settings.load(scratch={str(tmp_path / 's')!r}, receipts={str(tmp_path / 'r')!r});"
        "from pipeline.assembly import open_assembly;"
        "opened = open_assembly(s); a = opened.__enter__();"
        "assert app.open_cluster(s, a.services, a.clock.now) is None;"
        "opened.__exit__(None, None, None);"
        "print(sorted(m for m in sys.modules if m == 'ray' or m.startswith('pipeline.cluster')))"
    )
    said = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert said.stdout.strip().endswith("[]")


@pytest.mark.fact(76)
def test_ray_is_imported_where_no_key_is() -> None:
    importing = {
        str(path.relative_to(ROOT))
        for folder in ("pipeline", "privacy", "web", "tools")
        for path in (ROOT / folder).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Import)
        and any(alias.name.split(".")[0] == "ray" for alias in node.names)
    }
    assert importing == {"pipeline/cluster/agent.py"}
    agent = (ROOT / "pipeline/cluster/agent.py").read_text()
    for secret in ("privacy.keys", "privacy.vault", "envelope", "talk", "remote_lane"):
        assert secret not in agent


def test_a_sealed_file_says_nothing_of_itself() -> None:
    assert "ciphertext" not in repr(Sealed("photo", "photo-01", 3, b"abc"))
