"""Adapters leave no trace in the base, and plain diffusers reads them."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from errors import TamperedError
from pipeline.bases import adapter
from pipeline.bases.base import Base
from pipeline.bases.loading import load_base

PROMPT = ["photo of a person, navy studio backdrop"]


def answer(base: Base, seed: int = 3) -> torch.Tensor:
    """What the base makes of a prompt: latents after three solver steps."""
    words, nothing = base.encode_prompts(PROMPT), base.encode_prompts([""])
    sampling = type(base.sampling)(steps=3, guidance=2.0)
    return base.sample(words, nothing, [seed], sampling, lambda: False)


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


def test_an_adapter_counts_as_much_as_it_is_told_to(base: Base) -> None:
    before = answer(base)
    with adapter.fresh(base, rank=4, alpha=4, seed=1) as parameters:
        for parameter in parameters:
            parameter.data += 0.02
        data = adapter.dump(base)

    def away(weight: float) -> float:
        with adapter.loaded(base, data, weight):
            return (answer(base) - before).abs().mean().item()

    assert away(0.0) == 0 < away(0.5) < away(1.0) < away(1.5)


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

    base = load_base(tiny_base, quantise=False)
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
