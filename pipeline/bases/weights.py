"""Reading a base's weights: from safetensors only, no pickle, no remote code, and all of them.

A denoiser is by far the largest network, so it is built without memory and takes one tensor after
the other from its files: each is packed, or brought to its type, and moved to where it stays before
the next is read.  The processor and a GPU do the same.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import diffusers
import torch
import transformers
from accelerate import init_empty_weights
from diffusers.utils import SAFETENSORS_WEIGHTS_NAME
from safetensors import SafetensorError, safe_open
from torch import nn

from errors import BaseUnavailable
from pipeline.bases import nf4
from pipeline.bases.folder import pipeline_class


@dataclass(frozen=True)
class Storing:
    """How a denoiser's weights are kept: where, in which type, and whether linear layers are packed
    into 4 bits, but for those in the submodules that `precise` names. What has a part of `exact` in
    its name stays in float32."""

    device: torch.device
    dtype: torch.dtype
    quantise: bool
    precise: Collection[str] = ()
    exact: Collection[str] = ()

    def dtype_of(self, name: str) -> torch.dtype:
        """The type of a floating tensor of this name."""
        return torch.float32 if set(self.exact) & set(name.split(".")) else self.dtype


@contextmanager
def reading(base: str) -> Iterator[None]:
    """Read quietly, and tell whatever is wrong with a base's files, or short, in one sentence.

    Raises:
        BaseUnavailable: files are missing, cut or foreign.
    """
    diffusers.utils.logging.set_verbosity_error()
    diffusers.utils.logging.disable_progress_bar()
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    try:
        yield
    except torch.OutOfMemoryError:
        raise BaseUnavailable(
            f"There is not enough memory on this machine's GPU for the base model {base!r}."
        ) from None
    except (
        OSError,
        ValueError,
        KeyError,
        RuntimeError,
        AttributeError,
        SafetensorError,
    ) as problem:
        # What diffusers, transformers and safetensors raise for missing, cut or foreign files.
        raise BaseUnavailable(
            f"The base model {base!r} is incomplete or damaged. Install it again."
        ) from problem


def read_pipeline(folder: Path, options: dict[str, Any]) -> Any:
    """Read the diffusers pipeline of a folder.

    options: more arguments of `from_pretrained`; a part that is None there, or a network, is not
    read.

    Raises:
        BaseUnavailable: files are missing, cut or foreign.
    """
    with reading(folder.name), warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        # Of its own class: diffusers' general one reads parts that only some of a class have, even
        # where they are given, and a denoiser then once more as it is stored.
        kind = getattr(diffusers, pipeline_class(folder))
        pipeline = kind.from_pretrained(
            folder, local_files_only=True, use_safetensors=True, **options
        )
        for part, network in pipeline.components.items():
            if isinstance(network, nn.Module) and part not in options:
                _require_whole(folder / part, network)
        return pipeline


def _require_whole(folder: Path, network: nn.Module) -> None:
    """Refuse weights that lack tensors: the libraries would fill these with random numbers."""
    stored = 0
    for path in folder.glob("*.safetensors"):
        with safe_open(path, framework="pt") as file:
            stored += len(file.keys())
    if stored < sum(1 for _ in network.parameters()):
        raise ValueError(f"{folder.name} lacks weights")


def read_denoiser(kind: type[Any], base: str, folder: Path, storing: Storing) -> nn.Module:
    """Read the network of a folder that diffusers wrote, one tensor at a time.

    kind: its diffusers class. base: whose it is, for the sentence.

    Raises:
        BaseUnavailable: files are missing, cut or foreign.
    """
    with reading(base):
        config = kind.load_config(folder, local_files_only=True)
        with init_empty_weights():
            network: nn.Module = kind.from_config(config)
        if storing.quantise:
            nf4.replace_linears(network, storing.dtype, storing.precise)
        _take(network, folder, storing)
        # What it made itself, such as tables of angles, goes along.
        for name, table in list(network.named_buffers()):
            if table.is_floating_point():
                owner, _, own = name.rpartition(".")
                setattr(network.get_submodule(owner), own, table.to(storing.dtype_of(name)))
        return network.to(storing.device)


def _take(network: nn.Module, folder: Path, storing: Storing) -> None:
    """Put every tensor of the files into its place.

    Raises:
        ValueError: one is missing, or has another shape than its place.
    """
    missing = network.state_dict()
    for file in _files(folder):
        with safe_open(file, framework="pt") as tensors:
            # Names that the class does not know are left over from its older versions.
            for name in missing.keys() & set(tensors.keys()):
                if tensors.get_slice(name).get_shape() != list(missing.pop(name).shape):
                    raise ValueError(f"{name} has another shape")
                _put(network, name, tensors.get_tensor(name), storing)
    if missing:
        raise ValueError(f"{folder.name} lacks {len(missing)} weights")


def _files(folder: Path) -> list[Path]:
    """One, or the several that an index lists."""
    index = folder / f"{SAFETENSORS_WEIGHTS_NAME}.index.json"
    if not index.is_file():
        return [folder / SAFETENSORS_WEIGHTS_NAME]
    listed = json.loads(index.read_text("utf-8"))["weight_map"].values()
    return [folder / Path(name).name for name in sorted(set(listed))]


def _put(network: nn.Module, name: str, tensor: torch.Tensor, storing: Storing) -> None:
    owner, _, own = name.rpartition(".")
    module = network.get_submodule(owner)
    if isinstance(module, nf4.Linear) and own == "weight":
        module.weight = nf4.packed(tensor, storing.device, storing.dtype)
        return
    # Convolutions are faster with channels last, on every device.
    layout = torch.channels_last if tensor.dim() == 4 else torch.preserve_format
    dtype = storing.dtype_of(name) if tensor.is_floating_point() else tensor.dtype
    tensor = tensor.to(storing.device, dtype, memory_format=layout)
    if own in module._parameters:
        setattr(module, own, nn.Parameter(tensor, requires_grad=False))
    else:
        setattr(module, own, tensor)
