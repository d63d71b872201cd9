"""Plans the jobs of one base on this machine's GPU, and learns from each.

Without a GPU, or for a base whose manifest has no counts (the embedded one), nothing is planned.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from errors import BaseUnavailable
from pipeline.bases.plan import Plan, Work
from pipeline.orders import ORDERED_WAYS, OrderedWay
from pipeline.planning import calibration, search
from pipeline.planning.calibration import Calibration
from pipeline.planning.cost import FRAGMENTATION, UTILISATION, Machine, Workload, known
from pipeline.planning.facts import Facts
from pipeline.planning.pace import FILE as PACE
from pipeline.planning.pace import Paces


@dataclass(frozen=True)
class Measured:
    """What one job measured; None or empty is what it did not.

    peaks: most bytes that tensors took, by `Work`. stepped_down: memory ran short.
    """

    seconds_per_step: float | None
    seconds_per_portrait: float | None
    peaks: dict[Work, int]
    stepped_down: bool = False


CAREFUL = 1.15
"""Factor on expected memory after a job ran short of it."""


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
        machine = Machine(card.free, reached(card.name), self._calibration(card.name))
        return search.plan(self._facts, workload, machine, self._others)

    def learn(self, plan: Plan, measured: Measured) -> None:
        """Keep what a job measured that ran by `plan`, as it was made."""
        from pipeline.bases import device

        if self._facts is None or (card := device.gpu()) is None:
            return
        before = self._calibration(card.name)
        now = calibration.refine(before, **ratios(plan, measured))
        calibration.remember(self._file, self._facts.key, card.name, now)

    def _calibration(self, card: str) -> Calibration:
        assert self._facts is not None
        return calibration.recall(self._file, self._facts.key, card)


def reached(name: str) -> float:
    """TFLOPS that jobs reach on this machine's GPU: of the table, or measured where it is not."""
    from pipeline.bases import device

    card = known(name)
    return device.product_tflops() * UTILISATION if card is None else card.reached


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


def ratios(plan: Plan, measured: Measured) -> dict[str, float]:
    """Measured / expected, of what is known of both; times are no guide after a step down."""
    if measured.stepped_down:
        return {"train_bytes": CAREFUL, "generate_bytes": CAREFUL}
    pairs = {
        "train_seconds": (measured.seconds_per_step, plan.seconds_per_step),
        "portrait_seconds": (measured.seconds_per_portrait, plan.seconds_per_portrait),
        "train_bytes": (_with_fragmentation(measured.peaks.get("train")), plan.train_bytes),
        "generate_bytes": (
            _with_fragmentation(measured.peaks.get("generate")),
            plan.generate_bytes,
        ),
    }
    return {key: real / computed for key, (real, computed) in pairs.items() if real and computed}


def _with_fragmentation(allocated: int | None) -> float | None:
    """What an allocator needs for that many bytes of tensors."""
    return allocated * FRAGMENTATION if allocated else None
