"""What a way to run a job costs: bytes on the GPU at its worst moments, and seconds."""

from __future__ import annotations

import math
from dataclasses import dataclass

from pipeline.bases.moments import ENOUGH, LARGE, SMALL, trial_steps
from pipeline.bases.plan import UNTILED_PX, Plan
from pipeline.planning.cards import GB
from pipeline.planning.facts import Facts

# Bytes: of a weight in 4 bits, with the scales of its blocks; of an adapter's in training, with its
# gradient, 8-bit Adam and a bfloat16 copy; kernels' workspaces; activations of text encoders.
NF4 = 0.5 + 1 / 64 + 4 / (64 * 256)
LEARNING = 4 + 4 + 2 + 2 + 2 * 4 / 256
WORKSPACE, READING = 0.4 * GB, 0.5 * GB
FRAGMENTATION = 1.10
"""Memory that the allocator holds but cannot give out: a factor on every peak."""

LAUNCH_S = 36e-6
"""For the processor to start a kernel, measured beside an H200: what three families take at one
picture of 512 pixels, however fast the card is."""
IDLE = 0.1
"""By how much longer a GPU takes that is given one picture at a time."""
ENCODE_FLOPS_PER_PIXEL = 4.7e6
READ_BYTES_PER_S, MOVED_BYTES_PER_S = 1.0 * GB, 3.0 * GB
"""Text encoders come from the disk; denoisers that take turns come from the machine's memory, at
half of what PCI Express 3 carries."""
CPU_TFLOPS = 0.3
"""For words that are read on the CPU."""
SECONDS_PER_SCORE, SECONDS_PER_FRAME = 0.3, 0.12
"""Finding the face, likeness, PNG, encryption of one portrait; the first two of a clip's frame."""


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
        """Bytes at the worst moment of training and of painting.

        Weights are in bfloat16 unless packed in 4 bits; those of the autoencoder, and of the text
        encoder of a small base, in float32. Two layers at once are unpacked.
        """
        way, facts, waits = self.way, self.facts, self.way.offload != "none"
        learnt, painted = facts.row(way.learnt_px), facts.row(way.resolution)
        denoisers = 2 if facts.distilled and not waits else 1
        resident = denoisers * (facts.packed * NF4 + (facts.denoiser - facts.packed) * 2)
        resident += facts.autoencoder * 4 + (0 if facts.large else facts.text_encoder * 4)
        reading = facts.text_encoder * 2 + READING + (0 if waits else resident)
        least = reading if facts.large and way.offload != "words" else 0.0
        adapter, unpacked = facts.adapter * way.rank, 2 * 2 * facts.largest
        kept = way.micro_batch * (learnt.recompute if way.checkpointing else learnt.keep)
        training = max(adapter * LEARNING + unpacked + kept, learnt.encode)
        group = self._at_once(way.generation_batch) * self._with_references * facts.together
        decode = painted.decode
        if way.tiling:
            decode = round(decode * (UNTILED_PX / way.resolution) ** 2) + way.resolution**2 * 12 * 2
        painting = adapter * 2 + max(unpacked + group * painted.paint, decode)
        train, generate = (max(least, resident + working) for working in (training, painting))
        return (train + WORKSPACE) * FRAGMENTATION, (generate + WORKSPACE) * FRAGMENTATION

    @property
    def step_s(self) -> float:
        """Seconds of an optimizer step: forward once, or twice with checkpointing, and back once,
        since the frozen weights need no gradients of their own."""
        way, facts, again = self.way, self.facts, self.way.checkpointing
        flops = (2 + again) * way.micro_batch * facts.row(way.learnt_px).flops
        launches = facts.launches + again * facts.launches_again
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
        facts, way, moments = self.facts, self.way, LARGE if self.facts.large else SMALL
        if photos < ENOUGH:
            return 0.0
        steps = trial_steps(facts.solver_steps) if facts.large else facts.solver_steps
        each = self._painted(way.learnt_px, steps, way.micro_batch) + SECONDS_PER_SCORE
        return len(moments.shares) * (moments.portraits * each + self._moved_s(4 * facts.distilled))

    def other_s(self, work: Workload) -> float:
        """Seconds of all that is neither learning nor painting."""
        facts, words_wait = self.facts, self.way.offload == "words"
        encoding = work.photos * facts.variants * self.way.learnt_px**2 * ENCODE_FLOPS_PER_PIXEL
        seconds = facts.start_s + facts.frames * SECONDS_PER_FRAME + self._computed(encoding)
        if not facts.large:
            return seconds + self._moved_s(4 * facts.distilled)
        # Text encoders are read once, for captions and the words of trials and portraits together.
        prompts = work.photos * facts.variants + work.count + work.styles + 1
        flops = prompts * facts.words * 2 * facts.text_encoder
        reading = flops / (CPU_TFLOPS * 1e12) if words_wait else self._computed(flops)
        reading += 2 * facts.text_encoder / READ_BYTES_PER_S
        return seconds + reading + self._moved_s(2 + 4 * facts.distilled)

    @property
    def _with_references(self) -> float:
        """How much a portrait is to paint with the references beside it, in portraits."""
        return 1 + self.facts.references / 4

    def _at_once(self, group: int) -> int:
        """As `generate` does: fewer, where each has pictures beside it."""
        return max(1, int(group / self._with_references))

    def _moved_s(self, times: int) -> float:
        """Seconds to bring a denoiser to the GPU, or back, so often; none where all stay there."""
        waits = self.way.offload != "none"
        return waits * times * self.facts.packed * NF4 / MOVED_BYTES_PER_S

    def _painted(self, side: int, steps: int, group: int) -> float:
        """Seconds for one of a group of portraits."""
        facts, row, at_once = self.facts, self.facts.row(side), self._at_once(group)
        guided = 2 if facts.guidance != 1 else 1
        launches = max(1, guided // facts.together) * facts.launches_again / at_once
        predicted = self._computed(guided * row.flops * self._with_references, at_once, launches)
        return steps * predicted + self._computed(row.decode_flops) * (
            1.3 if self.way.tiling else 1
        )

    def _computed(self, flops: float, at_once: float = math.inf, launches: float = 0) -> float:
        """Seconds on the card, but no less than the processor takes to start the kernels; a GPU
        that is given one picture at a time is not busy all the time."""
        return max(flops / (self.reached * 1e12) * (1 + IDLE / at_once), launches * LAUNCH_S)
