"""The frozen base: loading, 4-bit storage, refusals, and that nothing leaves a trace in it."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from bitsandbytes.nn import Linear4bit

from errors import BaseUnavailable, TamperedError
from pipeline.bases import adapter, nf4
from pipeline.bases.base import Base

PROMPT = ["photo of a person, navy studio backdrop"]


@pytest.fixture(scope="module")
def base(tiny_base: Path) -> Base:
    return Base.load(tiny_base)


def answer(base: Base, seed: int = 3) -> torch.Tensor:
    """What the base makes of a prompt: latents after three solver steps."""
    words, nothing = base.encode_prompts(PROMPT), base.encode_prompts([""])
    sampling = type(base.sampling)(steps=3, guidance=2.0)
    return base.sample(words, nothing, [seed], sampling, lambda: False)


def test_linear_layers_are_stored_in_four_bits_with_quantised_scales(base: Base) -> None:
    linears = [m for m in base.denoiser.modules() if isinstance(m, torch.nn.Linear)]
    assert linears
    for linear in linears:
        assert isinstance(linear, Linear4bit)
        assert linear.weight.dtype == torch.uint8
        assert linear.weight.numel() * 2 == linear.in_features * linear.out_features
        assert linear.weight.quant_state.quant_type == "nf4"
        assert linear.weight.quant_state.nested


def test_bytes_are_counted_as_they_are_stored() -> None:
    network = torch.nn.Linear(256, 128, bias=False)
    assert nf4.stored_bytes(network) == 4 * 256 * 128
    network = torch.nn.Sequential(network)
    nf4.quantise(network, torch.device("cpu"), torch.bfloat16)
    weights, scales = 256 * 128 // 2, 256 * 128 // 64  # 4 bits each; a byte for 64 of them
    tables = 2_048  # of levels, and what the quantisation state says in JSON
    assert weights + scales < nf4.stored_bytes(network) < weights + scales + tables


def test_a_quantised_prediction_is_within_a_tenth_of_the_plain_one(
    base: Base, tiny_base: Path
) -> None:
    latents = torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(1))
    words = base.encode_prompts(PROMPT * 2)["encoder_hidden_states"]
    packed = latents.to(base.compute_dtype)
    with torch.no_grad():
        ours, plain = (
            each.denoiser(packed, torch.tensor(400), words).sample.float()
            for each in (base, Base.load(tiny_base, quantise=False))
        )
    assert 0 < (ours - plain).norm() < 0.1 * plain.norm()


def test_nothing_of_the_base_learns(base: Base) -> None:
    assert not any(p.requires_grad for network in base.networks() for p in network.parameters())


def test_the_fingerprint_sees_one_changed_weight(base: Base) -> None:
    before = base.fingerprint()
    assert base.fingerprint() == before
    linear = next(m for m in base.denoiser.modules() if isinstance(m, Linear4bit))
    linear.weight.data[0] ^= 1
    assert base.fingerprint() != before
    linear.weight.data[0] ^= 1
    assert base.fingerprint() == before


def test_two_loads_have_one_fingerprint(base: Base, tiny_base: Path) -> None:
    assert Base.load(tiny_base).fingerprint() == base.fingerprint()


def test_images_and_latents_have_the_stated_shapes(base: Base) -> None:
    side = base.resolution
    images = np.zeros((2, side, side, 3), np.uint8)
    latents = base.encode_images(images)
    assert latents.shape == (2, 4, side // 8, side // 8)
    assert latents.dtype == torch.float32
    decoded = base.decode(latents)
    assert decoded.shape == images.shape
    assert decoded.dtype == np.uint8
    assert base.output_px >= 512
    assert base.output_px % side == 0


def test_words_the_base_does_not_know_are_left_out(base: Base) -> None:
    assert base.knows("navy studio backdrop")
    assert not base.knows("navy zeppelin backdrop")
    known, mixed = (
        base.encode_prompts([text])["encoder_hidden_states"]
        for text in ("photo of a person, navy", "photo of a zeppelin person, navy")
    )
    assert torch.equal(known, mixed)


def test_the_loss_weighs_every_timestep_and_depends_on_the_seed_only(base: Base) -> None:
    latents = torch.randn(4, 4, 8, 8)
    words = base.encode_prompts(PROMPT * 4)
    losses = [
        base.loss(latents, words, torch.Generator().manual_seed(seed)).item() for seed in (1, 1, 2)
    ]
    assert losses[0] == losses[1] != losses[2]


def test_adapters_come_and_go_without_a_trace(base: Base) -> None:
    digest, before = base.fingerprint(), answer(base)
    files = []
    for seed in (1, 2):
        with adapter.fresh(base, rank=4, alpha=4, seed=seed) as parameters:
            for parameter in parameters:
                parameter.data += 0.05
            assert not torch.equal(answer(base), before)
            files.append(adapter.dump(base))
        assert torch.equal(answer(base), before)
    for file in files:
        with adapter.loaded(base, file):
            assert not torch.equal(answer(base), before)
        assert torch.equal(answer(base), before)
    assert base.fingerprint() == digest
    assert not hasattr(base.denoiser, "peft_config")


def test_a_failure_while_an_adapter_is_attached_removes_it(base: Base) -> None:
    digest = base.fingerprint()
    with pytest.raises(ZeroDivisionError), adapter.fresh(base, rank=2, alpha=2, seed=1):
        raise ZeroDivisionError
    assert base.fingerprint() == digest


def test_a_damaged_or_foreign_adapter_is_refused(base: Base) -> None:
    digest = base.fingerprint()
    with adapter.fresh(base, rank=2, alpha=2, seed=1):
        data = adapter.dump(base)
    foreign = data.replace(b"mid_block", b"mad_block")
    for wrong in (b"", data[:100], data[:-1], foreign):
        with pytest.raises(TamperedError), adapter.loaded(base, wrong):
            pass
    assert base.fingerprint() == digest


def test_plain_diffusers_reads_our_adapter_and_agrees(tiny_base: Path) -> None:
    import safetensors.torch
    from diffusers import DiffusionPipeline

    base = Base.load(tiny_base, quantise=False)
    # alpha is not rank: the file must carry the scale.
    with adapter.fresh(base, rank=4, alpha=8, seed=1) as parameters:
        for parameter in parameters:
            parameter.data += 0.02
        data = adapter.dump(base)
    pipeline = DiffusionPipeline.from_pretrained(tiny_base, local_files_only=True)
    latents = torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(1))
    words = base.encode_prompts(PROMPT * 2)["encoder_hidden_states"].float()
    timestep = torch.tensor(400)

    def theirs() -> torch.Tensor:
        with torch.no_grad():
            return pipeline.unet(latents, timestep, words).sample

    without = theirs()
    pipeline.load_lora_weights(safetensors.torch.load(data))
    expected = theirs()
    base.denoiser.float()
    with adapter.loaded(base, data), torch.no_grad():
        for parameter in base.denoiser.parameters():
            parameter.data = parameter.data.float()
        ours = base.denoiser(latents, timestep, words).sample
    # The base and the adapter went through bfloat16 (8 bits of mantissa) on our side.
    assert (expected - without).abs().mean() > 10 * (ours - expected).abs().mean()


@pytest.fixture
def copy(tiny_base: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_base, tmp_path / "copy"))


def test_a_missing_folder_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(BaseUnavailable, match="no base model in the folder 'nothing'"):
        Base.load(tmp_path / "nothing")


@pytest.mark.parametrize("part", ["unet", "vae", "text_encoder", "tokenizer", "scheduler"])
def test_a_folder_without_a_part_is_refused(copy: Path, part: str) -> None:
    shutil.rmtree(copy / part)
    with pytest.raises(BaseUnavailable):
        Base.load(copy)


@pytest.mark.parametrize("part", ["unet", "vae", "text_encoder"])
def test_cut_weights_are_refused(copy: Path, part: str) -> None:
    weights = next((copy / part).glob("*.safetensors"))
    weights.write_bytes(weights.read_bytes()[:-64])
    with pytest.raises(BaseUnavailable, match="incomplete or damaged"):
        Base.load(copy)


@pytest.mark.parametrize("part", ["unet", "vae", "text_encoder"])
def test_weights_that_lack_a_tensor_are_refused(copy: Path, part: str) -> None:
    import safetensors.torch

    weights = next((copy / part).glob("*.safetensors"))
    state = safetensors.torch.load_file(weights)
    state.pop(sorted(state)[0])
    safetensors.torch.save_file(state, weights, metadata={"format": "pt"})
    with pytest.raises(BaseUnavailable):
        Base.load(copy)


def test_an_index_that_is_no_json_is_refused(copy: Path) -> None:
    (copy / "model_index.json").write_text("{")
    with pytest.raises(BaseUnavailable, match=r"model_index\.json"):
        Base.load(copy)


def test_an_unknown_family_is_refused_by_name(copy: Path) -> None:
    index = copy / "model_index.json"
    index.write_text(index.read_text().replace("StableDiffusionPipeline", "FluxPipeline"))
    with pytest.raises(BaseUnavailable, match="FluxPipeline, which is not supported"):
        Base.load(copy)


def test_an_altered_file_is_named_when_the_folder_lists_its_digests(copy: Path) -> None:
    import hashlib

    files = sorted(p for p in copy.rglob("*") if p.is_file())
    lines = [
        f"{hashlib.sha256(p.read_bytes()).hexdigest()}  {p.relative_to(copy)}\n" for p in files
    ]
    (copy / "SHA256SUMS").write_text("".join(lines))
    Base.load(copy)
    config = copy / "scheduler" / "scheduler_config.json"
    config.write_text(config.read_text() + " ")
    with pytest.raises(BaseUnavailable, match=r"altered: scheduler/scheduler_config\.json"):
        Base.load(copy)
