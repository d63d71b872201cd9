"""Operations and bytes of a network on torch's "meta" device, as it would run on a GPU."""

from __future__ import annotations

import weakref
from collections.abc import Iterator
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


class AsOnAGpu(TorchFunctionMode):
    """Casts as `torch.autocast` does on CUDA and fuses attention; the meta device does neither."""

    _LOW = (F.linear, F.conv2d)
    _HIGH = (F.layer_norm, F.group_norm)

    def __init__(self, autocast: bool) -> None:
        self.autocast, self.attention = autocast, 0
        super().__init__()

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None):  # type: ignore[no-untyped-def]
        kwargs = dict(kwargs or {})
        if function is F.scaled_dot_product_attention:
            q, k, v = (kwargs.pop(n, None) for n in ("query", "key", "value"))
            q, k, v = args[:3] if args else (q, k, v)
            rows, columns = q.shape[-2], k.shape[-2]
            self.attention += 4 * q.shape[:-2].numel() * rows * columns * q.shape[-1]
            return _Attention.apply(q, k, v)
        wanted = None
        if self.autocast:
            wanted = TYPE if function in self._LOW else None
            wanted = torch.float32 if function in self._HIGH else wanted
        if wanted is not None:
            args = [_cast(a, wanted) for a in args]
            kwargs = {key: _cast(a, wanted) for key, a in kwargs.items()}
        return function(*args, **kwargs)


def _cast(value: Any, dtype: torch.dtype) -> Any:
    floating = isinstance(value, torch.Tensor) and value.is_floating_point()
    return value.to(dtype) if floating else value


class Alive(TorchDispatchMode):
    """Bytes of the storages that exist now, and the most that ever did.  `known` do not count."""

    def __init__(self, known: Iterator[torch.Tensor]) -> None:
        super().__init__()
        self.now = self.peak = 0
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
