"""Adapters are tried before one is used: a few portraits, measured by photos that never trained.

What is painted here, and what is measured of it, is in RAM alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace

import numpy as np

from pipeline.bases import device
from pipeline.bases.base import Base
from pipeline.bases.denoising import Sampling
from pipeline.bases.folder import sees_pictures
from pipeline.bases.moments import ENOUGH, LARGE, SMALL, trial_steps
from pipeline.imaging import align
from pipeline.job import JobRun
from pipeline.photos.quality import FACE_SIDE, sharpness
from pipeline.photos.record import TrainingPhoto
from pipeline.portraits.generate import Shot, all_prompts, generate, plan
from pipeline.portraits.judge import Judge
from pipeline.portraits.references import shown
from pipeline.portraits.score import person_vector
from pipeline.portraits.starts import Starts
from pipeline.portraits.style import Style
from pipeline.training.choice import Choice, Trials
from pipeline.training.train import subject_for

MANY = 14
"""Photos of which two are held out."""

SEED = 11
"""Of the portraits of a trial: whatever was ordered, so that one that is done again is the same."""


def split(
    photos: Sequence[TrainingPhoto], enough: int = ENOUGH
) -> tuple[list[TrainingPhoto], list[TrainingPhoto]]:
    """The photos to learn from, and those that are held out: none of fewer than `enough`.

    Held out are those that look most like the person as all of them show them, among the sharper
    half, but never the very first: from that the most is learnt.
    """
    if len(photos) < enough:
        return list(photos), []
    person = person_vector(photos)
    sharp = [sharpness(align(p.image, p.landmarks, FACE_SIDE)) for p in photos]
    typical = sorted(range(len(photos)), key=lambda n: -float(photos[n].embedding @ person))
    sharper = [n for n in typical[1:] if sharp[n] >= np.median(sharp)]
    held_out = set(sharper[: 2 if len(photos) >= MANY else 1])
    return (
        [photo for n, photo in enumerate(photos) if n not in held_out],
        [photo for n, photo in enumerate(photos) if n in held_out],
    )


def trials(
    job: JobRun, base: Base, photos: Sequence[TrainingPhoto], held_out: Sequence[TrainingPhoto]
) -> Trials | None:
    """How a job chooses between the adapters of these photos, and tells; None with none held out.

    As many portraits are painted at once as pictures are learnt: that takes less memory.
    """
    if not held_out:
        return None
    services, moments = job.services, LARGE if base.large else SMALL
    shots = Starts(photos, services.segmenter.matte).given(_shots(job, base))
    if sees_pictures(base.folder):
        shots = shown(shots, photos)
    judge = Judge(services.faces, services.mesh, held_out)
    at_once = job.result.plan.micro_batch if job.result.plan else None

    def tell(choice: Choice) -> None:
        scores = {step: round(score, 4) for step, score in choice.scores.items()}
        told = {"held_out": len(held_out), "steps": choice.step, "scores": scores}
        job.result.choice = told

    return Trials(held_out, moments, Trial(base, shots, judge, job.stop, at_once).score, tell)


def _shots(job: JobRun, base: Base) -> list[Shot]:
    """What is painted to try each adapter."""
    moments = LARGE if base.large else SMALL
    return plan(list(job.services.styles.values()), moments.portraits, SEED)


def expect(job: JobRun, base: Base, styles: Sequence[Style]) -> None:
    """Tell a base the words of all that a job will paint, so that it may read them at once."""
    order = job.order
    shots = [*_shots(job, base), *plan(list(styles), order.count, order.seed)]
    base.expect_prompts(all_prompts(base, shots, subject_for(base, order.class_word)))


@dataclass(frozen=True)
class Trial:
    """How an adapter is tried.

    shots: what is painted; they start from no photo that is held out, and show none. judge: of the
    photos that are. at_once: portraits, None for as many as the base likes.
    """

    base: Base
    shots: Sequence[Shot]
    judge: Judge
    stop: Callable[[], bool]
    at_once: int | None

    def score(self, adapter: bytes) -> float | None:
        """The mean worth (`Judge.worth`) of the portraits; None where memory ran short.

        Raises:
            Stopped: `stop` said so; it is asked before each block of a network.
        """
        try:
            return self._score(adapter)
        except device.ShortOfMemory:
            pass  # what its frames held can be freed now
        device.release()
        return None

    def _score(self, adapter: bytes) -> float:
        base = self.base
        making = generate(
            base,
            adapter,
            list(self.shots),
            stop=self.stop,
            batch=self.at_once,
            sampling=quicker(base.sampling) if base.large else None,
        )
        with closing(making):  # by an error, too: an open one keeps its adapter attached
            return float(np.mean([self.judge.worth(image) for _, image in making]))


def quicker(sampling: Sampling) -> Sampling:
    """The same with as few steps as are enough."""
    return replace(sampling, steps=trial_steps(sampling.steps))
