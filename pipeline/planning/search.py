"""The search for the best way to run a job that fits: every candidate, costed and ranked.

Needs no torch and no GPU; `python -m tools.plan_tables` prints what is found for known cards.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import product

from errors import BaseUnavailable
from pipeline.bases.plan import UNTILED_PX, Offload, Plan
from pipeline.planning.calibration import Calibration
from pipeline.planning.cost import Machine, Workload, costed
from pipeline.planning.facts import Facts

LONGEST_S = 2 * 3600.0
"""Smaller pictures are planned where large ones would keep a visitor waiting for longer."""

LONGEST_UNHEARD_S = 5.0
"""Parts are planned smaller, or in blocks, where a wish to stop would not be heard for longer."""

GENERATION_BATCHES = (1, 2, 4, 8, 12)


def plan(facts: Facts, workload: Workload, machine: Machine, others: Sequence[Facts] = ()) -> Plan:
    """Find the plan with the largest pictures that fits and ends in time; of those, the quickest.

    Ways that would not hear a wish to stop come last.

    Whatever fits into a memory fits into a larger one, so more memory never gives a worse plan.

    others: bases to name when this one does not fit.

    Raises:
        BaseUnavailable: nothing fits; the sentence names a base that would, if there is one.
    """
    every = list(candidates(facts, workload, machine))
    fitting = [p for p in every if _bytes(p) <= machine.free]
    if fitting:
        return min(fitting, key=rank)
    least = min(map(_bytes, every))
    # What was measured is another base's.
    unmeasured = replace(machine, measured=Calibration())
    smaller = [f for f in others if f != facts and _any_fits(f, workload, unmeasured)]
    best = max(smaller, key=lambda f: f.denoiser, default=None)
    advice = f" {best.title} would fit: set LIKENESS_BASE={best.key}." if best else ""
    raise BaseUnavailable(
        f"{facts.title} needs {least / 2**30:.1f} GiB of free GPU memory, and there are "
        f"{machine.free / 2**30:.1f}.{advice}"
    )


def rank(plan: Plan) -> tuple[float, ...]:
    """Order plans, the best first, without a look at the memory."""
    assert plan.seconds is not None
    assert plan.unheard_s is not None
    deaf = plan.unheard_s > LONGEST_UNHEARD_S
    if plan.seconds > LONGEST_S:
        return deaf, 1, plan.seconds, plan.tiling, _bytes(plan)
    return deaf, 0, -plan.resolution, plan.tiling, plan.seconds, _bytes(plan)


def candidates(facts: Facts, workload: Workload, machine: Machine) -> Iterator[Plan]:
    """Every way in which a job of this base can run, whether it fits or not."""
    sides = [row.resolution for row in facts.at]
    micro = [n for n in range(1, facts.batch + 1) if facts.batch % n == 0]
    offloads: tuple[Offload, ...] = ("none",) if facts.words_stay else ("none", "parts", "words")
    choices = product(facts.at, offloads, (False, True), micro, GENERATION_BATCHES, (False, True))
    for row, offload, checkpointing, at_once, group, tiling in choices:
        if tiling and row.resolution <= UNTILED_PX:
            continue
        draft = Plan(
            resolution=row.resolution,
            rank=facts.rank,
            steps=facts.steps,
            batch=facts.batch,
            micro_batch=at_once,
            generation_batch=group,
            offload=offload,
            checkpointing=checkpointing,
            tiling=tiling,
            lower=tuple(side for side in sides if side < row.resolution),
        )
        yield costed(draft, facts, row, workload, machine)


def _any_fits(facts: Facts, workload: Workload, machine: Machine) -> bool:
    return any(_bytes(p) <= machine.free for p in candidates(facts, workload, machine))


def _bytes(plan: Plan) -> int:
    assert plan.train_bytes is not None
    assert plan.generate_bytes is not None
    return max(plan.train_bytes, plan.generate_bytes)
