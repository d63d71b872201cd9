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

Time is the number of operations divided by what a card is taken to do in a second (`CARDS` times
`UTILISATION`), plus reading, decoding and scoring.  All of this is computed, none of it measured;
a `Calibration` holds what jobs on this very machine measured, and corrects both.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

from pipeline.bases.plan import UNTILED_PX, Plan
from pipeline.planning.calibration import Calibration
from pipeline.planning.facts import At, Facts

GB = 1e9
NF4 = 0.5 + 1 / 64 + 4 / (64 * 256)
LEARNING = 4 + 4 + 2 + 2 + 2 * 4 / 256
WORKSPACE = 0.4 * GB
FRAGMENTATION = 1.10
"""Memory that the allocator holds but cannot give out: a factor on every peak."""
CONTEXT = 0.6 * GB
"""What CUDA itself takes of a card; not in the memory that a job finds free."""
READING = 0.5 * GB
"""Activations of text encoders at work."""

UTILISATION = 0.45
"""Share of a card's peak that training and painting are taken to reach."""
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
class Card:
    """A GPU: memory in GB as it is sold, dense bfloat16 TFLOPS at its peak (maker's figures)."""

    name: str
    gigabytes: int
    tflops: float

    @property
    def free(self) -> int:
        """Bytes that a job finds free on it."""
        return round(self.gigabytes * 2**30 * 0.985 - CONTEXT)


CARDS = (
    Card("RTX 4060", 8, 30),
    Card("RTX 3060", 12, 26),
    Card("RTX 4070", 12, 58),
    Card("RTX 4080", 16, 97),
    Card("RTX 3090", 24, 71),
    Card("RTX 4090", 24, 165),
    Card("L4", 24, 121),
    Card("RTX 5090", 32, 210),
    Card("L40S", 48, 362),
    Card("A100", 80, 312),
    Card("H100", 80, 989),
)
UNKNOWN_TFLOPS = 40.0
"""Of a card that the table does not name."""


@dataclass(frozen=True)
class Workload:
    """How much a job has to do: photos to learn from, looks (`styles`), portraits (`count`)."""

    photos: int
    styles: int
    count: int


@dataclass(frozen=True)
class Machine:
    """The GPU that a job finds: free bytes, peak TFLOPS, what earlier jobs of the base measured."""

    free: int
    tflops: float = UNKNOWN_TFLOPS
    measured: Calibration = field(default_factory=Calibration)


def tflops_of(name: str) -> float:
    """Of a card by the name that CUDA gives it; the longest name of the table that is in it."""
    words = name.upper().replace("-", " ").split()
    known = [card for card in CARDS if set(card.name.upper().split()) <= set(words)]
    return max(known, key=lambda card: len(card.name)).tflops if known else UNKNOWN_TFLOPS


def costed(draft: Plan, facts: Facts, row: At, workload: Workload, machine: Machine) -> Plan:
    """Add bytes and seconds to a plan; `row` is that of its resolution."""
    measured, tflops = machine.measured, machine.tflops
    train, generate = peaks(draft, facts, row)
    per_step, per_portrait = speeds(draft, facts, row, tflops)
    per_step *= measured.train_seconds
    per_portrait *= measured.portrait_seconds
    seconds = (
        START_SECONDS
        + _words_seconds(draft, facts, workload, tflops)
        + workload.photos * facts.variants * _pixels_seconds(row, ENCODE_FLOPS_PER_PIXEL, tflops)
        + facts.steps * per_step
        + workload.count * per_portrait
    )
    return replace(
        draft,
        train_bytes=math.ceil(train * measured.train_bytes),
        generate_bytes=math.ceil(generate * measured.generate_bytes),
        seconds_per_step=per_step,
        seconds_per_portrait=per_portrait,
        seconds=seconds,
    )


def peaks(plan: Plan, facts: Facts, row: At) -> tuple[float, float]:
    """Bytes at the worst moment of training and of painting."""
    denoiser = facts.packed * NF4 + (facts.denoiser - facts.packed) * 2
    denoisers = denoiser * (2 if facts.distilled and plan.offload == "none" else 1)
    always = facts.autoencoder * 4 + (facts.text_encoder * 4 if facts.words_stay else 0)
    resident = denoisers + always
    adapter = facts.adapter * plan.rank
    unpacked = 2 * 2 * facts.largest
    reading = 0.0
    if not facts.words_stay and plan.offload != "words":
        reading = facts.text_encoder * 2 + READING
        reading += resident if plan.offload == "none" else 0
    activations = row.recompute if plan.checkpointing else row.keep
    learning = resident + adapter * LEARNING + unpacked + plan.micro_batch * activations
    pictures = plan.generation_batch * facts.together
    painting = resident + adapter * 2 + unpacked + pictures * row.paint
    decode = row.decode
    if plan.tiling:
        decode = round(row.decode * (UNTILED_PX / row.resolution) ** 2) + row.resolution**2 * 12 * 2
    worst = (
        max(reading, resident + row.encode, learning),
        max(reading, painting, resident + adapter * 2 + decode),
    )
    return (worst[0] + WORKSPACE) * FRAGMENTATION, (worst[1] + WORKSPACE) * FRAGMENTATION


def speeds(plan: Plan, facts: Facts, row: At, tflops: float) -> tuple[float, float]:
    """Seconds for an optimizer step and for a portrait.

    A step goes forward once, or twice with checkpointing, and back once: the frozen weights need
    no gradients of their own.
    """
    speed = tflops * 1e12 * UTILISATION
    passes = 3 if plan.checkpointing else 2
    guided = 2 if facts.guidance != 1 else 1
    # A GPU that is given one small picture at a time is not busy all the time.
    idle = 1 + 0.1 / plan.generation_batch
    painting = facts.solver_steps * guided * row.flops / speed * idle
    decoding = _pixels_seconds(row, DECODE_FLOPS_PER_PIXEL, tflops) * (1.3 if plan.tiling else 1)
    per_step = plan.batch * passes * row.flops / speed * (1 + 0.1 / plan.micro_batch)
    return per_step, painting + decoding + SECONDS_PER_SCORE


def _pixels_seconds(row: At, flops: float, tflops: float) -> float:
    return row.resolution**2 * flops / (tflops * 1e12 * UTILISATION)


def _words_seconds(plan: Plan, facts: Facts, workload: Workload, tflops: float) -> float:
    """Text encoders are read twice, for training and for the portraits; and they work."""
    if facts.words_stay:
        return 0.0
    prompts = workload.photos * facts.variants + 2 * workload.styles + 1
    work = prompts * facts.words * 2 * facts.text_encoder
    reached = CPU_TFLOPS if plan.offload == "words" else tflops * UTILISATION
    moved = facts.packed * NF4 if plan.offload != "none" else 0
    reading = (2 * 2 * facts.text_encoder + 4 * moved) / READ_BYTES_PER_S
    return reading + work / (reached * 1e12)
