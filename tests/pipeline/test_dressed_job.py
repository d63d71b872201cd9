"""The dressed way as a job: the camera's face; clothes and a room that a tiny base paints."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

import settings as configuration
from errors import BadOrder, Stopped
from pipeline import job
from pipeline.assembly import Assembly, open_assembly
from pipeline.bases import adapter
from pipeline.bases.denoising import Conditions, Sampling
from pipeline.bases.families.flux2_klein import Flux2Klein
from pipeline.compositing.head import Head
from pipeline.orders import Order, Progress, Report
from pipeline.planning.planning import Planning
from pipeline.portraits.photo_way import PhotoWay
from pipeline.portraits.references import MOST
from pipeline.portraits.sheet import load_sheet
from privacy import kinds
from privacy.keys import MasterKey
from privacy.sessions import Session
from tests.support.refused import refused
from tests.support.tiny_base import build_tiny_flux2_klein

Picture = NDArray[np.uint8]

PNG_BEGIN, PNG_END = b"\x89PNG\r\n\x1a\n", b"IEND\xaeB`\x82"
LOOKS = ("clean-white", "corporate")

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def klein(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("base") / "klein"
    build_tiny_flux2_klein(folder)
    return folder


@pytest.fixture(scope="module")
def assembly(klein: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Assembly]:
    """The real parts on a tiny FLUX.2 klein, as if there were a GPU for it."""
    place = tmp_path_factory.mktemp("dressed")
    settings = configuration.load(
        scratch=place / "scratch",
        receipts=place / "receipts",
        base=str(klein),
        port=0,
        min_photos=2,
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Planning, "gpu_plans", True)
        patch.setattr(Flux2Klein, "sampling", Sampling(steps=3, guidance=1.0))
        with open_assembly(settings, master_key=MasterKey.ram()) as opened:
            yield opened


@pytest.fixture
def session(assembly: Assembly, selfie_jpegs: list[bytes]) -> Session:
    """A session with one good photo."""
    session, _ = assembly.services.sessions.create()
    assert assembly.services.album.add(session, selfie_jpegs[0], "me.jpg").cut_out_usable
    return session


@pytest.fixture
def heads(monkeypatch: pytest.MonkeyPatch) -> list[Head]:
    """The heads that portraits keep, as they are taken."""
    seen: list[Head] = []
    real = PhotoWay.head

    def head(way: PhotoWay, *portrait: object) -> Head:
        seen.append(real(way, *portrait))  # type: ignore[arg-type]
        return seen[-1]

    monkeypatch.setattr(PhotoWay, "head", head)
    return seen


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the base is asked for, and led away from, in turns."""
    seen: list[str] = []
    real = Flux2Klein.encode_prompts

    def encode(base: Flux2Klein, prompts: Sequence[str]) -> Conditions:
        seen.extend(prompts)
        return real(base, prompts)

    monkeypatch.setattr(Flux2Klein, "encode_prompts", encode)
    return seen


def run(assembly: Assembly, session: Session, crop: str = "square", **kwargs: object) -> Report:
    options = {"report": lambda _: None, "stop": lambda: False} | kwargs
    order = Order(LOOKS, count=2, way="dressed", crop=crop, earlier=0)
    return job.run(session, order, assembly.services, **options)  # type: ignore[arg-type]


def portraits(assembly: Assembly, session: Session) -> list[Picture]:
    vault = assembly.services.vault
    names = sorted(entry.name for entry in vault.list(session, kinds.PORTRAIT))
    pngs = [vault.open(session, kinds.PORTRAIT, name) for name in names]
    return [np.asarray(Image.open(io.BytesIO(png)).convert("RGB")) for png in pngs]


def test_the_head_stays_to_the_bit_all_else_is_painted_and_nothing_of_it_stays_behind(
    assembly: Assembly, session: Session, heads: list[Head], asked: list[str]
) -> None:
    assembly.services.album.compare(session)
    seen: list[Progress] = []
    report = run(assembly, session, report=seen.append)
    made = portraits(assembly, session)
    assert len(made) == len(heads) == 2
    for portrait, head in zip(made, heads, strict=True):
        stays, painted = head.stays, head.cover == 0
        assert min(stays.mean(), painted.mean()) > 0.1
        assert np.array_equal(portrait[stays], head.own[stays])
        assert (portrait[painted] != head.own[painted]).any(axis=1).mean() > 0.9
    records = load_sheet(assembly.services.vault, session)
    assert {(record.way, record.photo) for record in records} == {("dressed", "photo-01")}
    assert min(record.likeness or 0.0 for record in records) >= 0.75
    assert {record.affine for record in records} == {None}  # the photo's alpha is not its own
    for words, look in zip(asked[::2], LOOKS, strict=True):
        painted_look = assembly.services.styles[look].painted
        assert painted_look is not None
        assert sum(f"wearing {clothes}" in words for clothes in painted_look.attire) == 1
        assert "framed at head and shoulders" in words  # as the camera's picture is
    assert report.ways == ("dressed",)
    assert report.dressed is not None
    assert report.dressed.headshots == 2
    assert report.dressed.likeness["min"] >= 0.75
    assert [p.made for p in seen if p.phase == "generating"] == [0, 1, 2]
    assert assembly.services.vault.list(session, kinds.ADAPTER) == []
    vault = assembly.settings.scratch / "vault" / session.id
    files = [path for path in assembly.settings.scratch.rglob("*") if path.is_file()]
    assert len([path for path in files if path.is_relative_to(vault)]) >= 5
    for path in files:
        content = path.read_bytes()
        assert not any(mark in content for mark in (PNG_BEGIN, PNG_END)), path
    assembly.services.sessions.erase(session.id, "user")
    assert not [path for path in vault.rglob("*") if path.is_file()]


def test_a_stop_is_heard_while_it_paints_and_another_day_the_order_goes_on(
    assembly: Assembly, session: Session
) -> None:
    seen: list[Progress] = []
    asked = 0

    def stop() -> bool:
        nonlocal asked
        asked += any(progress.made == 1 for progress in seen)
        return asked > 3  # within the second portrait

    with pytest.raises(Stopped):
        run(assembly, session, "4:5", report=seen.append, stop=stop)
    [first] = portraits(assembly, session)
    assert first.shape[1] / first.shape[0] == pytest.approx(4 / 5, abs=0.005)
    [record] = load_sheet(assembly.services.vault, session)
    [face] = assembly.services.faces.detect(first)
    left, top, width, height = record.face or ()
    centre = (left + width / 2) * first.shape[1], (top + height / 2) * first.shape[0]
    x, y, wide, high = face.box
    assert np.hypot(x + wide / 2 - centre[0], y + high / 2 - centre[1]) < 0.2 * high
    run(assembly, session, "4:5")
    again, second = portraits(assembly, session)
    assert np.array_equal(again, first)
    assert not np.array_equal(second, first)


def test_a_painted_order_looks_at_the_photos_too(
    assembly: Assembly,
    session: Session,
    selfie_jpegs: list[bytes],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    services, told = assembly.services, list[Conditions]()
    assert services.album.add(session, selfie_jpegs[1], "too.jpg").accepted
    base = services.load_base(lambda: False)
    with adapter.fresh(base, rank=2, alpha=2, seed=1):
        kept = adapter.dump(base)
    services.vault.put(session, kinds.ADAPTER, "adapter", kept)  # so nothing is learnt here
    services.album.compare(session)
    real = base.sample

    def sample(wanted: Conditions, *others: Any) -> torch.Tensor:
        told.append(wanted)
        return real(wanted, *others)

    monkeypatch.setattr(base, "sample", sample)
    order = Order(LOOKS, count=1, way="painted")
    job.run(session, order, services, report=lambda _: None, stop=lambda: False)
    assert [record.way for record in load_sheet(services.vault, session)] == ["painted"]
    assert {tuple(conditions["references"].shape[:2]) for conditions in told} == {(1, MOST)}


def test_a_server_that_cannot_dress_says_so_in_a_sentence(
    assembly: Assembly, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Planning, "gpu_plans", False)
    assert "dressed" not in assembly.services.planning.ways
    with refused(BadOrder, "Other clothes need a large base model"):
        run(assembly, session)
