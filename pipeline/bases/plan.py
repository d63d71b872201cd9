"""How one job uses a base: how much at once, what waits, and the next smaller way.

Plans are made in `pipeline/planning`; a base carries them out.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

Offload = Literal["none", "parts", "words"]
"""none: all denoisers stay on the GPU, the text encoders join them while they read.
parts: one part at a time; the denoisers that do not work wait in the machine's memory.
words: as parts, and the words are read on the CPU, which takes minutes."""

Work = Literal["train", "generate"]

UNTILED_PX = 512
"""Tiles in which very large pictures are decoded."""


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


def smaller(plan: Plan, during: Work) -> Plan | None:
    """One step down after memory ran short; None when there is none left.

    What is expected of memory and time is then unknown: it was wrong already.
    """
    plan = replace(plan, train_bytes=None, generate_bytes=None, seconds=None, unheard_s=None)
    if during == "generate":
        if plan.generation_batch > 1:
            return replace(plan, generation_batch=plan.generation_batch // 2)
        if not plan.tiling and plan.resolution > UNTILED_PX:
            return replace(plan, tiling=True)
    else:
        if plan.micro_batch > 1:
            return replace(plan, micro_batch=plan.micro_batch // 2)
        if not plan.checkpointing:
            return replace(plan, checkpointing=True)
    if plan.offload == "none":
        return replace(plan, offload="parts")
    if plan.lower:
        return replace(plan, resolution=plan.lower[0], lower=plan.lower[1:])
    if plan.offload == "parts":
        return replace(plan, offload="words")
    return None
