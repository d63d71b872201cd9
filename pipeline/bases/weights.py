"""Reading a base's weights: from safetensors only, no pickle, no remote code, and all of them."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import diffusers
import torch
import transformers
from safetensors import SafetensorError, safe_open
from torch import nn

from errors import BaseUnavailable


def read_pipeline(folder: Path, options: dict[str, Any]) -> Any:
    """Read the diffusers pipeline of a folder.

    options: more arguments of `from_pretrained`; a part that is None there is not read.

    Raises:
        BaseUnavailable: files are missing, cut or foreign.
    """
    diffusers.utils.logging.set_verbosity_error()
    diffusers.utils.logging.disable_progress_bar()
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            pipeline = diffusers.DiffusionPipeline.from_pretrained(
                folder, local_files_only=True, use_safetensors=True, **options
            )
        for part, network in pipeline.components.items():
            if isinstance(network, nn.Module):
                require_whole(folder / part, network)
        return pipeline
    except torch.OutOfMemoryError:
        raise BaseUnavailable(
            f"There is not enough memory on this machine's GPU for the base model {folder.name!r}."
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
        raise BaseUnavailable(incomplete(folder.name)) from problem


def require_whole(folder: Path, network: nn.Module) -> None:
    """Refuse weights that lack tensors: the libraries would fill these with random numbers.

    Raises:
        ValueError: the network has more parameters than its files have tensors.
    """
    stored = 0
    for path in folder.glob("*.safetensors"):
        with safe_open(path, framework="pt") as file:
            stored += len(file.keys())
    if stored < sum(1 for _ in network.parameters()):
        raise ValueError(f"{folder.name} lacks weights")


def incomplete(base: str) -> str:
    """The sentence for a base whose weights cannot be read."""
    return f"The base model {base!r} is incomplete or damaged. Install it again."
