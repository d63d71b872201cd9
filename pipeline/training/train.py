"""Personalisation: photos of one person -> an adapter for the frozen base.

Pictures and prompts are encoded once, into memory; then only the adapter's few weights are
trained.  Nothing is written anywhere, and the base is afterwards what it was, also when the job
is stopped or fails.  Knows nothing of vaults, pages or queues: whoever wants to go on after a crash
keeps the checkpoints that it hands out.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch

from errors import BaseUnavailable
from pipeline.bases import adapter, device
from pipeline.bases.base import Base
from pipeline.bases.libraries import AdamW8bit, disable_input_dtype_casting
from pipeline.compositing.backdrops import PERSON
from pipeline.compositing.segmenter import Segment
from pipeline.training import checkpoint
from pipeline.training.checkpoint import Checkpoint, TrainingState
from pipeline.training.choice import Choice, Trials
from pipeline.training.dataset import recompose
from pipeline.training.encoded import Encoded
from pipeline.training.framings import framed

if TYPE_CHECKING:
    from pipeline.photos.record import TrainingPhoto


@dataclass(frozen=True)
class Recipe:
    """How an adapter is trained.  The defaults were tuned on the embedded base.

    rank, alpha: LoRA; the adapter's output is scaled by alpha / rank.
    steps, batch: optimizer steps, and pictures in each.
    learning_rate: at its peak, after `warmup` steps; it then falls linearly to a tenth.
    variants: pictures made of each photo.
    text_dropout: share of pictures trained without words, so that guidance has a reference.
    face_weight: how much more an error in the middle of the face counts than one far from it, where
        pictures are aligned; see `framings` for large bases.
    """

    rank: int = 16
    alpha: float = 16
    steps: int = 200
    batch: int = 8
    learning_rate: float = 2e-3
    warmup: int = 20
    variants: int = 16
    text_dropout: float = 0.05
    face_weight: float = 0.0
    weight_decay: float = 0.01
    max_gradient_norm: float = 1.0


CHECKPOINT_EVERY = 40

SEED = 7
"""Of every job's training. An order's own seed is new each time; a checkpoint fits the next too."""
"""Steps."""


@dataclass(frozen=True)
class TrainStep:
    """Progress after a step: `step` of `steps` done, its loss, and the seconds still to go."""

    step: int
    steps: int
    loss: float
    seconds_left: float


def recipe_for(base: Base, photos: int) -> Recipe:
    """The recipe for a number of photos: more photos, more to learn, within limits."""
    scaled = Recipe(steps=min(320, 120 + 10 * photos), variants=max(8, 128 // photos))
    try:
        return replace(scaled, **base.recipe)
    except TypeError:
        raise BaseUnavailable(
            f"The base model {base.key!r} has a recipe.toml with a key that no recipe has."
        ) from None


@dataclass(frozen=True)
class Personalisation:
    """All that decides, beside the base, which adapter comes out.

    photos: of one person. segment: tells the person from the wall. The same seed gives the same
    adapter. class_word: what the captions of a large base call the person. trials: how one is
    chosen on the way; None takes the last.
    """

    photos: Sequence[TrainingPhoto]
    segment: Segment
    recipe: Recipe
    seed: int
    class_word: str = "person"
    trials: Trials | None = None


@dataclass(frozen=True)
class Checkpoints:
    """How a training outlives a crash.

    keep: given a checkpoint after every `every` steps, and after each trial, but the last.
    resume: a checkpoint to go on from.  The adapter is then the one that the uninterrupted
        training gives: to the bit on a CPU, while a GPU repeats its sums in no fixed order.  One of
        another training (other photos, recipe, seed or base) is left alone, and all starts anew.
    """

    keep: Callable[[bytes], None]
    every: int = CHECKPOINT_EVERY
    resume: bytes | None = None

    def due(self, now: TrainStep) -> bool:
        """Whether a checkpoint is kept after this step."""
        return now.step % self.every == 0 and now.step < now.steps


def subject_for(base: Base, class_word: str) -> str:
    """What captions call the person, and prompts after them."""
    return PERSON.replace("person", class_word) if base.large else PERSON


def train(
    base: Base,
    person: Personalisation,
    *,
    report: Callable[[TrainStep], None],
    stop: Callable[[], bool],
    checkpoints: Checkpoints | None = None,
    micro_batch: int | None = None,
) -> bytes:
    """Train an adapter; returns it as safetensors.

    While an adapter is tried, none is attached to the base: training goes on from a checkpoint, as
    it does after a crash, so that a trial changes nothing in it.

    report: called after every step.
    stop: asked before each picture is encoded, and before each block of a network.
    micro_batch: pictures at once, None for the recipe's batch; the steps stay what they are.

    Raises:
        Stopped: `stop` said so.
        ShortOfMemory: with the stage at which the GPU's memory ran short.
        TamperedError: `checkpoints.resume` is no checkpoint.
    """
    recipe, trials = person.recipe, person.trials
    fingerprint = checkpoint.fingerprint(base, person)
    saved = _saved(checkpoints, fingerprint)
    choice = saved.choice if saved else Choice()
    rng = np.random.default_rng(person.seed)
    material = (person.photos, person.segment, base.resolution)
    subject = subject_for(base, person.class_word)
    examples = (
        framed(*material, variants=recipe.variants, rng=rng, subject=subject)
        if base.large
        else recompose(*material, variants=recipe.variants, knows=base.knows, rng=rng)
    )

    def show(step: TrainStep, state: TrainingState) -> None:
        if checkpoints is not None and checkpoints.due(step):
            checkpoints.keep(checkpoint.taken(state, fingerprint, choice).to_bytes())
        report(step)

    with device.during("train"), base.heeding(stop):
        data = Encoded(base, examples, recipe, stop)
        leg = _Leg(base, data, person.seed, show, min(micro_batch or recipe.batch, recipe.batch))
        for end in trials.ends(recipe.steps) if trials else [recipe.steps]:
            if saved is not None and (saved.step > end or end in choice.scores):
                continue
            with leg.begun(saved) as state:
                leg.go_on(state, end)
                learnt = adapter.dump(base, subject)
                saved = checkpoint.taken(state, fingerprint, choice)
            if trials is None:
                return learnt
            choice = trials.tried(choice, end, learnt)
            if end == recipe.steps or choice.settled:
                break
            saved = replace(saved, choice=choice)
            if checkpoints is not None:
                checkpoints.keep(saved.to_bytes())
    return choice.adapter


def _saved(checkpoints: Checkpoints | None, fingerprint: str) -> Checkpoint | None:
    """The checkpoint to go on from, if it is one of this very training."""
    if checkpoints is None or checkpoints.resume is None:
        return None
    saved = checkpoint.parse(checkpoints.resume)
    return saved if saved.fingerprint == fingerprint else None


@dataclass(frozen=True)
class _Leg:
    """A part of a training, at the end of which nothing of it is attached to the base.

    report: called after every step. at_once: pictures that are learnt together.
    """

    base: Base
    data: Encoded
    seed: int
    report: Callable[[TrainStep, TrainingState], None]
    at_once: int

    @contextmanager
    def begun(self, saved: Checkpoint | None) -> Iterator[TrainingState]:
        """An adapter that is attached for the time of the block, and where its training stands."""
        base, recipe = self.base, self.data.recipe
        new = adapter.fresh(base, rank=recipe.rank, alpha=recipe.alpha, seed=self.seed)
        # Autocast casts the inputs; peft would first copy them to the adapter's float32.
        with new as parameters, disable_input_dtype_casting(base.denoiser):
            weights = _flattened(parameters)
            generator = torch.Generator().manual_seed(self.seed)
            state = TrainingState(weights, make_optimizer(weights, recipe), generator)
            if saved is not None:
                saved.restore(state)
            yield state

    def go_on(self, state: TrainingState, end: int) -> None:
        """Bring a state to this step."""
        base, recipe = self.base, self.data.recipe
        started, done = time.monotonic(), state.step
        for step in range(done + 1, end + 1):
            for group in state.optimizer.param_groups:
                group["lr"] = recipe.learning_rate * _schedule(step, recipe)
            loss = torch.zeros((), device=base.device)
            for latents, conditions, weight in self.data.draw(state.generator, self.at_once):
                mean = base.loss(latents, conditions, state.generator, weight)
                share = mean * (len(latents) / recipe.batch)
                share.backward()
                loss += share.detach()
            torch.nn.utils.clip_grad_norm_(state.weights, recipe.max_gradient_norm)
            state.optimizer.step()
            state.optimizer.zero_grad(set_to_none=False)
            state.step = step
            left = (time.monotonic() - started) / (step - done) * (recipe.steps - step)
            self.report(TrainStep(step, recipe.steps, loss.item(), left), state)


def make_optimizer(weights: torch.nn.Parameter, recipe: Recipe) -> torch.optim.Optimizer:
    """AdamW; with 8-bit states on a GPU, where memory is scarce.

    On a CPU the 8-bit states save a few megabytes and cost 110 ms a step against 7 ms (measured
    with the embedded base's adapter, 1.5 M weights).
    """
    settings = {"lr": recipe.learning_rate, "weight_decay": recipe.weight_decay}
    if weights.device.type == "cpu":
        return torch.optim.AdamW([weights], fused=True, **settings)
    return AdamW8bit([weights], **settings)


def _flattened(parameters: list[torch.nn.Parameter]) -> torch.nn.Parameter:
    """One vector of which the parameters, and their gradients, become slices.

    An optimizer then has one tensor instead of hundreds of tiny ones, each with a call of its
    own.  Gradients must be zeroed in place, not dropped.
    """
    flat = torch.nn.Parameter(torch.cat([p.detach().reshape(-1) for p in parameters]))
    flat.grad = torch.zeros_like(flat)
    start = 0
    for parameter in parameters:
        part = slice(start, start + parameter.numel())
        parameter.data = flat.data[part].view(parameter.shape)
        parameter.grad = flat.grad[part].view(parameter.shape)
        start = part.stop
    return flat


def _schedule(step: int, recipe: Recipe) -> float:
    """Share of the peak learning rate at a step that counts from 1."""
    warm = min(1.0, step / max(1, recipe.warmup))
    return warm * max(0.1, 1 - (step - 1) / recipe.steps)
