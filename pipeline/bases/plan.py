"""How one job uses a base: how much at once, what waits, and the next smaller way.

Plans are made in `pipeline/planning`; a base carries them out.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Literal, NamedTuple

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


class Way(NamedTuple):
    """What a plan takes over; `micro_batch` at most."""

    micro_batch: int
    generation_batch: int
    offload: Offload = "parts"
    checkpointing: bool = False
    tiling: bool = False


WAYS = {
    "whole": Way(8, 12, "none"),
    "near": Way(2, 12, "none"),
    "pairs": Way(2, 12),
    "singles": Way(1, 12),
    "again": Way(8, 6, checkpointing=True),
    "small": Way(1, 3, checkpointing=True),
    "tiles": Way(1, 1, checkpointing=True, tiling=True),
    "words": Way(1, 1, "words", checkpointing=True, tiling=True),
}
"""Every way to run a job, the roomiest first; in "near" nothing waits on the CPU either, in "again"
activations are computed twice."""

HELPS: dict[Stage, tuple[str, ...]] = {
    "words": ("offload",),
    "encode": ("tiling", "offload"),
    "train": ("micro_batch", "checkpointing", "offload"),
    "paint": ("generation_batch", "offload"),
    "decode": ("tiling", "offload"),
}
"""What saves memory at each stage. Prompts, photos and decoded portraits go one by one anyway."""


@dataclass(frozen=True)
class Plan:
    """How one job runs.

    resolution: side of the portraits, pixels; `lower` are those that the base can do besides, when
        memory runs short, largest first. train_resolution: of the pictures that are learnt; None
        for the same.
    batch: pictures in an optimizer step, `micro_batch` of them at once.
    generation_batch: portraits at once.
    way: the name of the way in `WAYS`.
    train_bytes, generate_bytes: expected peaks on the GPU without CUDA's own part.
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
    train_resolution: int | None = None
    way: str = field(default="", compare=False)
    train_bytes: int | None = None
    generate_bytes: int | None = None
    seconds_per_step: float | None = None
    seconds_per_portrait: float | None = None
    seconds: float | None = None

    @property
    def accumulation(self) -> int:
        """Parts of an optimizer step."""
        return -(-self.batch // self.micro_batch)

    @property
    def bytes(self) -> int:
        """The worst expected peak; of a plan that has one."""
        return max(self.train_bytes or 0, self.generate_bytes or 0)

    @property
    def learnt_px(self) -> int:
        """Side of the pictures that are learnt."""
        return self.train_resolution or self.resolution

    def during(self, work: Work) -> Plan:
        """The plan with the pictures of this half of the job as its `resolution`."""
        return replace(self, resolution=self.learnt_px) if work == "train" else self


def smaller(plan: Plan, stage: Stage) -> Plan | None:
    """One step down after memory ran short at a stage; None when there is none left.

    From the next way that helps it takes what helps at this stage, and nothing else; in the end
    pictures become smaller. What is expected of memory and time is unknown then: it was wrong.
    """
    plan = replace(plan, train_bytes=None, generate_bytes=None, seconds=None)
    for name, way in WAYS.items():
        less = replace(plan, **{key: _less(key, plan, way) for key in HELPS[stage]})
        if less != plan and (name != "words" or stage == "words"):
            return replace(less, way=name)
    now = plan.learnt_px if stage == "train" else plan.resolution
    side = next((side for side in plan.lower if side < now), None)
    if side is None or stage == "words":
        return None
    learnt = replace(plan, train_resolution=min(side, plan.learnt_px))
    return learnt if stage == "train" else replace(learnt, resolution=side)


def _less(key: str, plan: Plan, way: Way) -> Any:
    """Whichever takes less memory."""
    if key == "tiling" and plan.resolution <= UNTILED_PX:
        return False
    choose = min if key.endswith("batch") else max  # False < True, "none" < "parts" < "words"
    return choose(getattr(plan, key), getattr(way, key))
