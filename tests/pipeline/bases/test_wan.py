"""A tiny Wan 2.2 TI2V makes the clips that diffusers' own pipeline makes, and keeps nothing."""

from __future__ import annotations

import gc
import json
import weakref
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from bitsandbytes.nn import Linear4bit
from diffusers import WanImageToVideoPipeline
from numpy.typing import NDArray
from PIL import Image

from errors import BaseUnavailable, Stopped
from pipeline.assembly import require_base
from pipeline.bases.base import Base
from pipeline.bases.denoising import Conditions, Sampling
from pipeline.bases.loading import load_base
from pipeline.bases.stopping import never
from tests.support import tiny_base as tiny

PROMPT, UNWANTED = "the person turns the head", "a light moves"
FRAMES, SIDE = 5, 64
FEW = Sampling(steps=3, guidance=5.0)
PICTURE = np.random.default_rng(1).integers(0, 256, (SIDE, SIDE, 3), np.uint8)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("moving") / "wan"
    tiny.build_tiny_wan(place)
    return place


@pytest.fixture(scope="module")
def base(folder: Path) -> Iterator[Any]:
    """In float32, so that sums are the same."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Base, "compute_dtype", torch.float32)
        yield small(load_base(folder, quantise=False))


def small(base: Any) -> Any:
    base.frames = FRAMES
    base.configure(replace(base.as_it_is(rank=0, steps=0, batch=1), resolution=SIDE))
    return base


def told(base: Any) -> tuple[Conditions, Conditions]:
    first = {"first": base.encode_images(PICTURE[None])}
    return base.encode_prompts([PROMPT]) | first, base.encode_prompts([UNWANTED]) | first


def made(base: Any, stop: Callable[[], bool] = never) -> torch.Tensor:
    wanted, unwanted = told(base)
    latents = base.sample(wanted, unwanted, [3], FEW, stop)
    return base.begun(latents, wanted["first"])  # type: ignore[no-any-return]


def test_diffusers_makes_the_same_clip(
    folder: Path, base: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All of it: words, picture, noise, solver, guidance, frames."""
    monkeypatch.setattr("diffusers.pipelines.wan.pipeline_wan_i2v.prompt_clean", str.strip)
    theirs = WanImageToVideoPipeline.from_pretrained(folder, local_files_only=True)
    theirs.set_progress_bar_config(disable=True)

    def asked(output: str, picture: NDArray[np.uint8] = PICTURE) -> Any:
        return theirs(
            image=Image.fromarray(picture),
            prompt=PROMPT,
            negative_prompt=UNWANTED,
            height=SIDE,
            width=SIDE,
            num_frames=FRAMES,
            num_inference_steps=FEW.steps,
            guidance_scale=FEW.guidance,
            latents=base.initial_noise([3]),
            output_type=output,
        ).frames

    ours, expected = made(base), asked("latent")
    assert (ours - expected).norm() / expected.norm() < 1e-4
    frames = base.decode(ours)
    assert frames.shape == (FRAMES, SIDE, SIDE, 3)
    assert np.abs(frames - 255 * asked("np")[0]).max() < 1
    other = asked("latent", 255 - PICTURE)  # the picture counts in every frame
    assert ((expected - other).abs().mean(dim=(0, 1, 3, 4)) > 1e-3).all()


def test_a_clip_begins_with_its_picture_and_is_new_with_another_seed(base: Any) -> None:
    wanted, unwanted = told(base)
    a, b = (base.sample(wanted, unwanted, [seed], FEW, never) for seed in (3, 4))
    one, two = (base.begun(latents, wanted["first"]) for latents in (a, b))
    assert torch.equal(one[:, :, :1], wanted["first"])
    assert torch.equal(two[:, :, :1], wanted["first"])
    assert not torch.equal(one[:, :, 1:], two[:, :, 1:])
    assert torch.allclose(base.scaled(base.unscaled(one)), one, atol=1e-5)


def test_what_is_sensitive_stays_exact(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Base, "compute_dtype", torch.bfloat16)
    base: Any = load_base(folder)
    network = base.denoiser
    assert isinstance(network.blocks[0].attn1.to_q, Linear4bit)
    assert isinstance(network.blocks[1].ffn.net[0].proj, Linear4bit)
    exact = [
        network.condition_embedder.time_embedder.linear_1.weight,
        network.rope.freqs_cos,
        network.scale_shift_table,
        network.blocks[0].scale_shift_table,
        network.blocks[0].norm2.weight,
    ]
    assert {tensor.dtype for tensor in exact} == {torch.float32}
    short = [network.patch_embedding.weight, network.proj_out.weight]
    assert {tensor.dtype for tensor in short} == {torch.bfloat16}
    assert base.vae.dtype == torch.float32


def test_a_wish_to_stop_is_heard_between_blocks(base: Any) -> None:
    looks: list[str] = []

    def look() -> bool:
        looks.append("")
        return False

    with base.heeding(look):
        latents = made(base, look)
        sampling = len(looks)
        base.decode(latents)
    assert sampling > len(base.denoiser.blocks) * 2 * FEW.steps
    assert len(looks) - sampling > FRAMES
    for say in (sampling // 2, sampling - 1):
        asked = iter(range(say))
        with base.heeding(lambda: next(asked, None) is None), pytest.raises(Stopped):  # noqa: B023
            made(base)


def test_nothing_of_a_clip_stays_where_it_was_stopped(
    base: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The autoencoder keeps what it knows of earlier frames while it decodes the next ones."""
    kept = list[weakref.ref[torch.Tensor]]()
    block = base.vae.decoder.up_blocks[0]
    real = block.forward

    def watched(*arguments: Any, **named: Any) -> Any:
        answer = real(*arguments, **named)
        kept.extend(weakref.ref(t) for t in (answer, *base.vae._feat_map) if torch.is_tensor(t))
        return answer

    monkeypatch.setattr(block, "forward", watched)
    latents = made(base)
    kept.append(weakref.ref(latents))
    with base.heeding(lambda: len(kept) > 10), pytest.raises(Stopped):
        base.decode(latents)
    del latents
    monkeypatch.undo()
    gc.collect()
    assert len(kept) > 10
    assert not [each for each in kept if each() is not None]


def test_a_clip_is_decoded_in_tiles_where_planned(base: Any) -> None:
    plan = base.as_it_is(rank=0, steps=0, batch=1)
    latents = made(base)
    base.configure(replace(plan, tiling=True))
    assert base.vae.use_tiling
    base.vae.tile_sample_min_height = base.vae.tile_sample_min_width = 32
    base.vae.tile_sample_stride_height = base.vae.tile_sample_stride_width = 16
    tiled = base.decode(latents)
    base.configure(plan)
    assert not base.vae.use_tiling
    assert tiled.shape == (FRAMES, SIDE, SIDE, 3)


def test_it_makes_no_portraits_and_another_wan_no_clips(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(
        BaseUnavailable, match=r"moves portraits and makes none\. Set LIKENESS_BASE"
    ):
        require_base(folder)
    other = tmp_path / "wan"
    other.mkdir()
    for part in folder.iterdir():
        (other / part.name).symlink_to(part)
    index = json.loads((folder / "model_index.json").read_text())
    (other / "model_index.json").unlink()
    (other / "model_index.json").write_text(json.dumps(index | {"expand_timesteps": False}))
    with pytest.raises(BaseUnavailable, match="begins with no picture"):
        load_base(other, quantise=False)
