"""What a way to run a job costs: bytes on the GPU at its worst moments, and seconds.

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

Seconds are operations divided by what a card reaches in a second (`Card.reached`), but no less than
the processor takes to start their kernels (`LAUNCH_S`), plus reading, moving and scoring.
"""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.bases.moments import ENOUGH, LARGE, SMALL, trial_steps
from pipeline.bases.plan import UNTILED_PX, Plan
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
IDLE = 0.1
"""By how much longer a GPU takes that is given one picture at a time."""
DECODE_FLOPS_PER_PIXEL = 10.0e6
ENCODE_FLOPS_PER_PIXEL = 4.7e6
READ_BYTES_PER_S = 1.0 * GB
"""Text encoders come from the disk."""
MOVED_BYTES_PER_S = 3.0 * GB
"""Denoisers that take turns come from the machine's memory: half of what PCI Express 3 carries."""
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
class Cost:
    """Of one way to run jobs of a base on a card that reaches so many TFLOPS."""

    way: Plan
    facts: Facts
    reached: float

    @property
    def peaks(self) -> tuple[float, float]:
        """Bytes at the worst moment of training and of painting."""
        way, facts = self.way, self.facts
        learnt, painted = facts.row(way.learnt_px), facts.row(way.resolution)
        denoiser = facts.packed * NF4 + (facts.denoiser - facts.packed) * 2
        resident = denoiser * (2 if facts.distilled and way.offload == "none" else 1)
        resident += facts.autoencoder * 4 + (0 if facts.large else facts.text_encoder * 4)
        reading = 0.0
        if facts.large and way.offload != "words":
            reading = facts.text_encoder * 2 + READING + (resident if way.offload == "none" else 0)
        adapter, unpacked = facts.adapter * way.rank, 2 * 2 * facts.largest
        activations = way.micro_batch * (learnt.recompute if way.checkpointing else learnt.keep)
        training = max(adapter * LEARNING + unpacked + activations, learnt.encode)
        group = self._at_once(way.generation_batch) * facts.looked_at * facts.together
        decode = painted.decode
        if way.tiling:
            decode = round(decode * (UNTILED_PX / way.resolution) ** 2) + way.resolution**2 * 12 * 2
        painting = adapter * 2 + max(unpacked + group * painted.paint, decode)
        train, generate = (
            (max(reading, resident + working) + WORKSPACE) * FRAGMENTATION
            for working in (training, painting)
        )
        return train, generate

    @property
    def step_s(self) -> float:
        """Seconds of an optimizer step.

        It goes forward once, or twice with checkpointing, and back once: the frozen weights need no
        gradients of their own.
        """
        way, facts, again = self.way, self.facts, self.way.checkpointing
        flops = (3 if again else 2) * way.micro_batch * facts.row(way.learnt_px).flops
        launches = facts.launches + (facts.launches_again if again else 0)
        return way.accumulation * self._computed(flops, way.micro_batch, launches)

    @property
    def painted_s(self) -> float:
        """Seconds until a portrait is painted."""
        way = self.way
        return self._painted(way.resolution, self.facts.solver_steps, way.generation_batch)

    @property
    def portrait_s(self) -> float:
        """Seconds of a portrait, which is scored while the next ones are painted."""
        return max(self.painted_s, SECONDS_PER_SCORE)

    def trials_s(self, photos: int) -> float:
        """Seconds of all portraits, small ones, that are painted to choose an adapter."""
        facts, way = self.facts, self.way
        if photos < ENOUGH:
            return 0.0
        moments = LARGE if facts.large else SMALL
        steps = trial_steps(facts.solver_steps) if facts.large else facts.solver_steps
        each = self._painted(way.learnt_px, steps, way.micro_batch) + SECONDS_PER_SCORE
        return len(moments.shares) * (moments.portraits * each + self._turn_s)

    def other_s(self, work: Workload) -> float:
        """Seconds of all that is neither learning nor painting."""
        facts, way = self.facts, self.way
        flops = work.photos * facts.variants * way.learnt_px**2 * ENCODE_FLOPS_PER_PIXEL
        seconds = START_SECONDS + self._computed(flops) + self._turn_s
        if not facts.large:
            return seconds
        # Text encoders are read once, for captions and the words of trials and portraits together.
        prompts = work.photos * facts.variants + work.count + work.styles + 1
        flops = prompts * facts.words * 2 * facts.text_encoder
        reading = flops / (CPU_TFLOPS * 1e12) if way.offload == "words" else self._computed(flops)
        moving = 0.0 if way.offload == "none" else 2 * facts.packed * NF4 / MOVED_BYTES_PER_S
        return seconds + reading + 2 * facts.text_encoder / READ_BYTES_PER_S + moving

    @property
    def _turn_s(self) -> float:
        """Seconds to bring the distilled denoiser to the GPU, and the base's own back."""
        turns = self.facts.distilled and self.way.offload != "none"
        return 4 * self.facts.packed * NF4 / MOVED_BYTES_PER_S if turns else 0.0

    def _painted(self, side: int, steps: int, group: int) -> float:
        """Seconds for one of a group of portraits."""
        facts, at_once = self.facts, self._at_once(group)
        guided = 2 if facts.guidance != 1 else 1
        flops = guided * facts.row(side).flops * facts.looked_at
        launches = max(1, guided // facts.together) * facts.launches_again / at_once
        decoding = self._computed(side**2 * DECODE_FLOPS_PER_PIXEL)
        decoding *= 1.3 if self.way.tiling else 1
        return steps * self._computed(flops, at_once, launches) + decoding

    def _at_once(self, group: int) -> int:
        """As `generate` does: fewer, where each has pictures beside it."""
        return max(1, int(group / self.facts.looked_at))

    def _computed(self, flops: float, at_once: float = float("inf"), launches: float = 0) -> float:
        """Seconds; a GPU that is given one picture at a time is not busy all the time."""
        return max(flops / (self.reached * 1e12) * (1 + IDLE / at_once), launches * LAUNCH_S)
