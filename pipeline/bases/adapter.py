"""A person's adapter: LoRA layers beside the frozen base, and their bytes.

The layers are added around the base's own modules and taken away again, whatever happens in
between; the base's tensors are the same objects before, during and after.  The bytes are
safetensors with the key names of diffusers, so that `load_lora_weights` of a plain diffusers
pipeline reads them; they exist in memory only, and whoever stores them encrypts them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import nn

from errors import TamperedError
from pipeline.bases.base import Base
from pipeline.bases.libraries import BaseTunerLayer, LoraConfig, inject_adapter_in_model

NAME = "person"


@contextmanager
def fresh(base: Base, *, rank: int, alpha: float, seed: int) -> Iterator[list[nn.Parameter]]:
    """A new adapter, which changes nothing yet, for the time of the block.

    Yields its weights: float32, the only ones of the base that require gradients.
    """
    with _attached(base, base.adapter_targets(), rank, alpha):
        with torch.random.fork_rng(devices=[]):  # peft initialises from the global generator
            torch.manual_seed(seed)
            for layer in _layers(base).values():
                layer.reset_lora_parameters(NAME, init_lora_weights=True)
        parameters = list(_parameters(base).values())
        for parameter in parameters:
            parameter.data = parameter.data.float()
        yield parameters


@contextmanager
def loaded(base: Base, data: bytes, weight: float = 1.0) -> Iterator[None]:
    """A stored adapter for the time of the block, in the base's compute type.

    weight: how much it counts; 1 is as it was trained.

    Raises:
        TamperedError: the bytes are cut, no adapter, or one of another base.
    """
    state = _parse(base, data)
    targets = sorted({key.partition(".lora_")[0] for key in state})
    known = set(base.adapter_targets())
    ranks = {tensor.shape[0] for key, tensor in state.items() if key.endswith(".lora_A.weight")}
    if not targets or len(ranks) != 1 or not known.issuperset(targets):
        raise TamperedError("errors.model_foreign")
    rank = ranks.pop()
    with _attached(base, targets, rank, rank * weight):
        own = _parameters(base)
        if own.keys() != state.keys():
            raise TamperedError("errors.model_foreign")
        for key, parameter in own.items():
            if parameter.shape != state[key].shape:
                raise TamperedError("errors.model_foreign")
            parameter.requires_grad_(False)
            parameter.data = state[key].to(base.device, base.compute_dtype)
        yield


def dump(base: Base, subject: str = "") -> bytes:
    """The attached adapter as safetensors.

    alpha / rank is folded into B: readers that know no alpha assume that the two are equal.
    subject: what the person was called in training, and is to be in prompts.
    """
    layers = _layers(base)
    state = {}
    for key, parameter in _parameters(base).items():
        tensor = parameter.detach().float().cpu()
        if key.endswith(".lora_B.weight"):
            tensor = tensor * layers[key.partition(".lora_")[0]].scaling[NAME]
        state[f"{base.adapter_prefix}.{key}"] = tensor.contiguous()
    # One entry: safetensors writes several in any order, and the same adapter is the same bytes.
    return safetensors.torch.save(state, metadata={"for": f"{base.key} {subject}"})


def subject_of(data: bytes) -> str:
    """What an adapter's person was called in training, empty if it does not say.

    Raises:
        TamperedError: the bytes are cut, or no adapter.
    """
    return _made_for(data)[1]


def belongs(base: Base, data: bytes) -> bool:
    """Tell whether an adapter was trained beside this base.

    Raises:
        TamperedError: the bytes are cut, or no adapter.
    """
    return _made_for(data)[0] == base.key


def _made_for(data: bytes) -> tuple[str, str]:
    """The key of the base, and what the person was called."""
    try:
        key, _, subject = metadata(data).get("for", "").partition(" ")
    except (ValueError, KeyError, TypeError, AttributeError):
        raise TamperedError("errors.model_damaged") from None
    return key, subject


def metadata(data: bytes) -> dict[str, str]:
    """What stands beside the tensors of safetensors.

    Raises:
        ValueError, KeyError, TypeError: the bytes are none, or nothing stands there.
    """
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    found: dict[str, str] = header["__metadata__"]
    return found


def _parse(base: Base, data: bytes) -> dict[str, torch.Tensor]:
    """Layer names without diffusers' prefix -> tensors."""
    try:
        state = safetensors.torch.load(data)
    except SafetensorError:
        raise TamperedError("errors.model_damaged") from None
    prefix = f"{base.adapter_prefix}."
    return {key.removeprefix(prefix): tensor for key, tensor in state.items()}


@contextmanager
def _attached(base: Base, targets: list[str], rank: int, alpha: float) -> Iterator[None]:
    try:
        config = LoraConfig(r=rank, lora_alpha=alpha, target_modules=targets)
        inject_adapter_in_model(config, base.denoiser, NAME)
        yield
    finally:
        for name, layer in _layers(base).items():
            base.denoiser.set_submodule(name, layer.get_base_layer())
        base.denoiser.__dict__.pop("peft_config", None)


def _layers(base: Base) -> dict[str, BaseTunerLayer]:
    modules = base.denoiser.named_modules()
    return {name: module for name, module in modules if isinstance(module, BaseTunerLayer)}


def _parameters(base: Base) -> dict[str, nn.Parameter]:
    """Keys as in the file, without the prefix -> the attached adapter's parameters."""
    return {
        name.replace(f".{NAME}.", "."): parameter
        for name, parameter in base.denoiser.named_parameters()
        if ".lora_" in name
    }
