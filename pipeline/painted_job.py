"""The painted way of a job: a session's photos become an adapter, the adapter becomes portraits.

The adapter lives in the vault from the end of training to the end of the batch, longer only with
`order.keep_adapter`; a kept one from an earlier order is used again instead of training. Until
training ends, its latest checkpoint lives there too: when a job was stopped or the machine failed,
the next one goes on from it. When the GPU's memory runs short, it goes on from there at once, in
smaller steps.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from contextlib import closing, nullcontext, suppress
from dataclasses import replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from errors import BaseUnavailable, DiskFull, Stopped, TamperedError
from messages import Message
from pipeline.bases import adapter as adapters
from pipeline.bases import device
from pipeline.bases.base import Base
from pipeline.bases.folder import sees_pictures
from pipeline.bases.plan import Plan
from pipeline.compositing.tone import toned
from pipeline.job import JobRun
from pipeline.orders import FIRST_GUESS_SECONDS_PER_PORTRAIT, Progress, Report
from pipeline.overlap import Behind, meanwhile
from pipeline.photos.detection import SAME_PERSON
from pipeline.photos.record import TrainingPhoto
from pipeline.planning.cost import Workload
from pipeline.planning.planning import Measured
from pipeline.portraits.generate import Shot, generate, plan
from pipeline.portraits.judge import Judge
from pipeline.portraits.references import shown
from pipeline.portraits.score import baseline
from pipeline.portraits.sheet import Sheet
from pipeline.portraits.starts import Starts
from pipeline.portraits.style import Style, crop
from pipeline.portraits.tries import Portrait, Tries
from pipeline.step_down import stepping_down
from pipeline.training import train as training
from pipeline.training.captions import captioned, measure
from pipeline.training.train import Checkpoints, Personalisation, Recipe, TrainStep, recipe_for
from pipeline.trials import expect, split, trials
from privacy import kinds

_ADAPTER = kinds.ADAPTER, "adapter"


def paint_portraits(
    job: JobRun, styles: Sequence[Style], seconds_per_portrait: float | None
) -> None:
    """Learn the face, paint the order's portraits, forget the adapter.

    seconds_per_portrait: as an earlier job measured it; None takes the plan's.

    Raises:
        BaseUnavailable, Stopped, UnknownSession, DiskFull: as `job.run`.
    """
    services, order, result = job.services, job.order, job.result
    photos = services.album.training_photos(job.session)
    waiting = Progress("preparing", count=order.count, message=Message("job.sentence.preparing"))
    if order.way == "both":  # the photo way has just said that it is done
        job.report(waiting)
    planned = services.planning.plan(Workload(len(photos), len(styles), order.count))
    if planned is not None:
        job.report(replace(waiting, seconds_left=planned.seconds))
    learns = not services.vault.list(job.session, kinds.ADAPTER)
    look = partial(measure, photos, services.segmenter.matte, services.mesh)
    # Only a large base is read for longer than photos are measured.
    early = learns and services.planning.gpu_plans
    with meanwhile(look, job.stop) if early else nullcontext(partial(look, job.stop)) as seen:
        base = services.load_base(job.stop)
        before = base.fingerprint(job.stop)
        kept = b"" if learns else services.vault.open(job.session, *_ADAPTER)
        if kept and not adapters.belongs(base, kept):  # to the base of another machine
            learns = services.vault.delete(job.session, kinds.ADAPTER) > 0
        photos = captioned(photos, base.knows, seen) if learns else photos
    recipe = recipe_for(base, len(photos))
    first = _first_plan(base, recipe, planned)
    guess = first.seconds_per_portrait or FIRST_GUESS_SECONDS_PER_PORTRAIT
    result.base, result.planned, result.plan = base.key, first, first
    result.seconds_per_portrait = seconds_per_portrait or guess
    painting = _Painting(job, base, recipe, photos)
    expect(job, base, styles)
    try:
        painting.paint(painting.learn(), list(styles))
    finally:
        if not device.failed(sys.exception()):  # then the order goes on in the next process
            if not order.keep_adapter:
                services.vault.delete(job.session, kinds.ADAPTER)
            base.configure(first)
    if base.fingerprint(job.stop) != before:
        raise BaseUnavailable("The base model changed during a job. Please restart the server.")
    if planned is not None:
        services.planning.learn(first, measured(result))


def measured(result: Report) -> Measured:
    """What the next plan can learn from a job."""
    generate_s = result.seconds.get("generate")
    return Measured(
        seconds_per_step=result.seconds_per_step,
        seconds_per_portrait=(
            generate_s / result.headshots if generate_s and result.headshots else None
        ),
        peaks={work: peak["allocated"] for work, peak in result.memory.items() if peak},
        stepped_down=result.steps_down > 0,
    )


def _first_plan(base: Base, recipe: Recipe, planned: Plan | None) -> Plan:
    """The plan with the recipe's own numbers; without one, everything as it has been loaded."""
    rank, steps, batch = recipe.rank, recipe.steps, recipe.batch
    if planned is None:
        return base.as_it_is(rank=rank, steps=steps, batch=batch)
    micro = min(planned.micro_batch, batch)
    return replace(planned, rank=rank, steps=steps, batch=batch, micro_batch=micro)


class _Painting:
    """One job's learning and painting. `message` says what it does now."""

    def __init__(
        self, job: JobRun, base: Base, recipe: Recipe, photos: Sequence[TrainingPhoto]
    ) -> None:
        self.job, self.base, self.recipe, self.photos = job, base, recipe, photos
        self.message: Message | None = None

    def learn(self) -> bytes:
        """The adapter of this person as safetensors bytes: kept from before, or trained now."""
        started = time.monotonic()
        vault, session, result = self.job.services.vault, self.job.session, self.job.result
        if vault.list(session, kinds.ADAPTER):
            adapter = vault.open(session, *_ADAPTER)
        else:
            adapter = stepping_down(self.base, result, "train", self._resumed, self._show_waiting)
            vault.put(session, *_ADAPTER, adapter)
            vault.delete(session, kinds.CHECKPOINT)
        result.seconds["train"] = round(time.monotonic() - started, 2)
        steps = result.choice["steps"] if result.choice else self.recipe.steps
        result.adapter = {"rank": self.recipe.rank, "steps": steps, "bytes": len(adapter)}
        return adapter

    def paint(self, adapter: bytes, styles: list[Style]) -> None:
        """Make, judge and keep the portraits; they are visible once they are kept.

        Raises:
            Stopped: fewer than ordered were made.
        """
        order, result, started = self.job.order, self.job.result, time.monotonic()
        services = self.job.services
        used, steps = result.adapter["steps"], self.recipe.steps
        self.message = Message("job.sentence.generating")
        if used < steps:
            chosen = {"step": used, "steps": steps}
            self.message = Message("job.sentence.generating_chosen", chosen)
        sheet = Sheet(services.vault, self.job.session, "painted", order.earlier)
        before = len(sheet.made)
        self._show_made(before, (order.count - before) * result.seconds_per_portrait)
        planned = plan(styles, order.count, order.seed)
        starts = Starts(self.photos, services.segmenter.matte)
        judge = Judge(services.faces, services.mesh, self.photos)
        tries = Tries(order.count)

        def show(message: Message) -> None:
            self.message = message
            self._show_made(len(sheet.made), None)

        def finish(shot: Shot, square: NDArray[np.uint8]) -> None:
            """Judge a portrait, and keep the best of its tries; only of a job that goes on."""
            if self.job.stop():
                return
            image = self._shaped(shot.style, square)
            judged = judge.judged(sheet.next_id, shot, image)
            portrait = tries.take(Portrait(planned[shot.index], judged, image))
            if portrait is None:
                return
            sheet.add(replace(portrait.judged.record, id=sheet.next_id), portrait.image)
            made = len(sheet.made)
            result.seconds_per_portrait = (time.monotonic() - started) / (made - before)
            self._show_made(made, (order.count - made) * result.seconds_per_portrait)

        def make(shots: list[Shot]) -> None:
            group = result.plan.generation_batch if result.plan else self.base.batch
            given = starts.given(shots)
            if sees_pictures(self.base.folder):
                given = shown(given, self.photos)
            making = generate(self.base, adapter, given, stop=self.job.stop, batch=group)
            try:
                # Closed at once, also by an error in between: an open one keeps its adapter
                # attached. The next batch is sampled while the last one is finished.
                with Behind(group) as behind, closing(making):
                    for shot, square in making:
                        behind.give(partial(finish, shot, square))
            finally:
                sheet.keep()

        def make_all() -> None:
            """Those that are not made yet, then again those that turned out badly."""
            make(tries.rest(planned, sheet.made))
            while again := tries.again():
                make(again)

        stepping_down(self.base, result, "generate", make_all, show)
        if len(sheet.made) < order.count:
            raise Stopped
        scores = [record.likeness for record in sheet.made if record.likeness is not None]
        result.seconds["generate"] = round(time.monotonic() - started, 2)
        result.headshots = len(sheet.made)
        result.again = {"tries": tries.spent, **tries.flaws}
        result.likeness = {
            "baseline": round(baseline(self.photos), 4),
            "median": round(float(np.median(scores)), 4),
            "share_same_person": round(float(np.mean([s > SAME_PERSON for s in scores])), 4),
        }

    def _shaped(self, style: Style, square: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """A portrait in the tone and the shape that were ordered."""
        order, services = self.job.order, self.job.services
        if order.tone != "look":
            square = toned(square, services.segmenter.matte(square), order.tone)
        return crop(square, style.crop if order.crop == "look" else order.crop)

    def _resumed(self) -> bytes:
        """The adapter, from the latest checkpoint on if there is one."""
        vault, session = self.job.services.vault, self.job.session
        kept = vault.list(session, kinds.CHECKPOINT)
        try:
            return self._train(
                vault.open(session, kinds.CHECKPOINT, "checkpoint") if kept else None
            )
        except TamperedError:  # of the checkpoint: the photos were opened and verified before
            vault.delete(session, kinds.CHECKPOINT)
            return self._train(None)

    def _train(self, checkpoint: bytes | None) -> bytes:
        plan_now = self.job.result.plan
        segment = self.job.services.segmenter.matte
        photos, held_out = split(self.photos)
        choosing = trials(self.job, self.base, photos, held_out)
        return training.train(
            self.base,
            Personalisation(
                photos, segment, self.recipe, training.SEED, self.job.order.class_word, choosing
            ),
            report=self._show_step,
            stop=self.job.stop,
            checkpoints=Checkpoints(self._keep_checkpoint, training.CHECKPOINT_EVERY, checkpoint),
            micro_batch=plan_now.micro_batch if plan_now else None,
        )

    def _keep_checkpoint(self, checkpoint: bytes) -> None:
        with suppress(DiskFull):  # training goes on; it could only not be continued
            self.job.services.vault.put(
                self.job.session, kinds.CHECKPOINT, "checkpoint", checkpoint
            )

    def _show_step(self, now: TrainStep) -> None:
        if self.message is None:
            done = now.step - 1
            continued = Message("job.sentence.continued", {"done": done})
            self.message = continued if done else Message("job.sentence.training")
        order, result = self.job.order, self.job.result
        if now.step < now.steps:
            result.seconds_per_step = now.seconds_left / (now.steps - now.step)
        later = order.count * result.seconds_per_portrait
        self.job.report(
            Progress(
                "training",
                step=now.step,
                steps=now.steps,
                loss=now.loss,
                count=order.count,
                seconds_left=now.seconds_left + later,
                message=self.message,
            )
        )

    def _show_waiting(self, message: Message) -> None:
        self.message = message
        steps, count = self.recipe.steps, self.job.order.count
        self.job.report(Progress("training", steps=steps, count=count, message=self.message))

    def _show_made(self, made: int, seconds_left: float | None) -> None:
        self.job.report(
            Progress(
                "generating",
                made=made,
                count=self.job.order.count,
                seconds_left=seconds_left,
                message=self.message,
            )
        )
