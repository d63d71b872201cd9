"""Training steps/s and images/s of the configured base, beside the plain way of doing the same.

The plain trainer does what diffusers' DreamBooth LoRA example does: pixels and words are encoded
inside every step, the base is not quantised, the optimizer keeps 32-bit states. The plain
generator calls the pipeline once per image. Same base, adapter, batch size and resolution.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import cache

import numpy as np
import torch
from PIL import Image

import settings as configuration
from benchmarks.measure import Measurement
from pipeline import adapter
from pipeline.album import TrainingPhoto
from pipeline.base import Base
from pipeline.faces import Faces
from pipeline.generate import generate, plan
from pipeline.recompose import Example, recompose
from pipeline.styles import load_styles
from pipeline.train import Recipe, train
from tools.train_base.judges import never, training_photos

STEPS = 30
WARM_UP = 5
IMAGES = 24
ROUNDS = 2


def train_steps() -> dict[str, Measurement]:
    """Steps per second after the caches are filled, the better of two alternating rounds."""
    quantised, plain = _base(True), _base(False)
    photos, faces = _photos(), _faces()
    recipe = Recipe(steps=STEPS + WARM_UP, variants=4)
    ours, reference = [], []
    for _ in range(ROUNDS):
        ours.append(_rate(lambda tick: _ours(quantised, photos, faces, recipe, tick)))
        reference.append(_rate(lambda tick: _plain(plain, photos, faces, recipe, tick)))
    return {"train_steps": Measurement(max(ours), "steps/s", "ratio >= 1.5", max(reference))}


def generate_images() -> dict[str, Measurement]:
    """Images per second, with an adapter, in batches and one by one."""
    base = _base(True)
    styles = list(load_styles(configuration.load().styles).values())
    recipe = Recipe(steps=1, variants=1)
    small = train(base, _photos(), _faces(), recipe, seed=1, report=lambda _: None, stop=never)
    shots = plan(styles, IMAGES, seed=1)
    ours, reference = [], []
    for _ in range(ROUNDS):
        started = time.monotonic()
        made = sum(1 for _ in generate(base, small, shots, stop=never))
        ours.append(made / (time.monotonic() - started))
        started = time.monotonic()
        few = shots[:6]
        for shot in few:
            assert len(list(generate(base, small, [shot], stop=never, batch=1))) == 1
        reference.append(len(few) / (time.monotonic() - started))
    return {"generate_images": Measurement(max(ours), "images/s", "ratio >= 1.3", max(reference))}


def _ours(
    base: Base,
    photos: list[TrainingPhoto],
    faces: Faces,
    recipe: Recipe,
    tick: Callable[[], None],
) -> None:
    train(base, photos, faces, recipe, seed=1, report=lambda _: tick(), stop=never)


def _plain(
    base: Base,
    photos: list[TrainingPhoto],
    faces: Faces,
    recipe: Recipe,
    tick: Callable[[], None],
) -> None:
    rng = np.random.default_rng(1)
    examples: list[Example] = list(
        recompose(
            photos, faces, base.resolution, variants=recipe.variants, knows=base.knows, rng=rng
        )
    )
    generator = torch.Generator().manual_seed(1)
    with adapter.fresh(base, rank=recipe.rank, alpha=recipe.alpha, seed=1) as parameters:
        optimizer = torch.optim.AdamW(parameters, lr=recipe.learning_rate)
        for _ in range(recipe.steps):
            batch = [examples[i] for i in rng.integers(len(examples), size=recipe.batch)]
            latents = base.encode_images(np.stack([example.image for example in batch]))
            conditions = base.encode_prompts([example.caption for example in batch])
            base.loss(latents, conditions, generator).backward()
            torch.nn.utils.clip_grad_norm_(parameters, recipe.max_gradient_norm)
            optimizer.step()
            optimizer.zero_grad()
            tick()


def _rate(run: Callable[[Callable[[], None]], None]) -> float:
    """Ticks per second after the warm-up."""
    times: list[float] = []
    run(lambda: times.append(time.monotonic()))
    return (len(times) - 1 - WARM_UP) / (times[-1] - times[WARM_UP])


@cache
def _base(quantise: bool) -> Base:
    return Base.load(configuration.load().base_folder, quantise=quantise)


@cache
def _faces() -> Faces:
    return Faces(configuration.load().models / "faces")


@cache
def _photos() -> list[TrainingPhoto]:
    portrait = sorted((configuration.ROOT / "tests" / "samples").glob("*.jpg"))[0]
    with Image.open(portrait) as image:
        return training_photos(_faces(), np.asarray(image.convert("RGB")))
