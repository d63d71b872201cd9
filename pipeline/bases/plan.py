"""How one job uses a base: how much at once, what waits, and the next smaller way.

Plans are made in `pipeline/planning`; a base carries them out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

Offload = Literal["none", "parts", "words"]
"""none: all denoisers stay on the GPU, the text encoders join them while they read.
parts: one part at a time; the denoisers that do not work wait in the machine's memory.
words: as parts, and the words are read on the CPU, which takes minutes."""

Work = Literal["train", "generate"]

Stage = Literal["words", "encode", "train", "paint", "decode"]
"""What a base does when memory runs short: words are read, photos encoded, an adapter trained,
portraits painted, portraits decoded."""

UNTILED_PX = 512
"""Side of the tiles in which larger pictures are encoded and decoded, where a plan says so."""


@dataclass(frozen=True)
class Plan:
    """How one job runs.

    resolution: side of the pictures that are learnt and made, pixels; `lower` are those that the
        base can do besides, when memory runs short, largest first.
    batch: pictures in an optimizer step, `micro_batch` of them at once.
    generation_batch: portraits at once.
    train_bytes, generate_bytes: expected peaks on the GPU without CUDA's own part.
    unheard_s: for how long a wish to stop is not heard at most.
    All of bytes and seconds are None where nothing is known of the base or the machine.
    """

    resolution: int
    rank: int
    steps: int
    batch: int
    micro_batch: int
    generation_batch: int
    offload: Offload = "parts"
    checkpointing: bool = False
    tiling: bool = False
    lower: tuple[int, ...] = ()
    train_bytes: int | None = None
    generate_bytes: int | None = None
    seconds_per_step: float | None = None
    seconds_per_portrait: float | None = None
    seconds: float | None = None
    unheard_s: float | None = None

    @property
    def accumulation(self) -> int:
        """Parts of an optimizer step."""
        return -(-self.batch // self.micro_batch)

    @property
    def minutes(self) -> float | None:
        return None if self.seconds is None else self.seconds / 60


def smaller(plan: Plan, stage: Stage) -> Plan | None:
    """One step down after memory ran short at a stage; None when there is none left.

    What is expected of memory and time is then unknown: it was wrong already.
    """
    plan = replace(plan, train_bytes=None, generate_bytes=None, seconds=None, unheard_s=None)
    steps = (step(plan) for step in STEPS_DOWN[stage])
    return next((step for step in steps if step is not None), None)


def _fewer_learnt_at_once(plan: Plan) -> Plan | None:
    return replace(plan, micro_batch=plan.micro_batch // 2) if plan.micro_batch > 1 else None


def _fewer_painted_at_once(plan: Plan) -> Plan | None:
    fewer = plan.generation_batch // 2
    return replace(plan, generation_batch=fewer) if fewer else None


def _activations_twice(plan: Plan) -> Plan | None:
    return None if plan.checkpointing else replace(plan, checkpointing=True)


def _in_tiles(plan: Plan) -> Plan | None:
    useless = plan.tiling or plan.resolution <= UNTILED_PX
    return None if useless else replace(plan, tiling=True)


def _parts_in_turn(plan: Plan) -> Plan | None:
    return replace(plan, offload="parts") if plan.offload == "none" else None


def _words_on_the_cpu(plan: Plan) -> Plan | None:
    return replace(plan, offload="words") if plan.offload == "parts" else None


def _smaller_pictures(plan: Plan) -> Plan | None:
    return replace(plan, resolution=plan.lower[0], lower=plan.lower[1:]) if plan.lower else None


STEPS_DOWN: dict[Stage, tuple[Callable[[Plan], Plan | None], ...]] = {
    "words": (_parts_in_turn, _words_on_the_cpu),
    "encode": (_in_tiles, _parts_in_turn, _smaller_pictures),
    "train": (_fewer_learnt_at_once, _activations_twice, _parts_in_turn, _smaller_pictures),
    "paint": (_fewer_painted_at_once, _parts_in_turn, _smaller_pictures),
    "decode": (_in_tiles, _parts_in_turn, _smaller_pictures),
}
"""What helps at each stage, the mildest first. Prompts, photos and decoded portraits go one by one
anyway."""
