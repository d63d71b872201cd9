"""NF4 storage for the linear layers of a frozen network (QLoRA, Dettmers et al. 2023).

Weights are kept in 4 bits, 64 to a block, and the blocks' scales in 8 bits ("double
quantisation"); every use computes in one type.  bitsandbytes does this on a CPU too.  It has no
convolutions, so those stay as they are: a network of mostly convolutions, such as the embedded
base, saves little memory; a transformer saves nearly three quarters.

Knows torch and bitsandbytes, nothing of pictures or prompts.
"""

from __future__ import annotations

from collections.abc import Collection

import torch
from torch import nn

from pipeline.bases.libraries import Linear4bit, Params4bit


class Linear(Linear4bit):  # type: ignore[misc]  # read as Any
    """A 4-bit layer whose answer has the type that it computes in, as autocast's `nn.Linear` has.

    bitsandbytes' own answers in its input's, which under autocast is float32 after a norm:
    activations are then twice as large (measured on an H200: 28.2 instead of 19.4 GiB for one
    picture of 1024 pixels in FLUX.2 klein 4B, and a quarter slower).
    """

    def __init__(self, inputs: int, outputs: int, bias: bool, compute_dtype: torch.dtype) -> None:
        super().__init__(inputs, outputs, bias, compute_dtype, quant_type="nf4", device="meta")
        # On AVX-512 machines bitsandbytes would repack the stored weight in place.  A frozen base
        # keeps its bytes; and that kernel wants rows in multiples of 64, which ours are not.
        self.support_avx512bf16_for_cpu = False

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x.to(self.compute_dtype))


def replace_linears(
    network: nn.Module, compute_dtype: torch.dtype, precise: Collection[str] = ()
) -> None:
    """Put a `Linear` without weights in the place of every `nn.Linear` of the network.

    precise: names of submodules whose layers stay as they are.
    """
    for name, layer in list(network.named_modules()):
        if type(layer) is nn.Linear and not any(f".{p}." in f".{name}." for p in precise):
            sizes = layer.in_features, layer.out_features
            network.set_submodule(name, Linear(*sizes, layer.bias is not None, compute_dtype))
    network.is_loaded_in_4bit = True  # type: ignore[assignment]  # peft then attaches to 4-bit layers


def packed(weight: torch.Tensor, device: torch.device, compute_dtype: torch.dtype) -> Params4bit:
    """A weight [outputs, inputs] of any floating type in 4 bits, on the device."""
    unpacked = Params4bit(weight.to(device).float(), requires_grad=False, quant_type="nf4")
    parameter = unpacked.to(device)  # bitsandbytes packs what is moved, wherever it was
    parameter.quant_state.dtype = compute_dtype  # for the way back, where it unpacks it first
    return parameter


def stored_bytes(network: nn.Module) -> int:
    """Bytes of every parameter and buffer as it is stored, scales of 4-bit weights included."""
    total = 0
    for tensor in [*network.parameters(), *network.buffers()]:
        total += tensor.numel() * tensor.element_size()
        state = getattr(tensor, "quant_state", None)
        if state is not None:
            total += sum(v.numel() * v.element_size() for v in state.as_dict(packed=True).values())
    return total
