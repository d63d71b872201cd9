"""SDXL with a distilled UNet: learns beside its own, paints by Euler's steps as diffusers does."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
from diffusers import EulerDiscreteScheduler, StableDiffusionXLPipeline, UNet2DConditionModel

from errors import BaseUnavailable
from pipeline.bases import adapter, manifest
from pipeline.bases.base import Base
from pipeline.bases.loading import load_base
from tests.support import tiny_base as tiny
from tests.support.nobody import noise_photos
from tests.support.training import run
from tools.fetch_base import BASES, File, sources

KEY = "sdxl-lightning"
PROMPT = "photo of sks woman, navy studio backdrop"
TOLERANCE = 1e-4


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny SDXL with a distilled UNet, and the manifest that ships."""
    place = tmp_path_factory.mktemp("few") / KEY
    tiny.build_tiny_sdxl_lightning(place)
    shutil.copyfile(BASES / f"{KEY}.toml", place / manifest.NAME)
    return place


@pytest.fixture(scope="module")
def precise(folder: Path) -> Any:
    """In float32, so that sums are the same."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Base, "compute_dtype", torch.float32)
        yield load_base(folder, quantise=False)


def trained(base: Base) -> bytes:
    """An adapter whose weights all count."""
    with adapter.fresh(base, rank=4, alpha=8, seed=1) as parameters:
        for number, parameter in enumerate(parameters):
            parameter.data += torch.linspace(-0.3, 0.3, parameter.numel()).view_as(parameter)
            parameter.data *= 1 + number % 3
        return adapter.dump(base)


@pytest.mark.parametrize("person", [False, True], ids=["nobody", "with an adapter"])
def test_diffusers_paints_the_same_in_as_few_steps(
    folder: Path, precise: Any, person: bool
) -> None:
    base, data = precise, trained(precise)
    assert (base.sampling.steps, base.sampling.guidance) == (8, 1.0)
    unet = UNet2DConditionModel.from_pretrained(folder / "distilled" / "unet")
    theirs = StableDiffusionXLPipeline.from_pretrained(folder, unet=unet, local_files_only=True)
    theirs.set_progress_bar_config(disable=True)
    theirs.scheduler = EulerDiscreteScheduler.from_config(
        theirs.scheduler.config, timestep_spacing="trailing"
    )
    if person:
        theirs.load_lora_weights(safetensors.torch.load(data))
    expected = theirs(
        prompt=PROMPT,
        height=tiny.SIDE,
        width=tiny.SIDE,
        num_inference_steps=8,
        guidance_scale=0,
        latents=base.initial_noise([3]),
        output_type="latent",
    ).images

    def ours() -> torch.Tensor:
        words = base.encode_prompts([PROMPT])
        return base.sample(words, words, [3], base.sampling, lambda: False)

    with base.painting():
        bare = ours()
        with adapter.loaded(base, data):
            worn = ours()
    made = worn if person else bare
    assert (made - expected).norm() / expected.norm() < TOLERANCE
    assert (worn - bare).norm() / bare.norm() > 100 * TOLERANCE  # the adapter counts


def test_it_learns_beside_its_own_unet_and_paints_with_the_distilled_one(folder: Path) -> None:
    base: Any = load_base(folder)
    own, before, learning = base.denoiser, base.fingerprint(), list[bool]()
    hooks = [
        network.register_forward_pre_hook(lambda network, _: learning.append(network is own))
        for network in (own, base.distilled)
    ]
    data = run(base, noise_photos(1))
    assert learning
    assert all(learning)
    learning.clear()
    words = base.encode_prompts([PROMPT])
    with base.painting(), adapter.loaded(base, data):
        assert base.solver(base.sampling).config.timestep_spacing == "trailing"
        latents = base.sample(words, words, [1], base.sampling, lambda: False)
    assert learning == [False] * base.sampling.steps  # one prediction a step: no guidance
    assert latents.isfinite().all()
    assert base.denoiser is own
    for hook in hooks:
        hook.remove()
    assert base.fingerprint() == before


def test_a_start_from_a_picture_is_what_eulers_steps_have_it_at(precise: Any) -> None:
    """Hardly any noise leaves nearly the picture: its scale is the solver's."""
    side = precise.resolution
    picture = np.random.default_rng(1).integers(0, 256, (1, side, side, 3), np.uint8)
    start, words = precise.encode_images(picture), precise.encode_prompts([PROMPT])

    def apart(noise: float) -> float:
        sampling = replace(precise.sampling, noise=noise)
        with precise.painting():
            made = precise.sample(words, words, [1], sampling, lambda: False, start)
        return float((made - start).abs().mean())

    assert apart(0.125) < apart(0.5) < apart(0.875)


@pytest.mark.parametrize("part", ["unet/diffusion_pytorch_model.safetensors", "unet/config.json"])
def test_without_all_of_the_distilled_unet_it_is_refused(
    folder: Path, tmp_path: Path, part: str
) -> None:
    broken = Path(shutil.copytree(folder, tmp_path / "broken"))
    (broken / "distilled" / part).unlink()
    with pytest.raises(BaseUnavailable, match="incomplete or damaged"):
        load_base(broken)


def test_what_is_fetched_lies_where_it_is_read() -> None:
    """The distilled UNet comes as weights alone, under a name of its own."""
    wanted = sources(KEY, BASES)
    weights = {source.target(File(source.take[0], 0, None)) for source in wanted if source.name}
    assert weights == {"distilled/unet/diffusion_pytorch_model.safetensors"}
    configs = [s.target(File("unet/config.json", 0, None)) for s in wanted if s.into == "distilled"]
    assert configs == ["distilled/unet/config.json"]
    read = manifest.parse(BASES / f"{KEY}.toml")
    assert read.distilled
