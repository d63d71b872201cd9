"""A GPU that runs short of memory: one step down, told in a sentence, and nothing is lost.

No GPU is here, so the real sampling and loss of a tiny base raise what torch raises on one.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from structlog.testing import capture_logs

from errors import BaseUnavailable, GpuFailed
from messages import Message
from pipeline import job
from pipeline.assembly import Assembly
from pipeline.bases import device
from pipeline.bases.base import Base
from pipeline.bases.plan import Offload, Plan, Stage
from pipeline.orders import Order, Progress
from pipeline.planning.cost import Workload
from pipeline.planning.planning import Measured, Planning
from privacy.sessions import Session

pytestmark = pytest.mark.slow

Raised = torch.OutOfMemoryError, lambda m: RuntimeError(f"CUDA error: {m}")


@dataclass
class Short:
    """A method of the base that runs out of memory when it is given more than `fits` pictures."""

    real: Callable[..., Any]
    pictures: int
    fits: int
    error: Callable[[str], Exception] = torch.OutOfMemoryError
    asked: list[int] = field(default_factory=list)
    after: int = 0

    def __call__(self, *arguments: Any) -> Any:
        given = len(arguments[self.pictures])
        self.asked.append(given)
        if given > self.fits and len(self.asked) > self.after:
            raise self.error("out of memory")
        return self.real(*arguments)


@pytest.fixture(autouse=True)
def once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bad portraits, which random weights always paint, are not tried again: groups are counted."""
    monkeypatch.setattr("pipeline.portraits.tries.SPARE", 0)


@pytest.fixture
def session(assembly: Assembly, selfie_jpegs: list[bytes]) -> Session:
    session, _ = assembly.services.sessions.create()
    for number, data in enumerate(selfie_jpegs[:4]):
        assert assembly.services.album.add(session, data, f"{number}.jpg").accepted
    return session


@pytest.fixture
def base(assembly: Assembly) -> Iterator[Base]:
    """The tiny base: batches of 2 in training, of 12 in painting."""
    base = assembly.services.load_base(lambda: False)
    before = base.fingerprint()
    yield base
    assert base.fingerprint() == before


def order(assembly: Assembly, count: int = 5) -> Order:
    return Order((next(iter(assembly.services.styles)),), count=count)


def run(assembly: Assembly, session: Session, count: int, seen: list[Progress]) -> job.Report:
    return job.run(
        session,
        order(assembly, count),
        assembly.services,
        report=seen.append,
        stop=lambda: False,
    )


def portraits(assembly: Assembly, session: Session) -> list[bytes]:
    vault = assembly.services.vault
    return [vault.open(session, "portrait", e.name) for e in vault.list(session, "portrait")]


@pytest.mark.parametrize("error", Raised, ids=["torch", "CUDA"])
def test_painting_goes_on_in_smaller_groups(
    assembly: Assembly, session: Session, base: Base, error: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    short = Short(base.sample, pictures=2, fits=3, error=error)
    monkeypatch.setattr(base, "sample", short)
    seen: list[Progress] = []
    report = run(assembly, session, 5, seen)
    assert short.asked == [5, 5, 3, 2]  # groups of 12, of 6, of 3
    assert report.steps_down == 2
    assert report.plan is not None
    assert report.plan.generation_batch == 3
    assert len(portraits(assembly, session)) == report.headshots == 5
    told = Message("job.sentence.smaller_groups")
    assert [p.message for p in seen if p.phase == "generating"][1:] == [told] * 7
    assert not [p for p in seen if p.step and p.phase == "generating"]


def test_portraits_made_before_stay_and_none_is_made_twice(
    assembly: Assembly, session: Session, base: Base, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(base, "batch", 2)
    short = Short(base.sample, pictures=2, fits=1, after=1)
    monkeypatch.setattr(base, "sample", short)
    seen: list[Progress] = []
    run(assembly, session, 5, seen)
    assert short.asked == [2, 2, 1, 1, 1]
    assert [p.made for p in seen if p.phase == "generating"] == [0, 1, 2, 2, 3, 4, 5]
    made = portraits(assembly, session)
    assert len(set(made)) == len(made) == 5


def test_training_goes_on_from_its_checkpoint_in_smaller_parts_of_the_same_steps(
    assembly: Assembly, session: Session, base: Base, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.training.train.CHECKPOINT_EVERY", 4)
    short = Short(base.loss, pictures=0, fits=1, after=6)
    monkeypatch.setattr(base, "loss", short)
    seen: list[Progress] = []
    report = run(assembly, session, 1, seen)
    assert short.asked == [2] * 7 + [1] * (2 * 8)
    steps = [p.step for p in seen if p.phase == "training"]
    assert steps == [1, 2, 3, 4, 5, 6, 0, 5, 6, 7, 8, 9, 10, 11, 12]
    assert seen[-1].made == 1
    assert {p.message for p in seen if p.phase == "training"} == {
        Message("job.sentence.training"),
        Message("job.sentence.smaller_steps"),
    }
    assert report.plan is not None
    assert (report.plan.micro_batch, report.plan.accumulation) == (1, 2)
    assert not assembly.services.vault.list(session, "checkpoint")


def test_when_nothing_is_left_to_try_it_is_a_sentence_and_photos_and_portraits_stay(
    assembly: Assembly, session: Session, base: Base, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(base, "batch", 1)
    short = Short(base.sample, pictures=2, fits=0, after=2)
    monkeypatch.setattr(base, "sample", short)
    with pytest.raises(BaseUnavailable, match="even for one picture of 64 pixels") as refused:
        run(assembly, session, 3, [])
    assert refused.value.message == Message("errors.operator")
    assert len(portraits(assembly, session)) == 2
    assert len(assembly.services.album.training_photos(session)) == 4


def test_the_next_job_begins_as_if_nothing_had_been_short(
    assembly: Assembly, session: Session, base: Base
) -> None:
    real = base.sample
    short = Short(real, pictures=2, fits=1)
    base.sample = short  # type: ignore[method-assign, assignment]
    try:
        run(assembly, session, 2, [])
    finally:
        del base.sample  # type: ignore[method-assign]
    report = run(assembly, session, 2, [])
    assert report.steps_down == 0
    assert report.plan is not None
    assert report.plan.generation_batch == 12


class Fixed(Planning):
    """A planner that has one plan, as for a GPU, and remembers what it was told."""

    def __init__(self, plan: Plan, folder: Path) -> None:
        super().__init__(None, folder / "calibration.json", [])
        self.only, self.told = plan, list[tuple[Plan, Measured]]()

    def plan(self, workload: Workload) -> Plan:
        return self.only

    def learn(self, plan: Plan, measured: Measured) -> None:
        self.told.append((plan, measured))


def planned(**changes: Any) -> Plan:
    plan = Plan(64, 4, 12, 2, micro_batch=2, generation_batch=4, lower=(48,), seconds=90.0)
    return replace(plan, seconds_per_portrait=2.0, seconds_per_step=1.0, **changes)


def test_a_job_runs_as_planned_and_tells_what_it_measured(
    assembly: Assembly, session: Session, base: Base, monkeypatch: pytest.MonkeyPatch
) -> None:
    planning = Fixed(planned(checkpointing=True, micro_batch=1), assembly.settings.scratch)
    services = replace(assembly.services, planning=planning)
    drawn = Short(base.loss, pictures=0, fits=9)
    painted = Short(base.sample, pictures=2, fits=9)
    monkeypatch.setattr(base, "loss", drawn)
    monkeypatch.setattr(base, "sample", painted)
    seen: list[Progress] = []
    report = job.run(session, order(assembly), services, report=seen.append, stop=lambda: False)
    assert drawn.asked == [1] * 24
    assert painted.asked == [4, 1]
    assert base.denoiser.is_gradient_checkpointing
    assert [p.seconds_left for p in seen if p.phase == "preparing"] == [None, 90.0]
    first = next(p for p in seen if p.phase == "training")
    assert first.seconds_left is not None
    assert first.seconds_left > 5 * 2.0  # the portraits, as planned, are still to come
    [(plan, measured)] = planning.told
    assert plan == planning.only == report.plan
    assert measured.seconds_per_step
    assert measured.seconds_per_portrait
    assert measured.peaks == {}
    assert not measured.stepped_down


class FailsOnce:
    """A network of the base that runs out of memory in one call; `calls` counts all."""

    def __init__(self, network: torch.nn.Module, at: int, learning: bool | None = None) -> None:
        self.at, self.learning, self.calls = at, learning, 0
        self.hook = network.register_forward_pre_hook(self)

    def __call__(self, *_: object) -> None:
        if self.learning not in (None, torch.is_grad_enabled()):
            return
        self.calls += 1
        if self.calls == self.at:
            raise torch.OutOfMemoryError("CUDA out of memory")


STAGES: list[tuple[Stage, str, bool | None, int, Offload, dict[str, object]]] = [
    ("words", "text_encoder", None, 2, "none", {"offload": "parts"}),
    ("encode", "vae.encoder", None, 2, "parts", {"tiling": True}),
    ("train", "denoiser", True, 3, "parts", {"micro_batch": 1}),
    ("paint", "denoiser", False, 8, "parts", {"generation_batch": 3}),
    ("decode", "vae.decoder", None, 3, "parts", {"tiling": True}),
]
"""Stage, the network that works at it, whether it learns, its call that fails, what waited before,
what helps."""


@pytest.mark.parametrize(
    ("stage", "network", "learning", "at", "offload", "helps"),
    STAGES,
    ids=[row[0] for row in STAGES],
)
def test_what_helps_is_chosen_by_the_stage_that_ran_short(
    assembly: Assembly,
    session: Session,
    base: Any,
    stage: Stage,
    network: str,
    learning: bool | None,
    at: int,
    offload: Offload,
    helps: dict[str, object],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for module in ("plan", "base"):
        monkeypatch.setattr(f"pipeline.bases.{module}.UNTILED_PX", 32)
    planning = Fixed(planned(offload=offload), assembly.settings.scratch)
    services = replace(assembly.services, planning=planning)
    trained, fingerprint = Short(base.loss, pictures=0, fits=9), base.fingerprint()
    monkeypatch.setattr(base, "loss", trained)
    failing = FailsOnce(operator.attrgetter(network)(base), at, learning)
    seen: list[Progress] = []
    with capture_logs() as logged:
        report = job.run(session, order(assembly), services, report=seen.append, stop=lambda: False)
    failing.hook.remove()
    assert [e["stage"] for e in logged if e["event"] == "short_of_memory"] == [stage]
    assert report.plan == replace(planning.only, **helps, seconds=None)  # type: ignore[arg-type]
    assert len(set(portraits(assembly, session))) == 5
    if stage in ("paint", "decode"):  # the adapter stays, and portraits that were made
        assert trained.asked == [2] * 12
        assert [p.made for p in seen if p.phase == "generating"].count(0) == 1
    assert base.fingerprint() == fingerprint
    assert not base.vae.use_tiling  # for whoever is next


def test_tiles_are_smaller_than_the_pictures(base: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """An autoencoder's own tiles are as large as the pictures that it was trained on."""
    monkeypatch.setattr("pipeline.bases.base.UNTILED_PX", 32)
    sides: list[tuple[int, int]] = []
    hooks = [
        part.register_forward_pre_hook(lambda _, given: sides.append(tuple(given[0].shape[2:])))
        for part in (base.vae.encoder, base.vae.decoder)
    ]
    own = base.as_it_is(rank=4, steps=1, batch=1)
    base.configure(replace(own, tiling=True))
    latents = base.encode_images(np.zeros((1, 64, 64, 3), np.uint8))
    base.decode(latents)
    base.configure(own)
    for hook in hooks:
        hook.remove()
    assert {side for shape in sides for side in shape} <= {32, 4, *range(1, 32)}
    assert len(sides) > 2


def test_in_the_end_the_pictures_that_are_learnt_become_smaller(
    assembly: Assembly, session: Session, base: Base, monkeypatch: pytest.MonkeyPatch
) -> None:
    planning = Fixed(planned(), assembly.settings.scratch)
    services = replace(assembly.services, planning=planning)
    real, sides = base.loss, list[tuple[int, int]]()

    def small_only(latents: torch.Tensor, *others: Any) -> torch.Tensor:
        sides.append((len(latents), base.resolution))
        if latents.shape[-1] > 6:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return real(latents, *others)

    monkeypatch.setattr(base, "loss", small_only)
    seen: list[Progress] = []
    report = job.run(session, order(assembly, 1), services, report=seen.append, stop=lambda: False)
    # Two at once, one at once, one with activations computed twice, then smaller.
    assert sides == [(2, 64), (1, 64), (1, 64)] + [(1, 48)] * 24
    assert report.plan is not None
    assert (report.plan.learnt_px, report.plan.checkpointing) == (48, True)
    assert report.plan.resolution == 64  # of the portraits
    assert Message("job.sentence.smaller_steps") in [p.message for p in seen]
    assert len(portraits(assembly, session)) == 1
    assert planning.told[0][1].stepped_down
    assert base.resolution == 64  # for whoever is next


def test_portraits_become_smaller_and_a_face_is_learnt_at_a_size_of_its_own(
    assembly: Assembly, session: Session, base: Base, monkeypatch: pytest.MonkeyPatch
) -> None:
    planning = Fixed(planned(train_resolution=32, generation_batch=1), assembly.settings.scratch)
    services = replace(assembly.services, planning=planning)
    loss, sample, learnt, painted = base.loss, base.sample, set[int](), list[int]()

    def small_only(*given: Any) -> torch.Tensor:
        painted.append(base.resolution)
        if base.resolution > 48:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return sample(*given)

    monkeypatch.setattr(base, "loss", lambda *a: learnt.add(base.resolution) or loss(*a))
    monkeypatch.setattr(base, "sample", small_only)
    seen: list[Progress] = []
    report = job.run(session, order(assembly, 1), services, report=seen.append, stop=lambda: False)
    assert (learnt, painted) == ({32}, [64, 48])
    assert report.plan is not None
    assert (report.plan.resolution, report.plan.learnt_px) == (48, 32)
    assert Message("job.sentence.smaller_pictures") in [p.message for p in seen]
    assert len(portraits(assembly, session)) == 1
    assert base.resolution == 64  # for whoever is next


@pytest.mark.parametrize(
    "error",
    [
        torch.AcceleratorError("CUDA error: device-side assert triggered"),
        RuntimeError("CUDA error: an illegal memory access was encountered"),
        ValueError("something else"),
    ],
    ids=["assertion", "illegal access", "no GPU's"],
)
def test_an_error_of_another_kind_is_not_tried_again(
    assembly: Assembly,
    session: Session,
    base: Base,
    error: Exception,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One that ends CUDA for this process is told apart, and the adapter stays for the next."""
    short = Short(base.sample, pictures=2, fits=0, error=lambda _: error)
    monkeypatch.setattr(base, "sample", short)
    lost = not isinstance(error, ValueError)
    with pytest.raises(GpuFailed if lost else ValueError):
        run(assembly, session, 1, [])
    assert len(short.asked) == 1
    assert bool(assembly.services.vault.list(session, "adapter")) == lost
    assert not device.short_of_memory(MemoryError())


def test_a_failure_behind_another_error_is_seen_and_a_shortage_is_none() -> None:
    def raised(inner: Exception) -> BaseException:
        try:
            try:
                raise inner
            finally:
                raise KeyError("while cleaning up")
        except KeyError as outer:
            return outer

    assert device.failed(raised(RuntimeError("CUDA error: unspecified launch failure")))
    assert not device.failed(raised(RuntimeError("CUDA error: out of memory")))
    assert not device.failed(raised(torch.OutOfMemoryError("CUDA out of memory")))
    assert not device.failed(raised(RuntimeError("shapes differ")))
    assert not device.failed(None)
