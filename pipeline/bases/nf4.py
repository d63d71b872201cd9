"""NF4 storage for the linear layers of a frozen network (QLoRA, Dettmers et al. 2023).

Weights are kept in 4 bits, 64 to a block, and the blocks' scales in 8 bits ("double
quantisation"); every use computes in `compute_dtype`.  bitsandbytes does this on a CPU too.  It
has no convolutions, so those stay as they are: a network of mostly convolutions, such as the
embedded base, saves little memory; a transformer saves nearly three quarters.

Knows torch and bitsandbytes, nothing of pictures or prompts.
"""

from __future__ import annotations

import logging
from collections.abc import Collection

import torch
from diffusers import BitsAndBytesConfig
from torch import nn

# On a machine without the optional package `kernels`, bitsandbytes warns at import.
logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
from bitsandbytes.nn import Linear4bit, Params4bit  # noqa: E402


def while_reading(
    device: torch.device, compute_dtype: torch.dtype, precise: Collection[str]
) -> BitsAndBytesConfig | None:
    """How diffusers quantises a large network file by file while it reads it.

    None where diffusers cannot, which is anywhere but on a CUDA device: `quantise` then does the
    same to the network that was read.
    """
    if device.type != "cuda":
        return None
    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=compute_dtype,
        llm_int8_skip_modules=list(precise),  # despite its name, for 4 bits too
    )


def quantise(
    network: nn.Module,
    device: torch.device,
    compute_dtype: torch.dtype,
    *,
    precise: Collection[str] = (),
) -> None:
    """Replace every `nn.Linear` of the network by an NF4 one, in place, and move it to `device`.

    precise: names of submodules whose layers stay as they are.
    """
    linears = [
        name
        for name, module in network.named_modules()
        if type(module) is nn.Linear and not any(f".{p}." in f".{name}." for p in precise)
    ]
    for name in linears:
        linear = network.get_submodule(name)
        assert isinstance(linear, nn.Linear)
        network.set_submodule(name, _nf4(linear, device, compute_dtype))


def _nf4(linear: nn.Linear, device: torch.device, compute_dtype: torch.dtype) -> Linear4bit:
    quantised = Linear4bit(
        linear.in_features,
        linear.out_features,
        bias=linear.bias is not None,
        compute_dtype=compute_dtype,
        compress_statistics=True,
        quant_type="nf4",
        device="meta",
    )
    # bitsandbytes quantises when the weight is moved, to the CPU as well.
    quantised.weight = Params4bit(
        linear.weight.detach().float(),
        requires_grad=False,
        quant_type="nf4",
        compress_statistics=True,
    ).to(device)
    if linear.bias is not None:
        # In the compute type from the start: otherwise the first forward casts it in place.
        bias = linear.bias.detach().to(device, compute_dtype)
        quantised.bias = nn.Parameter(bias, requires_grad=False)
    # On AVX-512 machines `forward` would repack the stored weight in place.  A frozen base keeps
    # its bytes; and that kernel wants rows in multiples of 64, which ours are not.
    quantised.support_avx512bf16_for_cpu = False
    return quantised


class AnswersInComputeType(Linear4bit):  # type: ignore[misc]  # read as Any
    """A 4-bit layer whose answer has the type that it computes in, as autocast's `nn.Linear` has.

    bitsandbytes' own answers in its input's, which under autocast is float32 after a norm:
    activations are then twice as large (measured on an H200: 28.2 instead of 19.4 GiB for one
    picture of 1024 pixels in FLUX.2 klein 4B, and a quarter slower).
    """

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x if self.compute_dtype is None else x.to(self.compute_dtype))


def answer_in_compute_type(network: nn.Module) -> None:
    """Turn every 4-bit layer of a network into such a one, whoever made it; weights stay."""
    for module in network.modules():
        if type(module) is Linear4bit:
            module.__class__ = AnswersInComputeType


def stored_bytes(network: nn.Module) -> int:
    """Bytes of every parameter and buffer as it is stored, scales of 4-bit weights included."""
    total = 0
    for tensor in [*network.parameters(), *network.buffers()]:
        total += tensor.numel() * tensor.element_size()
        state = getattr(tensor, "quant_state", None)
        if state is not None:
            total += sum(v.numel() * v.element_size() for v in state.as_dict(packed=True).values())
    return total
