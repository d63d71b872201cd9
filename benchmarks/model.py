"""Training steps/s, images/s and memory of the configured base, beside the plain way.

The plain trainer does what diffusers' DreamBooth LoRA script does when it is given no options:
pixels and words are encoded inside every step, the base is not quantised, everything is float32
(bfloat16 on a GPU, where few bases fit otherwise), attention is torch's fused one, the optimizer
its plain AdamW. The plain generator is diffusers' own pipeline with the adapter loaded, called once
per image. Same base, adapter, batch size, resolution, solver and threads.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import safetensors.torch
import torch
from diffusers.models.attention_processor import AttnProcessor2_0
from PIL import Image

import settings as configuration
from benchmarks.measure import Measurement
from pipeline.bases import adapter, nf4
from pipeline.bases.base import Base
from pipeline.bases.loading import load_base
from pipeline.bases.weights import read_pipeline
from pipeline.compositing.backdrops import PERSON
from pipeline.compositing.segmenter import Segment, Segmenter
from pipeline.photos.detection import Faces
from pipeline.photos.record import TrainingPhoto
from pipeline.portraits.generate import Shot, generate, plan
from pipeline.portraits.style import load_styles
from pipeline.training.dataset import Example, recompose
from pipeline.training.train import Personalisation, Recipe, train
from train_base.judges import never, training_photos

STEPS = 30
WARM_UP = 5
IMAGES = 24
ONE_BY_ONE = 6
ROUNDS = 2
LEARNING_STEPS = 40
LAST = 10


def train_steps() -> dict[str, Measurement]:
    """Steps per second after the caches are filled, the better of two alternating rounds."""
    quantised, plain = _base(True), _plain_base()
    person = _person(Recipe(steps=STEPS + WARM_UP, variants=4))
    ours, reference = [], []
    for _ in range(ROUNDS):
        ours.append(_rate(lambda tick: _ours(quantised, person, tick)))
        reference.append(_rate(lambda tick: _plain(plain, person, tick)))
    return {"train_steps": Measurement(max(ours), "steps/s", "ratio >= 1.5", max(reference))}


def generate_images() -> dict[str, Measurement]:
    """Images per second, with an adapter, in batches and one by one."""
    base = _base(True)
    styles = list(load_styles(configuration.load().styles).values())
    person = _person(Recipe(steps=1, variants=1))
    small = train(base, person, report=lambda _: None, stop=never)
    shots = plan(styles, IMAGES, seed=1)
    pipeline = _plain_pipeline(base, small)
    ours, reference = [], []
    for _ in range(ROUNDS):
        started = time.monotonic()
        made = sum(1 for _ in generate(base, small, shots, stop=never))
        ours.append(made / (time.monotonic() - started))
        started = time.monotonic()
        for shot in shots[:ONE_BY_ONE]:
            _one(pipeline, base, shot)
        reference.append(ONE_BY_ONE / (time.monotonic() - started))
    return {"generate_images": Measurement(max(ours), "images/s", "ratio >= 1.3", max(reference))}


def nf4_memory() -> dict[str, Measurement]:
    """Bytes of the denoiser in 4 bits beside bfloat16, and what either learns from the same start.

    Of its linear layers, which are all that can be in 4 bits, and of the whole: the embedded base
    is mostly convolutions.  The loss is the mean of the last steps of a short training.
    """
    quantised, plain = _base(True), _base(False)
    names = [n for n, m in plain.denoiser.named_modules() if type(m) is torch.nn.Linear]
    person = _person(Recipe(steps=LEARNING_STEPS, variants=4))
    losses = [_learn(base, person) for base in (quantised, plain)]

    def megabytes(base: Base, layers: list[str]) -> float:
        return sum(nf4.stored_bytes(base.denoiser.get_submodule(n)) for n in layers) / 1e6

    (linear, linear_plain), (whole, whole_plain) = (
        [megabytes(base, layers) for base in (quantised, plain)] for layers in (names, [""])
    )
    last, last_plain = (float(np.mean(curve[-LAST:])) for curve in losses)
    return {
        "nf4_memory": Measurement(whole, "MB of denoiser", "ratio <= 0.8", whole_plain),
        "nf4_memory_linear": Measurement(
            linear, "MB of its linear layers", "ratio <= 0.3", linear_plain
        ),
        "nf4_loss": Measurement(last, f"loss, last {LAST} steps", "ratio <= 1.05", last_plain),
    }


def _learn(base: Base, person: Personalisation) -> list[float]:
    curve: list[float] = []
    train(base, person, report=lambda s: curve.append(s.loss), stop=never)
    return curve


def _ours(base: Base, person: Personalisation, tick: Callable[[], None]) -> None:
    train(base, person, report=lambda _: tick(), stop=never)


def _plain(base: Base, person: Personalisation, tick: Callable[[], None]) -> None:
    rng, recipe = np.random.default_rng(person.seed), person.recipe
    examples: list[Example] = list(
        recompose(
            person.photos,
            person.segment,
            base.resolution,
            variants=recipe.variants,
            knows=base.knows,
            rng=rng,
        )
    )
    generator = torch.Generator().manual_seed(person.seed)
    with adapter.fresh(base, rank=recipe.rank, alpha=recipe.alpha, seed=person.seed) as parameters:
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


def _plain_pipeline(base: Base, person: bytes) -> Any:
    pipeline = read_pipeline(base.folder, {"torch_dtype": _plain_dtype(base)}).to(base.device)
    pipeline.set_progress_bar_config(disable=True)
    pipeline.load_lora_weights(safetensors.torch.load(person))
    return pipeline


def _one(pipeline: Any, base: Base, shot: Shot) -> None:
    made = pipeline(
        shot.style.words(PERSON),
        negative_prompt=shot.style.negative,
        num_inference_steps=base.sampling.steps,
        guidance_scale=base.sampling.guidance,
        generator=torch.Generator().manual_seed(shot.seed),
    )
    assert made.images[0].size == (base.resolution,) * 2


def _rate(run: Callable[[Callable[[], None]], None]) -> float:
    """Ticks per second after the warm-up."""
    times: list[float] = []
    run(lambda: times.append(time.monotonic()))
    return (len(times) - 1 - WARM_UP) / (times[-1] - times[WARM_UP])


@cache
def _base(quantise: bool) -> Base:
    return load_base(configuration.load().base_folder, quantise=quantise)


def _plain_dtype(base: Base) -> torch.dtype:
    return torch.float32 if base.device.type == "cpu" else torch.bfloat16


@cache
def _plain_base() -> Base:
    """As the script has it, where it is not the product's choice but the loop's."""
    base = load_base(configuration.load().base_folder, quantise=False)
    base.compute_dtype = _plain_dtype(base)
    base.denoiser.to(base.compute_dtype)
    if base.adapter_prefix == "unet":
        base.denoiser.set_attn_processor(AttnProcessor2_0())
    return base


def _person(recipe: Recipe) -> Personalisation:
    """Somebody who does not exist, to be learnt by this recipe."""
    photos, segment = _material()
    return Personalisation(photos, segment, recipe, seed=1)


@cache
def _material() -> tuple[list[TrainingPhoto], Segment]:
    models = configuration.load().models / "faces"
    faces, segment = Faces(models), Segmenter(models).matte
    portrait = sorted((configuration.ROOT / "tests" / "samples").glob("*.jpg"))[0]
    with Image.open(portrait) as image:
        return training_photos(faces, segment, np.asarray(image.convert("RGB"))), segment
