"""One job, real in every part, on a tiny base."""

from __future__ import annotations

import io
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import safetensors.torch
from PIL import Image

from errors import BadOrder, DiskFull, Stopped, UnknownSession
from pipeline import job
from pipeline.assembly import Assembly
from pipeline.orders import Order, OrderedWay, Progress
from pipeline.portraits.sheet import load_sheet
from pipeline.portraits.tries import SPARE
from pipeline.trials import split
from privacy.sessions import Session
from tests.support.refused import refused
from words import tell

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bad portraits, which random weights always paint, are not tried again."""
    monkeypatch.setattr("pipeline.portraits.tries.SPARE", 0)


@pytest.fixture
def session(assembly: Assembly, selfie_jpegs: list[bytes]) -> Session:
    """A session with five good photos."""
    session, _ = assembly.services.sessions.create()
    for number, data in enumerate(selfie_jpegs[:5]):
        added = assembly.services.album.add(session, data, f"{number}.jpg")
        assert added.accepted, added.verdict
    return session


def names(assembly: Assembly, session: Session, kind: str) -> list[str]:
    return [entry.name for entry in assembly.services.vault.list(session, kind)]


def run(assembly: Assembly, session: Session, order: Order, **kwargs: object) -> job.Report:
    options = {"report": lambda _: None, "stop": lambda: False} | kwargs
    return job.run(session, order, assembly.services, **options)  # type: ignore[arg-type]


@pytest.mark.slow
def test_a_whole_job(assembly: Assembly, session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.portraits.tries.SPARE", SPARE)
    seen: list[Progress] = []
    styles = tuple(list(assembly.services.styles)[:3])
    report = run(assembly, session, Order(styles, count=7), report=seen.append)

    assert report.headshots == 7
    # Random weights paint no face: as many are tried again as may be, and all are delivered.
    assert report.again == {"tries": 2, "no_face": 7}
    assert names(assembly, session, "portrait") == [f"portrait-{n:03d}" for n in range(1, 8)]
    sheet = load_sheet(assembly.services.vault, session)
    assert {record.style for record in sheet} == set(styles)
    assert len({record.seed for record in sheet}) == 7
    assert report.adapter["bytes"] > 0
    assert names(assembly, session, "adapter") == []  # erased the moment the batch is complete
    assert assembly.services.sessions.deadline(session).delivered_at is not None

    training = [p for p in seen if p.phase == "training"]
    assert [p.step for p in training] == sorted({p.step for p in training})
    assert training[-1].step == training[-1].steps == report.adapter["steps"]
    assert all(p.loss is not None and p.seconds_left is not None for p in training)
    assert [p.made for p in seen if p.phase == "generating"] == list(range(8))


def test_a_style_is_cropped_as_it_says(assembly: Assembly, session: Session) -> None:
    key, style = next(iter(assembly.services.styles.items()))
    assembly.services.styles[key] = replace(style, crop="4:5")
    run(assembly, session, Order((key,), count=1))
    png = assembly.services.vault.open(session, "portrait", "portrait-001")
    with Image.open(io.BytesIO(png)) as image:
        assert image.width / image.height == pytest.approx(4 / 5, abs=0.002)


@pytest.mark.slow
def test_an_order_may_say_shape_and_backdrop(
    assembly: Assembly, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = next(iter(assembly.services.styles))
    monkeypatch.setattr(
        assembly.services.segmenter, "matte", lambda image: np.zeros(image.shape[:2], np.uint8)
    )
    run(assembly, session, Order((key,), count=1, keep_adapter=True))
    run(assembly, session, Order((key,), count=1, crop="3:4", tone="lighter"))
    vault = assembly.services.vault
    plain, ordered = (
        np.asarray(Image.open(io.BytesIO(vault.open(session, "portrait", f"portrait-00{n}"))))
        for n in (1, 2)
    )
    height, width = ordered.shape[:2]
    assert width / height == pytest.approx(3 / 4, abs=0.002)
    # Nothing is taken for the person, so the same picture is lighter everywhere.
    cut = (plain.shape[1] - width) // 2
    assert ordered.mean() > plain[:, cut : cut + width].mean() + 5


@pytest.mark.parametrize("wrong", [{"crop": "16:9"}, {"tone": "neon"}, {"crop": ["square"]}])
def test_a_shape_or_backdrop_that_is_not_offered_is_a_sentence(
    assembly: Assembly, session: Session, wrong: dict
) -> None:
    key = next(iter(assembly.services.styles))
    with refused(BadOrder, "not on offer"):
        run(assembly, session, Order((key,), count=1, **wrong))


@pytest.mark.slow
def test_a_kept_adapter_makes_more_portraits_without_training(
    assembly: Assembly, session: Session
) -> None:
    style = next(iter(assembly.services.styles))
    run(assembly, session, Order((style,), count=2, keep_adapter=True))
    assert names(assembly, session, "adapter") == ["adapter"]
    delivered = assembly.services.sessions.deadline(session)

    seen: list[Progress] = []
    run(assembly, session, Order((style,), count=2, seed=8), report=seen.append)
    assert not [p for p in seen if p.phase == "training"]
    assert len(names(assembly, session, "portrait")) == 4
    assert names(assembly, session, "adapter") == []
    assert assembly.services.sessions.deadline(session) == delivered  # life is not lengthened


def test_an_adapter_of_another_base_is_not_used(assembly: Assembly, session: Session) -> None:
    style = next(iter(assembly.services.styles))
    run(assembly, session, Order((style,), count=1, keep_adapter=True))
    vault = assembly.services.vault
    kept = safetensors.torch.load(vault.open(session, "adapter", "adapter"))
    foreign = safetensors.torch.save(kept, metadata={"for": "another person"})
    vault.put(session, "adapter", "adapter", foreign)
    report = run(assembly, session, Order((style,), count=1, keep_adapter=True))
    assert report.seconds_per_step is not None  # it was learnt anew
    assert b"another person" not in vault.open(session, "adapter", "adapter")


def test_a_stopped_job_leaves_no_adapter(assembly: Assembly, session: Session) -> None:
    style = next(iter(assembly.services.styles))
    steps: list[Progress] = []
    with pytest.raises(Stopped):
        run(
            assembly,
            session,
            Order((style,), count=4),
            report=steps.append,
            stop=lambda: any(p.step >= 2 for p in steps),
        )
    assert max(p.step for p in steps) < 6
    assert names(assembly, session, "adapter") == []
    assert names(assembly, session, "portrait") == []


@pytest.mark.slow
def test_stopping_between_portraits_keeps_those_made(
    assembly: Assembly, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(assembly.services.load_base(lambda: False), "batch", 2)
    style = next(iter(assembly.services.styles))
    steps: list[Progress] = []
    with pytest.raises(Stopped):
        run(
            assembly,
            session,
            Order((style,), count=200),
            report=steps.append,
            stop=lambda: any(p.made >= 1 for p in steps),
        )
    made = len(names(assembly, session, "portrait"))
    assert 1 <= made < 200
    assert len(load_sheet(assembly.services.vault, session)) == made
    assert names(assembly, session, "adapter") == []


@pytest.fixture
def enough(monkeypatch: pytest.MonkeyPatch) -> None:
    """Five photos are enough for one to be held out."""
    monkeypatch.setattr("pipeline.painted_job.split", partial(split, enough=5))


@pytest.mark.slow
@pytest.mark.usefixtures("enough")
def test_a_photo_that_is_held_out_chooses_the_adapter_and_it_is_told(
    assembly: Assembly, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    worth = iter(
        [0.9, 0.7, 0.2, 0.4]
    )  # two portraits of the adapter after 7 steps, two of the last
    monkeypatch.setattr("pipeline.portraits.judge.Judge.worth", lambda *_: next(worth))
    seen: list[Progress] = []
    style = next(iter(assembly.services.styles))
    report = run(assembly, session, Order((style,), count=2), report=seen.append)
    assert report.choice == {"held_out": 1, "steps": 7, "scores": {7: 0.8, 12: 0.3}}
    assert report.adapter["steps"] == 7
    assert [p.step for p in seen if p.phase == "training"] == list(range(1, 13))
    [sentence] = {tell(p.message) for p in seen if p.phase == "generating" and p.message}
    assert "after step 7 of 12" in sentence
    kept = {entry.kind for entry in assembly.services.vault.list(session)}
    assert kept == {"photo", "face", "portrait", "sheet"}


@pytest.mark.slow
@pytest.mark.usefixtures("enough")
def test_an_erasure_within_a_trial_leaves_nothing(
    assembly: Assembly, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    def erase(*_: object) -> float:
        assembly.services.sessions.erase(session.id, "user")
        return 0.5

    monkeypatch.setattr("pipeline.portraits.judge.Judge.worth", erase)
    with pytest.raises(UnknownSession):
        run(assembly, session, Order((next(iter(assembly.services.styles)),), count=1))
    assert not [p for p in (assembly.settings.scratch / "vault").rglob("*") if p.is_file()]


@pytest.fixture
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Checkpoints after every 4 steps, of the tiny base's 12."""
    monkeypatch.setattr("pipeline.training.train.CHECKPOINT_EVERY", 4)


def interrupted(assembly: Assembly, session: Session, order: Order, at: int) -> None:
    steps: list[Progress] = []
    with pytest.raises(Stopped):
        run(
            assembly,
            session,
            order,
            report=steps.append,
            stop=lambda: any(p.step >= at for p in steps),
        )


@pytest.mark.slow
@pytest.mark.usefixtures("often")
def test_an_interrupted_job_goes_on_and_its_portraits_are_the_same(
    assembly: Assembly, session: Session
) -> None:
    vault = assembly.services.vault
    order = Order((next(iter(assembly.services.styles)),), count=1, keep_adapter=True)
    interrupted(assembly, session, order, at=9)
    assert names(assembly, session, "checkpoint") == ["checkpoint"]
    assert names(assembly, session, "adapter") == []

    seen: list[Progress] = []
    run(assembly, session, order, report=seen.append)
    training_ = [p for p in seen if p.phase == "training"]
    assert [p.step for p in training_] == [9, 10, 11, 12]
    assert all(p.message and tell(p.message).endswith("Continued from step 8.") for p in training_)
    assert names(assembly, session, "checkpoint") == []  # it shows a face as the adapter does
    resumed = vault.open(session, "adapter", "adapter")

    vault.delete(session, "adapter")
    seen.clear()
    run(assembly, session, order, report=seen.append)
    assert [p for p in seen if p.step == 1]
    assert not any("Continued" in tell(p.message) for p in seen if p.message)
    assert vault.open(session, "adapter", "adapter") == resumed


@pytest.mark.slow
@pytest.mark.usefixtures("often")
def test_another_order_goes_on_from_what_a_stopped_one_had_learnt(
    assembly: Assembly, session: Session
) -> None:
    style = next(iter(assembly.services.styles))
    interrupted(assembly, session, Order((style,), count=1, seed=11), at=9)
    seen: list[Progress] = []
    run(assembly, session, Order((style,), count=2, seed=12), report=seen.append)
    assert [p.step for p in seen if p.phase == "training"] == [9, 10, 11, 12]


@pytest.mark.slow
@pytest.mark.parametrize("way", ["photo", "painted", "both"])
def test_an_order_that_was_cut_off_is_finished_not_begun_anew(
    assembly: Assembly, session: Session, way: OrderedWay
) -> None:
    """Portraits of before are the earlier order's; those of this one are made once each."""
    style = next(key for key, style in assembly.services.styles.items() if style.photo is not None)
    run(assembly, session, Order((style,), count=2, way="photo"))
    count = 12 if way == "photo" else 6
    order = Order((style,), count=count, way=way, keep_adapter=True, earlier=2)
    seen: list[Progress] = []
    with pytest.raises(Stopped):
        run(
            assembly,
            session,
            order,
            report=seen.append,
            stop=lambda: (
                seen[-1].made >= 2
                and ("painted" not in order.ways or any(p.phase == "training" for p in seen))
            ),
        )
    made = len(load_sheet(assembly.services.vault, session))
    whole = 2 + order.count * len(order.ways)
    assert 2 < made < whole
    run(assembly, session, order)
    records = load_sheet(assembly.services.vault, session)
    assert len(records) == whole
    assert [r.way for r in records[2:]] == [w for w in order.ways for _ in range(order.count)]
    assert len({(r.way, r.seed, r.style, r.photo) for r in records[2:]}) > 1
    assert names(assembly, session, "portrait") == [r.id for r in records]


@pytest.mark.slow
@pytest.mark.usefixtures("often")
@pytest.mark.parametrize("what", ["other photos", "damaged"])
def test_a_checkpoint_that_does_not_fit_costs_nothing_but_the_steps(
    assembly: Assembly, session: Session, what: str
) -> None:
    order = Order((next(iter(assembly.services.styles)),), count=1)
    interrupted(assembly, session, order, at=5)
    if what == "damaged":
        assembly.services.vault.put(session, "checkpoint", "checkpoint", b"nothing")
    else:
        assembly.services.album.remove(session, "photo-05")
    seen: list[Progress] = []
    run(assembly, session, order, report=seen.append)
    assert next(p.step for p in seen if p.phase == "training") == 1
    assert names(assembly, session, "checkpoint") == []
    assert names(assembly, session, "portrait") == ["portrait-001"]


@pytest.mark.slow
@pytest.mark.usefixtures("often")
def test_no_room_for_a_checkpoint_does_not_end_a_training(
    assembly: Assembly, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    vault = assembly.services.vault
    put = vault.put

    def full(session: Session, kind: str, name: str, data: bytes) -> None:
        if kind == "checkpoint":
            raise DiskFull
        put(session, kind, name, data)

    monkeypatch.setattr(vault, "put", full)
    run(assembly, session, Order((next(iter(assembly.services.styles)),), count=1))
    assert names(assembly, session, "portrait") == ["portrait-001"]


@pytest.mark.slow
def test_an_erased_session_ends_its_job_and_nothing_comes_back(
    assembly: Assembly, session: Session
) -> None:
    style = next(iter(assembly.services.styles))

    def erase_in_the_middle(progress: Progress) -> None:
        if progress.step == 2:
            assembly.services.sessions.erase(session.id, "user")

    with pytest.raises(UnknownSession):
        run(assembly, session, Order((style,), count=2), report=erase_in_the_middle)
    left = [p for p in (assembly.settings.scratch / "vault").rglob("*") if p.is_file()]
    assert left == []


@pytest.mark.parametrize("count", [0, -3, 100_000])
def test_a_count_out_of_range_is_a_sentence(
    assembly: Assembly, session: Session, count: int
) -> None:
    with refused(BadOrder, "1 to 200"):
        run(assembly, session, Order((), count=count))


def test_an_unknown_style_is_named(assembly: Assembly, session: Session) -> None:
    with refused(BadOrder, "cyberpunk"):
        run(assembly, session, Order(("cyberpunk",), count=1))


@pytest.mark.slow
def test_too_few_photos_is_a_sentence(assembly: Assembly, selfie_jpegs: list[bytes]) -> None:
    session, _ = assembly.services.sessions.create()
    assembly.services.album.add(session, selfie_jpegs[0], "one.jpg")
    with refused(BadOrder, "4 good photos"):
        run(assembly, session, Order((), count=1))
