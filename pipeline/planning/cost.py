"""The cost of one way to run a job: bytes at its worst moments, and seconds.

The memory of a job is a sum of what is on the GPU at its worst moment (`peaks`):

| what | bytes |
|---|---|
| 4-bit weights | `NF4` per weight: half a byte, and the blocks' scales |
| other weights of the denoiser | 2 each (bfloat16) |
| autoencoder; text encoder of a small base | 4 each (float32) |
| text encoders of a large base | 2 each (bfloat16), only while they read the words |
| adapter in training | `LEARNING` per weight: itself, its gradient, 8-bit Adam, its bfloat16 copy |
| adapter in painting | 2 per weight |
| activations | counted at each resolution by `dev/count_base`, in the manifest |
| two layers unpacked from 4 bits | 2 per weight, for the largest |
| kernels' workspaces, and fragmentation | `WORKSPACE`, and `FRAGMENTATION` on top of everything |

Time is the number of operations divided by what a card reaches in a second (`Card.reached`), but
no less than the processor takes to start their kernels (`LAUNCH_S`), plus reading, decoding and
scoring.  What an H200 measured is said beside the constants; all else is computed.  A `Calibration`
holds what jobs on this very machine measured, and corrects both.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

from pipeline.bases.plan import UNTILED_PX, Plan
from pipeline.planning.calibration import Calibration
from pipeline.planning.cards import GB
from pipeline.planning.facts import Facts

NF4 = 0.5 + 1 / 64 + 4 / (64 * 256)
LEARNING = 4 + 4 + 2 + 2 + 2 * 4 / 256
WORKSPACE = 0.4 * GB
FRAGMENTATION = 1.10
"""Memory that the allocator holds but cannot give out: a factor on every peak."""
READING = 0.5 * GB
"""Activations of text encoders at work."""

LAUNCH_S = 36e-6
"""For the processor to start a kernel, measured beside an H200: what three families take at one
picture of 512 pixels, however fast the card is."""
BLOCKS = 20
"""Of a large denoiser, at least; each asks whether to stop, forward and when computed again."""
DECODE_FLOPS_PER_PIXEL = 10.0e6
ENCODE_FLOPS_PER_PIXEL = 4.7e6
READ_BYTES_PER_S = 1.0 * GB
"""Text encoders come from the disk."""
CPU_TFLOPS = 0.3
"""For words that are read on the CPU."""
SECONDS_PER_SCORE = 0.3
"""Finding the face, likeness, PNG, encryption of one portrait."""
START_SECONDS = 20.0
"""Photos to training pictures, adapters in and out, fingerprints."""


@dataclass(frozen=True)
class Workload:
    """How much a job has to do: photos to learn from, looks (`styles`), portraits (`count`)."""

    photos: int
    styles: int
    count: int


@dataclass(frozen=True)
class Machine:
    """The GPU that a job finds: free bytes, TFLOPS that it reaches, what earlier jobs of the base
    measured."""

    free: int
    reached: float
    measured: Calibration = field(default_factory=Calibration)


def costed(draft: Plan, facts: Facts, workload: Workload, machine: Machine) -> Plan:
    """Add bytes and seconds to a plan."""
    measured, reached = machine.measured, machine.reached
    train, generate = peaks(draft, facts)
    per_step, per_portrait = speeds(draft, facts, reached)
    per_step *= measured.train_seconds
    per_portrait *= measured.portrait_seconds
    encoding = draft.learnt_px**2 * ENCODE_FLOPS_PER_PIXEL / (reached * 1e12)
    # A way back asks nobody whether to stop, unless activations are computed again on it.
    part = per_step / draft.accumulation / (BLOCKS if draft.checkpointing else 2)
    flops = facts.row(draft.resolution).flops * facts.looked_at
    group = _painted_at_once(draft, facts) * facts.together * flops
    predicting = group / (reached * 1e12) * measured.portrait_seconds / BLOCKS
    return replace(
        draft,
        train_bytes=math.ceil(train * measured.train_bytes),
        generate_bytes=math.ceil(generate * measured.generate_bytes),
        seconds_per_step=per_step,
        seconds_per_portrait=per_portrait,
        seconds=START_SECONDS
        + _words_seconds(draft, facts, workload, reached)
        + workload.photos * facts.variants * encoding
        + draft.steps * per_step
        + workload.count * per_portrait,
        unheard_s=max(part, predicting),
    )


def peaks(plan: Plan, facts: Facts) -> tuple[float, float]:
    """Bytes at the worst moment of training and of painting."""
    learnt, painted = facts.row(plan.learnt_px), facts.row(plan.resolution)
    denoiser = facts.packed * NF4 + (facts.denoiser - facts.packed) * 2
    resident = denoiser * (2 if facts.distilled and plan.offload == "none" else 1)
    resident += facts.autoencoder * 4 + (facts.text_encoder * 4 if facts.words_stay else 0)
    adapter = facts.adapter * plan.rank
    unpacked = 2 * 2 * facts.largest
    reading = 0.0
    if not facts.words_stay and plan.offload != "words":
        reading = facts.text_encoder * 2 + READING + (resident if plan.offload == "none" else 0)
    activations = learnt.recompute if plan.checkpointing else learnt.keep
    learning = resident + adapter * LEARNING + unpacked + plan.micro_batch * activations
    together = _painted_at_once(plan, facts) * facts.looked_at * facts.together
    painting = resident + adapter * 2 + unpacked + together * painted.paint
    decode = painted.decode
    if plan.tiling:
        decode = round(decode * (UNTILED_PX / plan.resolution) ** 2) + plan.resolution**2 * 12 * 2
    worst = (
        max(reading, resident + learnt.encode, learning),
        max(reading, painting, resident + adapter * 2 + decode),
    )
    return (worst[0] + WORKSPACE) * FRAGMENTATION, (worst[1] + WORKSPACE) * FRAGMENTATION


def speeds(plan: Plan, facts: Facts, reached: float) -> tuple[float, float]:
    """Seconds for an optimizer step and for a portrait.

    A step goes forward once, or twice with checkpointing, and back once: the frozen weights need
    no gradients of their own.

    reached: TFLOPS.
    """
    # A GPU that is given one small picture at a time is not busy all the time.
    at_once = _painted_at_once(plan, facts)
    idle = 1 + 0.1 / plan.micro_batch, 1 + 0.1 / at_once
    passes, again = (3 if plan.checkpointing else 2), facts.launches_again
    launches = facts.launches + (again if plan.checkpointing else 0)
    part = plan.micro_batch * passes * facts.row(plan.learnt_px).flops / (reached * 1e12) * idle[0]
    per_step = plan.accumulation * max(part, launches * LAUNCH_S)
    guided = 2 if facts.guidance != 1 else 1
    flops = facts.row(plan.resolution).flops * facts.looked_at
    predicting = guided * flops / (reached * 1e12) * idle[1]
    asked = max(1, guided // facts.together) / at_once
    painting = facts.solver_steps * max(predicting, asked * again * LAUNCH_S)
    decoding = plan.resolution**2 * DECODE_FLOPS_PER_PIXEL / (reached * 1e12)
    return per_step, painting + decoding * (1.3 if plan.tiling else 1) + SECONDS_PER_SCORE


def _painted_at_once(plan: Plan, facts: Facts) -> int:
    """As `generate` does: fewer, where each has pictures beside it."""
    return max(1, int(plan.generation_batch / facts.looked_at))


def _words_seconds(plan: Plan, facts: Facts, workload: Workload, reached: float) -> float:
    """Text encoders are read for captions and portraits, of which each has words of its own."""
    if facts.words_stay:
        return 0.0
    prompts = workload.photos * facts.variants + workload.count + workload.styles + 1
    work = prompts * facts.words * 2 * facts.text_encoder
    working = CPU_TFLOPS if plan.offload == "words" else reached
    moved = facts.packed * NF4 if plan.offload != "none" else 0
    return (2 * facts.text_encoder + 2 * moved) / READ_BYTES_PER_S + work / (working * 1e12)
