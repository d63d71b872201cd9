"""A wish to stop, heard in the middle of what a base does.

Asking between optimizer steps, prompts or pictures is not enough: each takes half a minute on a
slow GPU. So it is asked before each block of a network, and, where no network computes (weights are
read, moved, packed, hashed), before whatever is done to a tensor.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from errors import Stopped

Stop = Callable[[], bool]
"""Whether somebody wants the work to end; asked often, so it must be cheap."""


def never() -> bool:
    """A `Stop` that nobody says."""
    return False


@contextmanager
def between_blocks(stop: Stop, *networks: nn.Module) -> Iterator[None]:
    """Ask before each block of these networks, forward, back, and when it is computed again.

    Blocks are the members of the networks' lists and sequences of modules.

    Raises:
        Stopped: out of the network's forward or backward.
    """

    def ask(*_: object) -> None:
        if stop():
            raise Stopped

    def ask_on_the_way_back(_: nn.Module, __: object, answer: object) -> None:
        for part in answer if isinstance(answer, tuple) else (answer,):
            if isinstance(part, torch.Tensor) and part.requires_grad:
                part.register_hook(ask)

    blocks = [block for network in networks for block in _blocks(network)]
    hooks = [block.register_forward_pre_hook(ask) for block in blocks]
    hooks += [block.register_forward_hook(ask_on_the_way_back) for block in blocks]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _blocks(network: nn.Module) -> list[nn.Module]:
    lists = (m for m in network.modules() if isinstance(m, nn.ModuleList | nn.Sequential))
    return list({id(block): block for blocks in lists for block in blocks}.values())


class _Heard(BaseException):
    """What libraries do not take for an error of theirs, as they leave Ctrl-C alone."""


class _Asking(TorchFunctionMode):  # type: ignore[misc]  # read as Any
    def __init__(self, stop: Stop) -> None:
        super().__init__()
        self._stop = stop

    def __torch_function__(
        self,
        function: Callable[..., Any],
        types: object,
        arguments: tuple[Any, ...] = (),
        named: Mapping[str, Any] | None = None,
    ) -> Any:
        # Functions without a tensor are left alone: some of them switch gradients back on.
        if any(isinstance(a, torch.Tensor) for a in arguments) and self._stop():
            raise _Heard
        return function(*arguments, **(named or {}))


@contextmanager
def between_tensors(stop: Stop) -> Iterator[None]:
    """Ask before each function of torch that this thread gives a tensor, in the block.

    Raises:
        Stopped: out of that function, through whatever library called it.
    """
    default = torch.get_default_dtype()
    try:
        with _Asking(stop):
            yield
    except _Heard:
        raise Stopped from None
    finally:
        torch.set_default_dtype(default)  # diffusers leaves its own when it does not come to an end
