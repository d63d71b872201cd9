"""How a clip of a portrait is made on the GPU at hand: the largest that fits and is made in time.

Counted as portraits are (`cost`), of a base that makes clips: nothing is learnt, one clip is made
at once, and its frames are decoded one after the other.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import get_args

from pydantic import TypeAdapter

from errors import BaseUnavailable
from pipeline.bases import manifest as manifests
from pipeline.bases.manifest import Manifest
from pipeline.bases.plan import Offload, Plan
from pipeline.planning import cost
from pipeline.planning.facts import Weights
from pipeline.planning.planning import Machine, rank

LONGEST_S = 15 * 60.0
"""Smaller clips are planned where large ones would keep a visitor waiting for longer."""

SECONDS_PER_FRAME = 0.12
"""Finding a face and comparing it, on one core."""


@dataclass(frozen=True)
class ClipAt:
    """Counts for one clip of this side in pixels: operations of a prediction and of decoding, bytes
    alive while predicting, decoding, and encoding the picture."""

    resolution: int
    flops: float
    decode_flops: float
    paint: int
    decode: int
    encode: int


@dataclass(frozen=True, kw_only=True)
class ClipFacts(Weights):
    """What a manifest says in [clip]. at: the largest clips first."""

    frames: int
    at: tuple[ClipAt, ...]
    steps: int
    guidance: float

    def peak(self, row: ClipAt, offload: Offload) -> float:
        """Bytes at the worst moment; the parts of the sum are those of `cost`."""
        resident = self.packed * cost.NF4 + (self.denoiser - self.packed) * 2 + self.autoencoder * 4
        reading = 0.0
        if offload != "words":
            reading = self.text_encoder * 2 + cost.READING
            reading += resident if offload == "none" else 0
        working = max(2 * 2 * self.largest + row.paint, row.decode, row.encode)
        return (max(reading, resident + working) + cost.WORKSPACE) * cost.FRAGMENTATION

    def seconds(self, row: ClipAt, offload: Offload, reached: float) -> float:
        """From the portrait to the judged clip, on a card that reaches so many TFLOPS."""
        guided = 2 if self.guidance != 1 else 1
        painting = self.steps * guided * row.flops * (1 + cost.IDLE) + row.decode_flops
        # What is asked for and what is not, read once and kept.
        words_at = cost.CPU_TFLOPS if offload == "words" else reached
        reading = 2 * self.words * 2 * self.text_encoder / (words_at * 1e12)
        reading += 2 * self.text_encoder / cost.READ_BYTES_PER_S
        moved = 0.0 if offload == "none" else 2 * self.packed * cost.NF4 / cost.MOVED_BYTES_PER_S
        return painting / (reached * 1e12) + reading + moved + self.frames * SECONDS_PER_FRAME


def clip_facts_of(manifest: Manifest) -> ClipFacts | None:
    """Take the counts out of a manifest; None if its base makes no clips.

    Raises:
        BaseUnavailable: counts are missing or are no numbers.
    """
    if not manifest.clip:
        return None
    try:
        at = sorted(manifest.clip["at"], key=lambda row: -row["resolution"])
        told = vars(manifest) | manifest.sampling | manifest.clip | {"at": at}
        return TypeAdapter(ClipFacts).validate_python(told)
    except (KeyError, TypeError, ValueError):  # pydantic's are ValueErrors
        raise BaseUnavailable(manifests.damaged(manifest.key)) from None


def plan_clip(facts: ClipFacts, machine: Machine) -> Plan:
    """The largest clip that fits and is made in `LONGEST_S`; of those that are not, the fastest.

    Raises:
        BaseUnavailable: not even the smallest fits.
    """
    every = [_plan(facts, row, way, machine) for row in facts.at for way in get_args(Offload)]
    fitting = [plan for plan in every if (plan.generate_bytes or 0) <= machine.free]
    if not fitting:
        least = min(plan.generate_bytes or 0 for plan in every) / 2**30
        raise BaseUnavailable(
            f"{facts.title} needs {least:.1f} GiB of free GPU memory, and there are "
            f"{machine.free / 2**30:.1f}: use a larger card, or make clips without it."
        )
    return min(fitting, key=lambda plan: rank(plan, LONGEST_S))


def _plan(facts: ClipFacts, row: ClipAt, offload: Offload, machine: Machine) -> Plan:
    known = machine.measured
    return Plan(
        resolution=row.resolution,
        rank=0,
        steps=0,
        batch=1,
        micro_batch=1,
        generation_batch=1,
        offload=offload,
        lower=tuple(r.resolution for r in facts.at if r.resolution < row.resolution),
        generate_bytes=math.ceil(facts.peak(row, offload) * known.generate_bytes),
        seconds=facts.seconds(row, offload, machine.reached) * known.portrait_seconds,
    )
