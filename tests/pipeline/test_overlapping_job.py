"""A painted job whose two threads work side by side makes what one alone would have made."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from typing import Any

import pytest

import settings as configuration
from errors import BaseUnavailable, DiskFull
from pipeline import job
from pipeline.assembly import Assembly, open_assembly
from pipeline.bases.base import Base
from pipeline.bases.denoising import Sampling
from pipeline.bases.families.sdxl import StableDiffusionXL
from pipeline.orders import Order, Progress
from pipeline.planning.planning import Planning
from pipeline.portraits.sheet import Sheet, load_sheet
from pipeline.training import captions
from privacy import kinds
from privacy.keys import MasterKey
from privacy.sessions import Session
from tests.support.at_once import AtOnce
from tests.support.tiny_base import build_tiny_sdxl

pytestmark = pytest.mark.slow

COUNT = 5
RECIPE = "steps = 2\nvariants = 2\nbatch = 2\nrank = 4\nalpha = 4\n"


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Assembly]:
    """The real parts on a tiny SDXL that paints two at once, as if there were a GPU."""
    place = tmp_path_factory.mktemp("large")
    build_tiny_sdxl(place / "sdxl")
    (place / "sdxl" / "recipe.toml").write_text(RECIPE)
    chosen = configuration.load(
        scratch=place / "scratch",
        receipts=place / "receipts",
        base=str(place / "sdxl"),
        port=0,
        min_photos=2,
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Planning, "gpu_plans", True)
        patch.setattr(StableDiffusionXL, "sampling", Sampling(steps=1, guidance=1.0))
        patch.setattr(StableDiffusionXL, "knows", lambda *_: True)  # so captions are long
        patch.setattr(Base, "batch", 2)
        with open_assembly(chosen, master_key=MasterKey.ram()) as opened:
            yield opened


@pytest.fixture(scope="module")
def with_photos(large: Assembly, selfie_jpegs: list[bytes]) -> Session:
    session, _ = large.services.sessions.create()
    for number, data in enumerate(selfie_jpegs[:2]):
        assert large.services.album.add(session, data, f"{number}.jpg").accepted
    return session


@pytest.fixture
def session(large: Assembly, with_photos: Session) -> Iterator[Session]:
    """A session with two photos; what a test has made of them goes with it."""
    yield with_photos
    forget(large, with_photos)


def forget(assembly: Assembly, session: Session) -> None:
    for kind in (kinds.ADAPTER, kinds.PORTRAIT, kinds.SHEET):
        assembly.services.vault.delete(session, kind)


def order(assembly: Assembly) -> Order:
    looks = tuple(list(assembly.services.styles)[:2])
    return Order(looks, count=COUNT, way="painted", seed=3, keep_adapter=True, earlier=0)


def run(
    assembly: Assembly, session: Session, report: Callable[[Progress], None] = lambda _: None
) -> job.Report:
    ordered = order(assembly)
    return job.run(session, ordered, assembly.services, report=report, stop=lambda: False)


def made(assembly: Assembly, session: Session) -> dict[str, Any]:
    """All that comes out of a job; the session has nothing of it afterwards."""
    vault, seen = assembly.services.vault, list[Progress]()
    report = run(assembly, session, seen.append)
    kept = [(e.kind, e.name) for e in vault.list(session) if e.kind in ("adapter", "portrait")]
    result = {
        "files": {name: vault.open(session, kind, name) for kind, name in kept},
        "sheet": [asdict(record) for record in load_sheet(vault, session)],
        "again": report.again,
        "likeness": report.likeness,
        "told": [(p.phase, p.step, p.made, p.message) for p in seen],
    }
    forget(assembly, session)
    return result


def test_two_threads_make_to_the_bit_what_one_makes(
    large: Assembly, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: set[str] = set()
    real = captions.seen

    def seen(*given: Any) -> captions.Seen:
        threads.add(threading.current_thread().name)
        return real(*given)

    monkeypatch.setattr(captions, "seen", seen)
    side_by_side = made(large, session)
    assert threading.current_thread().name not in threads
    monkeypatch.setattr("pipeline.overlap.ThreadPoolExecutor", AtOnce)
    one_by_one = made(large, session)
    assert threading.current_thread().name in threads
    assert side_by_side == one_by_one
    assert len(side_by_side["files"]) == 1 + COUNT
    assert side_by_side["again"]["tries"] == 1  # of portraits without a face


def test_what_the_other_thread_cannot_keep_ends_the_job_at_the_next_batch(
    large: Assembly, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two portraits may wait, and a third is sampled meanwhile."""
    base: Any = large.services.load_base(lambda: False)
    sampled: list[int] = []
    sample, add = base.sample, Sheet.add

    def counted(*given: Any) -> Any:
        sampled.append(len(given[2]))
        return sample(*given)

    def full(sheet: Sheet, *given: Any) -> None:
        if sheet.made:
            raise DiskFull
        add(sheet, *given)

    monkeypatch.setattr(base, "sample", counted)
    monkeypatch.setattr(Sheet, "add", full)
    monkeypatch.setattr("pipeline.portraits.tries.SPARE", 0)
    seen: list[Progress] = []
    with pytest.raises(DiskFull):
        run(large, session, seen.append)
    assert 2 <= sum(sampled) <= 4 < COUNT
    assert max(p.made for p in seen) == 1
    assert len(load_sheet(large.services.vault, session)) == 1  # what was told is kept
    assert [e.name for e in large.services.vault.list(session, kinds.PORTRAIT)] == ["portrait-001"]


def test_a_base_that_cannot_be_read_is_told_at_once_and_no_photo_is_measured_any_more(
    large: Assembly, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured, told = threading.Event(), threading.Event()
    count: list[int] = []

    def seen(*_: object) -> None:
        count.append(1)
        measured.set()
        told.wait(10)

    def load(_: object) -> Base:
        assert measured.wait(10)
        told.set()
        raise BaseUnavailable("There is no base.")

    monkeypatch.setattr(captions, "seen", seen)
    broken = replace(large.services, load_base=load)
    before = threading.active_count()
    with pytest.raises(BaseUnavailable, match="There is no base"):
        job.run(session, order(large), broken, report=lambda _: None, stop=lambda: False)
    assert threading.active_count() == before
    assert len(count) <= 2  # of two: the second may have been begun
