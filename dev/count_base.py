"""Count what planning needs to know of a base: weights, operations, kernels, activations.

    python -m dev.count_base sdxl          # prints the manifest's [model] and [[model.at]]
    python -m dev.count_base wan2.2-ti2v-5b     # [clip] and [[clip.at]] of what moves portraits

Builds the denoiser and the autoencoder of a base (`dev/architectures.py`), runs training and
painting once at each resolution, and counts operations and the bytes that are alive at the same
time (`dev/on_meta.py`).  No GPU and no weights are needed, only minutes.  What it cannot see, the
kernels' own workspaces and fragmentation, `pipeline/planning` adds.
"""

from __future__ import annotations

import argparse
import copy
import sys
from typing import Any

import diffusers
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from dev import clips
from dev.architectures import ARCHITECTURES, META, TYPE, Architecture, networks, predict, targets_of
from dev.on_meta import Alive, AsOnAGpu, measuring, pack, packed_layers, recomputed
from pipeline.bases.libraries import LoraConfig, inject_adapter_in_model

RANK = 16


def count(key: str) -> dict[str, Any]:
    """The counts of a base as they stand in its manifest: keys of [model] and [[model.at]]."""
    architecture = ARCHITECTURES[key]
    denoiser, autoencoder = networks(architecture)
    targets = targets_of(architecture, denoiser)
    rows = [
        _at(architecture, denoiser, autoencoder, targets, pixels)
        for pixels in architecture.resolutions
    ]
    counted = weights(architecture, denoiser, autoencoder) | launches(architecture, targets)
    return counted | {"at": rows}


def launches(architecture: Architecture, targets: list[str]) -> dict[str, int]:
    """How many kernels learning starts, whatever the resolution: forward and back; forward again,
    as with checkpointing."""
    least, learner = architecture.resolutions[0], with_adapter(architecture, targets)
    kept, again = (
        training(architecture, learner, least, checkpointing=c).launches for c in (False, True)
    )
    return {"launches": kept, "launches_again": again - kept}


def weights(
    architecture: Architecture, denoiser: nn.Module, autoencoder: nn.Module
) -> dict[str, int]:
    """How many there are, how many of them are stored in 4 bits, and those of an adapter."""
    packed = [
        denoiser.get_submodule(name).weight.numel()
        for name in packed_layers(denoiser, _precise(architecture))
    ]
    targets = targets_of(architecture, denoiser)
    return {
        "denoiser": sum(p.numel() for p in denoiser.parameters()),
        "packed": sum(packed),
        "autoencoder": sum(p.numel() for p in autoencoder.parameters()),
        "adapter": sum(_rank_one(denoiser.get_submodule(name)) for name in targets),
        "largest": max(packed),
    }


def _precise(architecture: Architecture) -> tuple[str, ...]:
    return getattr(architecture.family, "precise", ())


def _rank_one(layer: nn.Module) -> int:
    """Weights that one rank of an adapter beside this layer has."""
    if isinstance(layer, nn.Conv2d):
        return layer.in_channels * layer.kernel_size[0] * layer.kernel_size[1] + layer.out_channels
    assert isinstance(layer, nn.Linear)
    return layer.in_features + layer.out_features


def _at(
    architecture: Architecture,
    denoiser: nn.Module,
    autoencoder: Any,
    targets: list[str],
    pixels: int,
) -> dict[str, int]:
    with torch.no_grad():
        casts = AsOnAGpu(autocast=False)
        with FlopCounterMode(display=False) as flops, casts:
            predict(architecture, denoiser, pixels)
        with measuring(denoiser, autocast=False) as paint:
            predict(architecture, denoiser, pixels)
        # Decodes in bfloat16, encodes in float32, both from weights in float32.
        with measuring(autoencoder, autocast=True) as decode:
            autoencoder.decode(architecture.autoencoder_latents(pixels))
        with measuring(autoencoder, autocast=False) as encode:
            autoencoder.encode(torch.empty(1, 3, pixels, pixels, device=META))
    learner = with_adapter(architecture, targets)
    return {
        "resolution": pixels,
        "flops": flops.get_total_flops() + casts.attention,
        "paint": paint.peak,
        "recompute": training(architecture, learner, pixels, checkpointing=True).peak,
        "keep": training(architecture, learner, pixels, checkpointing=False).peak,
        "decode": decode.peak,
        "encode": encode.peak,
    }


def with_adapter(architecture: Architecture, targets: list[str]) -> nn.Module:
    """The denoiser in 4 bits with an adapter beside these layers, to be learnt once or more."""
    with META:
        denoiser = architecture.denoiser()
    denoiser.requires_grad_(False).to(TYPE)
    pack(denoiser, packed_layers(denoiser, _precise(architecture)))
    config = LoraConfig(r=RANK, target_modules=targets, init_lora_weights=False)
    inject_adapter_in_model(config, denoiser, "person")
    return denoiser


def training(
    architecture: Architecture, learner: nn.Module, pixels: int, *, checkpointing: bool
) -> Alive:
    """One picture learnt: bytes beyond the weights at the worst moment, and launches.

    learner: of `with_adapter`; a copy learns, for networks keep gradients and tables.
    """
    frozen = {id(weight): weight for weight in learner.parameters() if not weight.requires_grad}
    denoiser: Any = copy.deepcopy(learner, frozen)
    if checkpointing:
        denoiser.enable_gradient_checkpointing(recomputed)
    with measuring(denoiser, autocast=True) as step:  # a flop counter here would keep tensors
        predict(architecture, denoiser, pixels).float().square().mean().backward()
    return step


def _written(model: dict[str, Any], table: str) -> str:
    lines = [f"{key} = {value}" for key, value in model.items() if key != "at"]
    for row in model["at"]:
        lines += ["", f"[[{table}.at]]", *(f"{key} = {value}" for key, value in row.items())]
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    diffusers.utils.logging.set_verbosity_error()
    parser = argparse.ArgumentParser(prog="python -m dev.count_base", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("key", choices=[*ARCHITECTURES, *clips.MOVING])
    key = parser.parse_args(arguments).key
    moves = key in clips.MOVING
    print(_written(clips.count(key), "clip") if moves else _written(count(key), "model"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
