"""4-bit storage."""

from __future__ import annotations

from pathlib import Path

import torch
from bitsandbytes.nn import Linear4bit

from pipeline.bases import nf4
from pipeline.bases.base import Base
from pipeline.bases.loading import load_base

PROMPT = ["photo of a person, navy studio backdrop"]


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
            for each in (base, load_base(tiny_base, quantise=False))
        )
    assert 0 < (ours - plain).norm() < 0.1 * plain.norm()


def test_layers_answer_in_their_compute_type_whoever_made_them() -> None:
    network = torch.nn.Sequential(torch.nn.Linear(64, 64))
    nf4.quantise(network, torch.device("cpu"), torch.bfloat16)
    x = torch.linspace(-1, 1, 64)[None]
    before = network(x)
    nf4.answer_in_compute_type(network)
    assert isinstance(network[0], Linear4bit)
    assert before.dtype == torch.float32
    assert network(x).dtype == torch.bfloat16
    assert torch.equal(network(x), before.bfloat16())
