"""Every family of bases, with random weights: trains, goes on, generates, and leaves no trace.

What diffusers' own pipeline of the family makes of the same words, noise and adapter is the judge
of ours.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
from bitsandbytes.nn import Linear4bit
from bitsandbytes.optim import AdamW8bit
from diffusers import DiffusionPipeline, DPMSolverMultistepScheduler

from errors import BaseUnavailable, Stopped, TamperedError
from pipeline.bases import adapter
from pipeline.bases.base import Base
from pipeline.bases.denoising import Conditions, Sampling
from pipeline.bases.flow import FlowMatching
from pipeline.bases.loading import load_base
from pipeline.bases.offloading import Large
from pipeline.photos.record import TrainingPhoto
from pipeline.portraits.generate import Shot, generate, plan
from pipeline.portraits.style import Style, load_styles
from pipeline.training import checkpoint
from pipeline.training import train as training
from pipeline.training.checkpoint import TrainingState
from pipeline.training.train import Checkpoints, Recipe, TrainStep
from settings import ROOT
from tests.support import tiny_base as tiny
from tests.support.nobody import noise_photos
from tests.support.training import SHORT, run

BUILDERS: dict[str, Callable[[Path], None]] = {
    "stable-diffusion": tiny.build_tiny_base,
    "sdxl": tiny.build_tiny_sdxl,
    "z-image": tiny.build_tiny_z_image,
    "flux2-klein": tiny.build_tiny_flux2_klein,
}
LARGE = [key for key in BUILDERS if key != "stable-diffusion"]
SIDE = tiny.SIDE
PROMPT = "photo of sks person, navy studio backdrop"


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("families")
    for key, build in BUILDERS.items():
        build(root / key)
    return {key: root / key for key in BUILDERS}


@pytest.fixture(scope="module")
def bases(folders: dict[str, Path]) -> dict[str, Base]:
    return {key: load_base(folder) for key, folder in folders.items()}


@pytest.fixture(scope="module")
def photos() -> list[TrainingPhoto]:
    return noise_photos(2)


def resumed(checkpoint: bytes) -> Checkpoints:
    """Go on from a checkpoint and keep no new one."""
    return Checkpoints(lambda _: None, resume=checkpoint)


@pytest.mark.slow
@pytest.mark.parametrize("key", LARGE)
def test_it_learns_a_batch(bases: dict[str, Base], key: str) -> None:
    base = bases[key]
    images = np.random.default_rng(1).integers(0, 256, (2, SIDE, SIDE, 3), dtype=np.uint8)
    latents, words = base.encode_images(images), base.encode_prompts([PROMPT] * 2)

    def loss() -> torch.Tensor:
        return base.loss(latents, words, torch.Generator().manual_seed(2))

    with adapter.fresh(base, rank=16, alpha=16, seed=1) as parameters:
        optimizer = torch.optim.AdamW(parameters, lr=2e-2)
        before = loss().item()
        for _ in range(60):
            optimizer.zero_grad()
            now = loss()
            if now.item() < before / 2:
                return
            now.backward()
            optimizer.step()
        pytest.fail(f"from {before} to {now.item()} only")


@pytest.mark.slow
@pytest.mark.parametrize("key", LARGE)
def test_a_whole_training_and_portraits_leave_the_base_as_it_was(
    bases: dict[str, Base], photos: list[TrainingPhoto], key: str
) -> None:
    base = bases[key]
    before = base.fingerprint()
    person = run(base, photos, replace(SHORT, steps=2))
    shots = plan(list(load_styles(ROOT / "styles").values())[:1], 1, seed=1)
    few = Sampling(steps=2, guidance=2.0)
    made = [
        [image for _, image in generate(base, who, shots, stop=lambda: False, sampling=few)]
        for who in (person, None)
    ]
    assert {image.shape for images in made for image in images} == {(base.output_px,) * 2 + (3,)}
    assert all((a != b).any() for a, b in zip(*made, strict=True))
    assert base.fingerprint() == before
    with pytest.raises(Stopped):
        next(generate(base, person, shots, stop=lambda: True))
    assert base.fingerprint() == before


@pytest.mark.parametrize("key", list(BUILDERS))
def test_what_painting_starts_from_is_left_the_more_the_less_noise_it_gets(
    bases: dict[str, Base], key: str
) -> None:
    base = bases[key]
    words = base.encode_prompts([PROMPT])
    side = base.resolution
    picture = np.random.default_rng(1).integers(0, 256, (1, side, side, 3), np.uint8)
    start = base.encode_images(picture)

    def apart(noise: float) -> float:
        sampling = Sampling(steps=8, guidance=1.0, noise=noise)
        painted = base.sample(words, words, [1], sampling, lambda: False, start)
        return (painted - start).abs().mean().item()

    assert apart(0.125) < apart(0.5) < apart(0.875)


def test_prompts_of_one_length_share_a_batch_and_no_portrait_depends_on_it(
    bases: dict[str, Base], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Z-Image's transformer masks attention where the prompts of a batch differ in length."""
    base = bases["z-image"]
    looks = [
        Style(name, name, "A look.", "work", "{subject}" + " in light" * words)
        for name, words in (("one", 1), ("two", 9), ("three", 2))
    ]
    assert len({base.length(look.words("a person")) for look in looks}) == 2
    shots = plan(looks, 6, seed=1)
    few, batches = Sampling(steps=1, guidance=1.0), list[list[int]]()
    sample = base.sample

    def counted(positive: Conditions, *others: Any) -> torch.Tensor:
        batches.append([-(-int(mask.sum()) // 32) for mask in positive["mask"]])
        return sample(positive, *others)

    def made(shots: list[Shot], batch: int) -> dict[int, np.ndarray]:
        painted = generate(base, None, shots, stop=lambda: False, batch=batch, sampling=few)
        return {shot.index: image for shot, image in painted}

    monkeypatch.setattr(base, "sample", counted)
    together = made(shots, 4)
    assert sorted(together) == [0, 1, 2, 3, 4, 5]
    assert sorted(map(len, batches)) == [2, 4]
    assert all(len(set(lengths)) == 1 for lengths in batches)
    alone = made(shots[1:2], 1)[1].astype(int)
    assert np.abs(together[1] - alone).mean() < 0.1 * np.abs(together[4] - alone).mean()


@pytest.mark.slow
@pytest.mark.parametrize("key", list(BUILDERS))
def test_an_interrupted_training_goes_on_to_the_same_bits(
    bases: dict[str, Base], photos: list[TrainingPhoto], key: str
) -> None:
    base = bases[key]
    whole = run(base, photos)
    kept: list[bytes] = []
    seen: list[TrainStep] = []
    with pytest.raises(Stopped):
        run(base, photos, checkpoints=Checkpoints(kept.append, 2), stop=lambda: len(kept) == 2)
    assert run(base, photos, checkpoints=resumed(kept[-1]), report=seen.append) == whole
    assert [step.step for step in seen] == [5, 6]


@pytest.mark.slow
@pytest.mark.parametrize("key", [*BUILDERS, "sd15"])
def test_diffusers_makes_the_same_of_the_adapter(
    folders: dict[str, Path], key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All of it: words, noise, solver, guidance, adapter.  In float32, so that it is the same."""
    monkeypatch.setattr(Base, "compute_dtype", torch.float32)
    folder = folders.get(key, tmp_path)
    if key == "sd15":
        tiny.build_tiny_sd15(folder)
    base: Any = load_base(folder, quantise=False)
    with adapter.fresh(base, rank=4, alpha=8, seed=1) as parameters:
        for number, parameter in enumerate(parameters):
            parameter.data += torch.linspace(-0.3, 0.3, parameter.numel()).view_as(parameter)
            parameter.data *= 1 + number % 3
        data = adapter.dump(base)
    pipeline = DiffusionPipeline.from_pretrained(folder, local_files_only=True)
    pipeline.set_progress_bar_config(disable=True)
    if key in ("sdxl", "sd15"):  # the folder's solver is another than ours
        pipeline.scheduler = DPMSolverMultistepScheduler.from_config(pipeline.scheduler.config)
    noise = base.initial_noise([3])
    # Klein takes no negative words; Z-Image's guidance counts from 0, everybody else's from 1.
    unwanted = {} if key == "flux2-klein" else {"negative_prompt": "dark photo"}
    weight = 1.0 if key == "z-image" else 2.0

    def theirs() -> torch.Tensor:
        return pipeline(
            prompt=PROMPT,
            **unwanted,
            height=SIDE,
            width=SIDE,
            num_inference_steps=4,
            guidance_scale=weight,
            latents=noise.clone(),
            output_type="latent",
        ).images

    without = theirs()
    pipeline.load_lora_weights(safetensors.torch.load(data))
    expected = theirs()
    words, nothing = ([PROMPT], [unwanted.get("negative_prompt", "")])
    with adapter.loaded(base, data):
        ours = base.sample(
            base.encode_prompts(words),
            base.encode_prompts(nothing),
            [3],
            Sampling(steps=4, guidance=2.0),
            lambda: False,
        )
    if key == "flux2-klein":  # whose pipeline gives the autoencoder's latents
        ours = base.unscaled(ours)
    assert (expected - without).abs().mean() > 0.01
    assert (ours - expected).abs().max() < 1e-4 * expected.abs().max()


@pytest.mark.parametrize("key", LARGE)
def test_pictures_come_back_from_latents_scaled_as_the_pipeline_scales_them(
    folders: dict[str, Path], key: str
) -> None:
    base: Any = load_base(folders[key])
    latents = torch.randn(1, *base.initial_noise([1]).shape[1:])
    if isinstance(base, FlowMatching):
        assert torch.allclose(base.scaled(base.unscaled(latents)), latents, atol=1e-5)
    images = base.decode(latents)
    assert base.encode_images(images).shape == latents.shape


@pytest.mark.parametrize("key", LARGE)
def test_text_encoders_are_gone_when_the_words_are_known(
    bases: dict[str, Base], key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = bases[key]
    words = base.encode_prompts([PROMPT, "something else"])
    kinds = {type(m).__name__ for network in base.networks() for m in network.modules()}
    assert not [kind for kind in kinds if kind.startswith(("CLIP", "Qwen"))]
    kept = [v for v in vars(base).values() if isinstance(v, torch.nn.Module)]
    assert not [v for v in kept if type(v).__name__.startswith(("CLIP", "Qwen"))]
    monkeypatch.setattr("pipeline.bases.offloading.read_pipeline", None)  # nothing is read again
    again = base.encode_prompts(["something else", PROMPT])
    assert all(torch.equal(again[k], words[k].flip(0)) for k in words)


@pytest.mark.parametrize("key", LARGE)
def test_large_denoisers_are_in_four_bits_and_recompute_their_activations(
    bases: dict[str, Base], key: str
) -> None:
    base = bases[key]
    assert isinstance(base, Large)
    for name, module in base.denoiser.named_modules():
        if isinstance(module, torch.nn.Linear):
            precise = any(f".{part}." in f".{name}." for part in base.precise)
            assert isinstance(module, Linear4bit) != precise, name
    assert base.denoiser.is_gradient_checkpointing
    assert base.vae.use_slicing
    assert not base.vae.use_tiling


def test_very_large_pictures_are_decoded_in_tiles(
    folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.bases.offloading.TILES_ABOVE_PX", SIDE - 1)
    base: Any = load_base(folders["z-image"])
    assert base.vae.use_tiling


def test_klein_learns_beside_its_base_and_paints_with_the_distilled_one(
    bases: dict[str, Base], folders: dict[str, Path]
) -> None:
    base = bases["flux2-klein"]
    words, few = base.encode_prompts([PROMPT]), Sampling(steps=2, guidance=1.0)

    def latents() -> torch.Tensor:
        return base.sample(words, words, [1], few, lambda: False)

    trained = base.denoiser
    own = latents()
    with base.painting():
        assert base.denoiser is not trained
        assert not torch.equal(latents(), own)
    assert base.denoiser is trained
    assert torch.equal(latents(), own)
    targets = base.adapter_targets()
    assert "single_transformer_blocks.1.attn.to_out" in targets
    assert "single_transformer_blocks.1.attn.to_qkv_mlp_proj" in targets
    assert "transformer_blocks.0.attn.to_out.0" in targets
    assert base.fingerprint() == load_base(folders["flux2-klein"]).fingerprint()


@pytest.mark.slow
@pytest.mark.parametrize("key", list(BUILDERS))
def test_pictures_are_as_large_as_planned(
    folders: dict[str, Path], photos: list[TrainingPhoto], key: str
) -> None:
    base = load_base(folders[key])
    before = base.fingerprint()
    plan_ = base.as_it_is(rank=4, steps=1, batch=2)
    assert plan_.resolution == SIDE
    for checkpointing in (True, False):
        base.configure(replace(plan_, resolution=48, checkpointing=checkpointing))
        assert base.denoiser.is_gradient_checkpointing == checkpointing
        person = run(base, photos, replace(SHORT, steps=1), micro_batch=1)
    words, few = base.encode_prompts([PROMPT]), Sampling(steps=2, guidance=1.0)
    latents = base.sample(words, words, [1], few, lambda: False)
    assert base.decode(latents).shape == (1, 48, 48, 3)
    shots = plan(list(load_styles(ROOT / "styles").values())[:1], 1, seed=1)
    [(_, image)] = generate(base, person, shots, stop=lambda: False, sampling=few)
    assert image.shape[0] % 48 == 0
    base.configure(plan_)
    assert base.as_it_is(rank=4, steps=1, batch=2) == plan_
    assert base.fingerprint() == before


class Part:
    """A network that says where it is put."""

    def __init__(self, name: str, moves: list[tuple[str, str]]) -> None:
        self.name, self.moves = name, moves

    def to(self, device: str) -> None:
        self.moves.append((self.name, device))


@pytest.mark.parametrize(
    ("offload", "expected"),
    [
        ("none", [("distilled", "gpu"), ("own", "gpu"), ("vae", "gpu")]),
        ("parts", [("distilled", "cpu"), ("own", "gpu"), ("vae", "gpu")]),
        ("words", [("distilled", "cpu"), ("own", "gpu"), ("vae", "gpu")]),
    ],
)
def test_what_does_not_work_leaves_before_anything_comes(
    offload: str, expected: list[tuple[str, str]]
) -> None:
    moves: list[tuple[str, str]] = []
    own, distilled, vae = (Part(name, moves) for name in ("own", "distilled", "vae"))
    base = SimpleNamespace(networks=lambda: [own, distilled, vae], device="gpu", _offload=offload)
    Large.bring(base, own, vae)  # type: ignore[arg-type]
    assert moves == expected


@pytest.mark.slow
@pytest.mark.parametrize("offload", ["none", "parts", "words"])
def test_denoisers_leave_while_words_are_read_and_take_turns(
    folders: dict[str, Path], offload: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = load_base(folders["flux2-klein"])
    assert isinstance(base, FlowMatching)
    base.configure(replace(base.as_it_is(rank=4, steps=1, batch=1), offload=offload))
    own, distilled, brought = base.denoiser, base.distilled, list[list[Any]]()
    real = base.bring

    def bring(*working: torch.nn.Module) -> None:
        brought.append(list(working))
        real(*working)

    monkeypatch.setattr(base, "bring", bring)
    base.encode_prompts(["new words"])
    assert brought == [[], [own, base.vae]]
    base.encode_prompts(["new words"])
    assert len(brought) == 2
    with base.painting():
        base.encode_prompts(["newer words"])
    assert brought[2:] == [[distilled, base.vae], [], [distilled, base.vae], [own, base.vae]]


def test_a_damaged_distilled_transformer_is_a_sentence(folders: dict[str, Path]) -> None:
    weights = next((folders["flux2-klein"] / "distilled" / "transformer").glob("*.safetensors"))
    whole = weights.read_bytes()
    try:
        weights.write_bytes(whole[:-64])
        with pytest.raises(BaseUnavailable, match="incomplete or damaged"):
            load_base(folders["flux2-klein"])
    finally:
        weights.write_bytes(whole)


def test_a_missing_text_encoder_is_noticed_at_once(folders: dict[str, Path]) -> None:
    part = folders["sdxl"] / "text_encoder_2"
    part.rename(part.with_name("elsewhere"))
    try:
        with pytest.raises(BaseUnavailable, match="text_encoder_2"):
            load_base(folders["sdxl"])
    finally:
        part.with_name("elsewhere").rename(part)


# Checkpoints, whatever the family


@pytest.fixture
def kept(bases: dict[str, Base], photos: list[TrainingPhoto]) -> bytes:
    saved: list[bytes] = []
    run(bases["stable-diffusion"], photos, checkpoints=Checkpoints(saved.append, 4))
    assert len(saved) == 1  # after step 4 of 6, not after the last
    return saved[0]


@pytest.mark.parametrize(
    "other",
    [{"seed": 6}, {"recipe": replace(SHORT, steps=7)}, {"photos": 1}],
    ids=lambda o: next(iter(o)),
)
def test_a_checkpoint_of_another_training_is_left_alone(
    bases: dict[str, Base], photos: list[TrainingPhoto], kept: bytes, other: dict[str, Any]
) -> None:
    base, options = bases["stable-diffusion"], dict(other)
    few = photos[: options.pop("photos", len(photos))]
    seen: list[TrainStep] = []
    run(base, few, **options, checkpoints=resumed(kept), report=seen.append)
    assert [step.step for step in seen] == list(range(1, seen[0].steps + 1))


def test_a_damaged_checkpoint_is_refused_and_leaves_the_base_as_it_was(
    bases: dict[str, Base], photos: list[TrainingPhoto], kept: bytes
) -> None:
    base = bases["stable-diffusion"]
    before = base.fingerprint()
    for wrong in (b"", kept[:100], kept[:-1], run(base, photos), kept.replace(b"step", b"stop")):
        with pytest.raises(TamperedError):
            run(base, photos, checkpoints=resumed(wrong))
    other_adapter = checkpoint.parse(kept)
    assert other_adapter.tensors["weights"].ndim == 1
    with pytest.raises(TamperedError):
        other_adapter.restore(
            TrainingState(
                torch.nn.Parameter(torch.zeros(3)),
                torch.optim.AdamW([torch.zeros(3)]),
                torch.Generator(),
            )
        )
    assert base.fingerprint() == before


def test_eight_bit_optimizer_states_go_on_too(
    bases: dict[str, Base], photos: list[TrainingPhoto], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a GPU uses, on a CPU."""

    def eight_bit(weights: torch.nn.Parameter, recipe: Recipe) -> torch.optim.Optimizer:
        return AdamW8bit([weights], lr=recipe.learning_rate, weight_decay=recipe.weight_decay)

    monkeypatch.setattr(training, "make_optimizer", eight_bit)
    base, kept = bases["stable-diffusion"], []
    whole = run(base, photos, checkpoints=Checkpoints(kept.append, 3))
    assert checkpoint.parse(kept[0]).tensors["optimizer.state1"].dtype == torch.uint8
    assert run(base, photos, checkpoints=resumed(kept[0])) == whole
