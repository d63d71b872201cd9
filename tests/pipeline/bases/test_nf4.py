"""4-bit storage."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from bitsandbytes.functional import dequantize_4bit, quantize_4bit
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


CPU = torch.device("cpu")


def test_bytes_are_counted_as_they_are_stored() -> None:
    layer = torch.nn.Linear(256, 128, bias=False)
    assert nf4.stored_bytes(layer) == 4 * 256 * 128
    layer.weight = nf4.packed(layer.weight.detach(), CPU, torch.bfloat16)
    weights, scales = 256 * 128 // 2, 256 * 128 // 64  # 4 bits each; a byte for 64 of them
    tables = 2_048  # of levels, and what the quantisation state says in JSON
    assert weights + scales < nf4.stored_bytes(layer) < weights + scales + tables


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_weights_are_packed_to_the_bit_as_bitsandbytes_packs_them(dtype: torch.dtype) -> None:
    weight = torch.randn(96, 80, generator=torch.Generator().manual_seed(1)).to(dtype)
    ours = nf4.packed(weight, CPU, torch.bfloat16)
    theirs, state = quantize_4bit(weight, quant_type="nf4", compress_statistics=True)
    assert torch.equal(ours, theirs)
    assert torch.equal(ours.quant_state.absmax, state.absmax)
    assert torch.equal(ours.quant_state.state2.absmax, state.state2.absmax)
    assert torch.equal(ours.quant_state.offset, state.offset)
    assert (ours.quant_state.blocksize, ours.quant_state.shape) == (64, weight.shape)
    ahead = dequantize_4bit(ours.data, ours.quant_state)
    state.dtype = torch.float32
    back = dequantize_4bit(theirs, state)
    assert ahead.dtype == torch.bfloat16
    assert torch.equal(ahead, back.bfloat16())


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


def test_layers_answer_in_their_compute_type() -> None:
    plain = torch.nn.Linear(64, 64)
    network = torch.nn.Sequential(plain)
    nf4.replace_linears(network, torch.bfloat16)
    layer = network[0]
    assert isinstance(layer, nf4.Linear)
    layer.weight = nf4.packed(plain.weight.detach(), CPU, torch.bfloat16)
    layer.bias = torch.nn.Parameter(plain.bias.detach().bfloat16(), requires_grad=False)
    x = torch.linspace(-1, 1, 64)[None]
    answer = network(x)
    assert answer.dtype == torch.bfloat16
    assert torch.allclose(answer.float(), plain(x), atol=0.1)
