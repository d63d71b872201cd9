"""Plans the jobs of one base on this machine's GPU, and learns from each.

A plan is the fastest of a base's ways (`bases.plan.WAYS`) that fits into the free memory.  Without
a GPU, or for a base whose manifest has no counts (the embedded one), nothing is planned.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from errors import BaseUnavailable
from pipeline.bases.plan import UNTILED_PX, Plan, Work
from pipeline.orders import ORDERED_WAYS, OrderedWay
from pipeline.planning import calibration
from pipeline.planning.calibration import Calibration
from pipeline.planning.cards import reached
from pipeline.planning.cost import FRAGMENTATION, Cost, Workload
from pipeline.planning.facts import Facts
from pipeline.planning.pace import FILE as PACE
from pipeline.planning.pace import Paces

CAREFUL = 1.15
"""Factor on expected memory after a job ran short of it."""


@dataclass(frozen=True)
class Machine:
    """The GPU that a job finds: free bytes, TFLOPS that it reaches, what earlier jobs of the base
    measured."""

    free: int
    reached: float
    measured: Calibration = field(default_factory=Calibration)


def ways(facts: Facts, workload: Workload, machine: Machine) -> list[Plan]:
    """Every way at every size of portraits, with its cost, whether it fits or not; best first.

    The order knows nothing of the memory, so more of it never gives a worse plan.
    """
    drafts = (_draft(facts, name, side) for side in facts.sides for name in facts.ways)
    every = [costed(draft, facts, workload, machine) for draft in drafts]
    return sorted(every, key=lambda plan: rank(plan, facts.longest_s))


def _draft(facts: Facts, name: str, side: int) -> Plan:
    """The way as a base goes it that makes pictures of this side, in pixels."""
    way = facts.ways[name]
    fitted = way._replace(
        micro_batch=min(way.micro_batch, facts.batch), tiling=way.tiling and side > UNTILED_PX
    )
    lower = tuple(other for other in facts.sides if other < side)
    learnt = min(side, facts.learn_px)
    return Plan(side, facts.rank, facts.steps, facts.batch, *fitted, lower, learnt, way=name)


def costed(way: Plan, facts: Facts, workload: Workload, machine: Machine) -> Plan:
    """The way with its bytes and seconds."""
    cost, known = Cost(way, facts, machine.reached), machine.measured
    train, generate = cost.peaks
    step, portrait = cost.step_s * known.train_seconds, cost.portrait_s * known.portrait_seconds
    trials = cost.trials_s(workload.photos) * known.portrait_seconds
    return replace(
        way,
        train_bytes=math.ceil(train * known.train_bytes),
        generate_bytes=math.ceil(generate * known.generate_bytes),
        seconds_per_step=step,
        seconds_per_portrait=portrait,
        seconds=cost.other_s(workload) + way.steps * step + trials + workload.count * portrait,
    )


def rank(plan: Plan, longest_s: float) -> tuple[float, ...]:
    """Order plans: the largest portraits first, the fastest of them first; what takes too long
    comes last, whatever its size."""
    assert plan.seconds is not None
    long = plan.seconds > longest_s
    return long, 0 if long else -plan.resolution, plan.seconds


def choose(
    facts: Facts, workload: Workload, machine: Machine, others: Sequence[Facts] = ()
) -> Plan:
    """The first way that fits.

    others: bases to name when this one does not fit.

    Raises:
        BaseUnavailable: nothing fits; the sentence names a base that would, if there is one.
    """
    every = ways(facts, workload, machine)
    if fitting := next((plan for plan in every if plan.bytes <= machine.free), None):
        return fitting
    advice = facts.advice
    for other in sorted((f for f in others if f != facts), key=lambda other: other.denoiser):
        with suppress(BaseUnavailable):  # the largest is the last; what was measured is this base's
            choose(other, workload, Machine(machine.free, machine.reached))
            advice = f". {other.title} would fit: set LIKENESS_BASE={other.key}."
    least, free = (size / 2**30 for size in (min(plan.bytes for plan in every), machine.free))
    needs = f"{facts.title} needs {least:.1f} GiB of free GPU memory"
    raise BaseUnavailable(f"{needs}, and there are {free:.1f}{advice}")


@dataclass(frozen=True)
class Measured:
    """What one job measured; None or empty is what it did not.

    peaks: most bytes that tensors took, by `Work`. stepped_down: memory ran short.
    """

    seconds_per_step: float | None
    seconds_per_portrait: float | None
    peaks: dict[Work, int]
    stepped_down: bool = False


def ratios(plan: Plan, measured: Measured) -> dict[str, float]:
    """Measured / expected, of what is known of both; times are no guide after a step down."""
    if measured.stepped_down:
        return {"train_bytes": CAREFUL, "generate_bytes": CAREFUL}
    peaks = {work: size * FRAGMENTATION for work, size in measured.peaks.items()}
    pairs = {
        "train_seconds": (measured.seconds_per_step, plan.seconds_per_step),
        "portrait_seconds": (measured.seconds_per_portrait, plan.seconds_per_portrait),
        "train_bytes": (peaks.get("train"), plan.train_bytes),
        "generate_bytes": (peaks.get("generate"), plan.generate_bytes),
    }
    return {key: real / computed for key, (real, computed) in pairs.items() if real and computed}


class Planning:
    def __init__(
        self, facts: Facts | None, file: Path, others: list[Facts], *, sees_pictures: bool = False
    ) -> None:
        """
        Args:
            facts: of the base; None if its manifest has no counts.
            file: where calibrations are kept.
            others: bases that a refusal may name.
            sees_pictures: whether the base does, see `bases.folder`.
        """
        self._facts, self._file, self._others = facts, file, others
        self._sees_pictures = sees_pictures
        self.pace = Paces(file.with_name(PACE))

    @property
    def gpu_plans(self) -> bool:
        """Whether the base is large: it then needs a GPU, and has one (`require_gpu`)."""
        return self._facts is not None and self._facts.large

    @property
    def ways(self) -> tuple[OrderedWay, ...]:
        """What can be ordered here: other clothes need a large base that sees pictures."""
        dresses = self.gpu_plans and self._sees_pictures
        return tuple(way for way in ORDERED_WAYS if dresses or way != "dressed")

    @property
    def default_way(self) -> OrderedWay:
        """Photo on a machine without a GPU; both with one, where painted portraits are large."""
        return "both" if self.gpu_plans else "photo"

    def plan(self, workload: Workload) -> Plan | None:
        """The plan of a job that starts now; None where nothing is planned.

        Raises:
            BaseUnavailable: the base does not fit into the GPU's free memory.
        """
        from pipeline.bases import device

        if self._facts is None or (card := device.gpu()) is None:
            return None
        known = calibration.recall(self._file, self._facts.key, card.name)
        machine = Machine(card.free, reached(card.name), known)
        return choose(self._facts, workload, machine, self._others)

    def learn(self, plan: Plan, measured: Measured) -> None:
        """Keep what a job measured that ran by `plan`, as it was made."""
        from pipeline.bases import device

        if self._facts is None or (card := device.gpu()) is None:
            return
        before = calibration.recall(self._file, self._facts.key, card.name)
        now = calibration.refine(before, **ratios(plan, measured))
        calibration.remember(self._file, self._facts.key, card.name, now)


def require_gpu(facts: Facts | None) -> None:
    """Fail at start rather than in a visitor's first job.

    Raises:
        BaseUnavailable: the base is large, and no GPU of this machine can run it.
    """
    if facts is None or not facts.large:
        return
    from pipeline.bases import device

    if (why := device.lacking()) is not None:
        raise BaseUnavailable(f"{facts.title} needs an NVIDIA GPU. {why}")
