"""Operations and bytes of a network on torch's "meta" device, as it would run on a GPU."""

from __future__ import annotations

import weakref
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.checkpoint import checkpoint

from dev.architectures import META, TYPE
from pipeline.bases.libraries import Params4bit
from pipeline.bases.nf4 import Linear


class _Attention(torch.autograd.Function):
    """Fused attention, as a GPU runs it: keeps its inputs, its output and one number per row."""

    @staticmethod
    def forward(ctx: Any, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        out = q.new_empty((*q.shape[:-1], v.shape[-1]))
        ctx.save_for_backward(q, k, v, out, q.new_empty(q.shape[:-1], dtype=torch.float32))
        return out

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return tuple(torch.empty_like(t) for t in ctx.saved_tensors[:3])


class _RmsNorm(torch.autograd.Function):
    """The fused norm, as a GPU runs it: keeps its input and one number per row."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(x, x.new_empty((*x.shape[:-1], 1), dtype=torch.float32))
        return torch.empty_like(x)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> torch.Tensor:
        return torch.empty_like(ctx.saved_tensors[0])


class _Product(torch.autograd.Function):
    """With 4-bit weights, which are unpacked again on the way back: keeps nothing."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, outputs: int) -> torch.Tensor:
        ctx.inputs = x.shape[-1]
        return _unpacked(x.new_empty((*x.shape[:-1], outputs)))

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor, None]:
        (g,) = gradients
        return _unpacked(g.new_empty((*g.shape[:-1], ctx.inputs))), None


UNPACKING = 3
"""Kernels that unpack the 4-bit weights of a layer: its scales, their mean, the weights."""


def _unpacked(answer: torch.Tensor) -> torch.Tensor:
    for _ in range(UNPACKING):
        answer.detach().zero_()
    return answer


class _Packed(Linear):
    """A 4-bit layer of the product, without bitsandbytes' kernels."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        answer: torch.Tensor = _Product.apply(x.to(self.compute_dtype), self.out_features)
        return answer if self.bias is None else answer + self.bias


def packed_layers(network: nn.Module, precise: Collection[str]) -> list[str]:
    """Names of the layers that are stored in 4 bits. precise: submodules that are not."""
    return [
        name
        for name, layer in network.named_modules()
        if type(layer) is nn.Linear and not any(f".{p}." in f".{name}." for p in precise)
    ]


def pack(network: nn.Module, layers: Collection[str]) -> None:
    """Replace these linear layers by 4-bit ones, and have peft see it as after reading."""
    for name in layers:
        linear = network.get_submodule(name)
        assert isinstance(linear, nn.Linear)
        packed = _Packed(linear.in_features, linear.out_features, linear.bias is not None, TYPE)
        data = torch.empty((linear.weight.numel() + 1) // 2, 1, dtype=torch.uint8, device=META)
        packed.weight = Params4bit(data, requires_grad=False, quant_type="nf4")
        network.set_submodule(name, packed.requires_grad_(False).to(TYPE))
    network.is_loaded_in_4bit = True  # type: ignore[assignment]


class AsOnAGpu(TorchFunctionMode):
    """Casts as `torch.autocast` does on CUDA, and fuses attention and RMS norms as CUDA does; the
    meta device does none of it."""

    LOW = frozenset(("linear", "conv2d", "conv3d", "scaled_dot_product_attention"))
    HIGH = frozenset(
        (
            *("layer_norm", "group_norm", "rms_norm", "normalize"),
            *("exp", "rsqrt", "pow", "__pow__", "__rpow__"),
        )
    )
    """Names of functions whose arguments become bfloat16, and float32.  Of all that autocast casts,
    those that the bases call."""

    def __init__(self, autocast: bool) -> None:
        self.autocast, self.attention = autocast, 0
        super().__init__()

    def __enter__(self) -> AsOnAGpu:
        self._before = torch.is_autocast_enabled("cuda"), torch.get_autocast_dtype("cuda")
        self._tell(self.autocast, TYPE)
        super().__enter__()
        return self

    def __exit__(self, *problem: Any) -> None:
        super().__exit__(*problem)
        self._tell(*self._before)

    @staticmethod
    def _tell(enabled: bool, dtype: torch.dtype) -> None:
        """Whoever asks whether autocast is on, as peft does, is told."""
        torch.set_autocast_enabled("cuda", enabled)
        torch.set_autocast_dtype("cuda", dtype)

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None):  # type: ignore[no-untyped-def]
        kwargs, name = dict(kwargs or {}), getattr(function, "__name__", "")
        if self.autocast and (name in self.LOW or name in self.HIGH):
            wanted = TYPE if name in self.LOW else torch.float32
            args = [_cast(a, wanted) for a in args]
            kwargs = {key: _cast(a, wanted) for key, a in kwargs.items()}
        if function is F.scaled_dot_product_attention:
            q, k, v = (kwargs.pop(n, None) for n in ("query", "key", "value"))
            q, k, v = args[:3] if args else (q, k, v)
            rows, columns = q.shape[-2], k.shape[-2]
            self.attention += 4 * q.shape[:-2].numel() * rows * columns * q.shape[-1]
            return _Attention.apply(q, k, v)
        if function is F.rms_norm:
            return _RmsNorm.apply(args[0])
        return function(*args, **kwargs)


def _cast(value: Any, dtype: torch.dtype) -> Any:
    floating = isinstance(value, torch.Tensor) and value.is_floating_point()
    return value.to(dtype) if floating else value


class Alive(TorchDispatchMode):
    """Bytes of the storages that exist now, and the most that ever did.  `known` do not count.

    launches: operations that were no views, each about one kernel on a GPU.
    """

    def __init__(self, known: Iterator[torch.Tensor]) -> None:
        super().__init__()
        self.now = self.peak = self.launches = 0
        self._seen: dict[int, Any] = {}
        for tensor in known:
            self._take(tensor, 0)

    def _take(self, tensor: torch.Tensor, size: int) -> None:
        storage = tensor.untyped_storage()
        key = storage._cdata
        if key not in self._seen:
            self._seen[key] = weakref.finalize(storage, self._free, key, size)
            self.now += size
            self.peak = max(self.peak, self.now)

    def _free(self, key: int, size: int) -> None:
        del self._seen[key]
        self.now -= size

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None):  # type: ignore[no-untyped-def]
        out = function(*args, **(kwargs or {}))
        self.launches += not function.is_view
        for leaf in tree_leaves(out):
            if isinstance(leaf, torch.Tensor) and leaf.device == META:
                self._take(leaf, leaf.untyped_storage().nbytes())
        return out


@contextmanager
def measuring(network: nn.Module, *, autocast: bool) -> Iterator[Alive]:
    """`peak` bytes beyond the weights of the network are known at the end."""
    known = (t for t in (*network.parameters(), *network.buffers()))
    with Alive(known) as alive, AsOnAGpu(autocast):
        yield alive


def recomputed(module: nn.Module, *args: Any) -> Any:
    """As diffusers does it; what is done again, while going back, is outside of every mode."""

    def block(*given: Any) -> Any:
        with AsOnAGpu(autocast=True):
            return module(*given)

    return checkpoint(block, *args, use_reentrant=False)
