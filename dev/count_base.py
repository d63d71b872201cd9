"""Count what the planner needs to know of a base: weights, operations, bytes of activations.

    python -m dev.count_base sdxl          # prints the manifest's [model] and [[model.at]]

Builds the denoiser and the autoencoder of a base on torch's "meta" device, where tensors have
shapes but no memory, runs training and painting once at each resolution, and counts operations and
the bytes that are alive at the same time.  No GPU and no weights are needed, only minutes.  What it
cannot see, the kernels' own workspaces and the allocator's gaps, `pipeline/planning` adds.
"""

from __future__ import annotations

import argparse
import sys
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import diffusers
import torch
import torch.nn.functional as F
from diffusers import (
    AutoencoderKL,
    AutoencoderKLFlux2,
    Flux2Transformer2DModel,
    UNet2DConditionModel,
    ZImageTransformer2DModel,
)
from peft import LoraConfig, inject_adapter_in_model
from torch import nn
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.checkpoint import checkpoint
from torch.utils.flop_counter import FlopCounterMode

from pipeline.bases.families.flux2_klein import Flux2Klein
from pipeline.bases.families.sdxl import StableDiffusionXL
from pipeline.bases.families.stable_diffusion import StableDiffusion
from pipeline.bases.families.z_image import ZImage

META = torch.device("meta")
TYPE = torch.bfloat16
RANK = 16


@dataclass(frozen=True)
class Architecture:
    """The published configuration of a base.

    words: tokens a prompt takes, and features of each.
    latent: channels of the denoiser's latents, and pixels per side of one of their places.
    """

    family: Any
    denoiser: Callable[[], nn.Module]
    autoencoder: Callable[[], nn.Module]
    words: tuple[int, int]
    latent: tuple[int, int]
    resolutions: tuple[int, ...] = (512, 768, 1024)

    def autoencoder_latents(self, pixels: int) -> torch.Tensor:
        patched = 4 if self.family is Flux2Klein else 1
        return torch.empty(1, self.latent[0] // patched, pixels // 8, pixels // 8, device=META)


_BLOCKS = {
    "down_block_types": ("DownEncoderBlock2D",) * 4,
    "up_block_types": ("UpDecoderBlock2D",) * 4,
    "block_out_channels": (128, 256, 512, 512),
    "layers_per_block": 2,
}


def _stable_diffusion() -> nn.Module:
    return UNet2DConditionModel(sample_size=64, cross_attention_dim=768)


def _sdxl() -> nn.Module:
    return UNet2DConditionModel(
        sample_size=128,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        block_out_channels=(320, 640, 1280),
        transformer_layers_per_block=(1, 2, 10),
        attention_head_dim=(5, 10, 20),
        cross_attention_dim=2048,
        use_linear_projection=True,
        addition_embed_type="text_time",
        addition_time_embed_dim=256,
        projection_class_embeddings_input_dim=2816,
    )


def _klein(double: int, single: int, heads: int, words: int) -> Callable[[], nn.Module]:
    return lambda: Flux2Transformer2DModel(
        num_layers=double,
        num_single_layers=single,
        num_attention_heads=heads,
        joint_attention_dim=words,
        guidance_embeds=False,
    )


def _kl(channels: int) -> Callable[[], nn.Module]:
    return lambda: AutoencoderKL(latent_channels=channels, **_BLOCKS)


_z_image = Architecture(ZImage, ZImageTransformer2DModel, _kl(16), (128, 2560), (16, 8))
ARCHITECTURES = {
    "sd15": Architecture(StableDiffusion, _stable_diffusion, _kl(4), (77, 768), (4, 8), (384, 512)),
    "sdxl": Architecture(StableDiffusionXL, _sdxl, _kl(4), (77, 2048), (4, 8)),
    "z-image": _z_image,
    "z-image-turbo": _z_image,
    "flux2-klein-4b": Architecture(
        Flux2Klein, _klein(5, 20, 24, 7680), AutoencoderKLFlux2, (512, 7680), (128, 16)
    ),
    "flux2-klein-9b": Architecture(
        Flux2Klein, _klein(8, 24, 32, 12288), AutoencoderKLFlux2, (512, 12288), (128, 16)
    ),
}


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


class _AsOnAGpu(TorchFunctionMode):
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


class _Alive(TorchDispatchMode):
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
def _measuring(network: nn.Module, *, autocast: bool) -> Iterator[_Alive]:
    """`peak` bytes beyond the weights of the network are known at the end."""
    known = (t for t in (*network.parameters(), *network.buffers()))
    with _Alive(known) as alive, _AsOnAGpu(autocast):
        yield alive


def _latents(architecture: Architecture, pixels: int) -> torch.Tensor:
    channels, step = architecture.latent
    return torch.empty(1, channels, pixels // step, pixels // step, device=META)


def _predict(architecture: Architecture, denoiser: nn.Module, pixels: int) -> torch.Tensor:
    """One picture through the denoiser, asked as its family asks."""
    latents = _latents(architecture, pixels)
    length, width = architecture.words
    words = torch.empty(1, length, width, device=META, dtype=TYPE)
    level = torch.empty(1, device=META, dtype=TYPE)
    if architecture.family is ZImage:
        picture = latents.to(TYPE).unsqueeze(2)
        return denoiser(list(picture.unbind()), level, list(words.unbind()), return_dict=False)[0][
            0
        ]
    if architecture.family is Flux2Klein:
        like = SimpleNamespace(denoiser=denoiser, compute_dtype=TYPE, device=META)
        return Flux2Klein._velocity(like, latents, level, {"encoder_hidden_states": words})  # type: ignore[arg-type]
    more = {}
    if architecture.family is StableDiffusionXL:
        pooled = torch.empty(1, 1280, device=META, dtype=TYPE)
        more = {"text_embeds": pooled, "time_ids": torch.empty(1, 6, device=META, dtype=TYPE)}
    return denoiser(latents.to(TYPE), level, words, added_cond_kwargs=more).sample


def _targets(architecture: Architecture, denoiser: nn.Module) -> list[str]:
    like = SimpleNamespace(denoiser=denoiser, unet=denoiser, targets=None)
    like.targets = getattr(architecture.family, "targets", ())
    return architecture.family.adapter_targets(like)


def count(key: str) -> dict[str, Any]:
    """The counts of a base as they stand in its manifest: keys of [model] and [[model.at]]."""
    architecture = ARCHITECTURES[key]
    denoiser, autoencoder = networks(architecture)
    targets = _targets(architecture, denoiser)
    rows = [
        _at(architecture, denoiser, autoencoder, targets, pixels)
        for pixels in architecture.resolutions
    ]
    return weights(architecture, denoiser, autoencoder) | {"at": rows}


def networks(architecture: Architecture) -> tuple[nn.Module, nn.Module]:
    """Denoiser and autoencoder, frozen, in the types they have on a GPU."""
    with META:
        denoiser, autoencoder = architecture.denoiser(), architecture.autoencoder()
    return denoiser.requires_grad_(False).to(TYPE), autoencoder.requires_grad_(False)


def weights(
    architecture: Architecture, denoiser: nn.Module, autoencoder: nn.Module
) -> dict[str, int]:
    """How many there are, how many of them are stored in 4 bits, and those of an adapter."""
    precise = getattr(architecture.family, "precise", ())
    packed = [
        layer.weight.numel()
        for name, layer in denoiser.named_modules()
        if type(layer) is nn.Linear and not any(f".{p}." in f".{name}." for p in precise)
    ]
    targets = _targets(architecture, denoiser)
    return {
        "denoiser": sum(p.numel() for p in denoiser.parameters()),
        "packed": sum(packed),
        "autoencoder": sum(p.numel() for p in autoencoder.parameters()),
        "adapter": sum(_rank_one(denoiser.get_submodule(name)) for name in targets),
        "largest": max(packed),
    }


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
        casts = _AsOnAGpu(autocast=False)
        with FlopCounterMode(display=False) as flops, casts:
            _predict(architecture, denoiser, pixels)
        with _measuring(denoiser, autocast=False) as paint:
            _predict(architecture, denoiser, pixels)
        # Decodes in bfloat16, encodes in float32, both from weights in float32.
        with _measuring(autoencoder, autocast=True) as decode:
            autoencoder.decode(architecture.autoencoder_latents(pixels))
        with _measuring(autoencoder, autocast=False) as encode:
            autoencoder.encode(torch.empty(1, 3, pixels, pixels, device=META))
    return {
        "resolution": pixels,
        "flops": flops.get_total_flops() + casts.attention,
        "paint": paint.peak,
        "recompute": _training(architecture, targets, pixels, checkpointing=True),
        "keep": _training(architecture, targets, pixels, checkpointing=False),
        "decode": decode.peak,
        "encode": encode.peak,
    }


def _training(
    architecture: Architecture, targets: list[str], pixels: int, *, checkpointing: bool
) -> int:
    """Bytes beyond the weights at the worst moment of a step with one picture."""
    with META:
        denoiser: Any = architecture.denoiser()
    denoiser.requires_grad_(False).to(TYPE)
    inject_adapter_in_model(LoraConfig(r=RANK, target_modules=targets), denoiser, "person")
    if checkpointing:
        denoiser.enable_gradient_checkpointing(_checkpoint)
    with _measuring(denoiser, autocast=True) as step:  # a flop counter here would keep tensors
        _predict(architecture, denoiser, pixels).float().square().mean().backward()
    return step.peak


def _checkpoint(module: nn.Module, *args: Any) -> Any:
    """As diffusers does it; what is done again, while going back, is outside of every mode."""

    def block(*given: Any) -> Any:
        with _AsOnAGpu(autocast=True):
            return module(*given)

    return checkpoint(block, *args, use_reentrant=False)


def _written(model: dict[str, Any]) -> str:
    lines = [f"{key} = {value}" for key, value in model.items() if key != "at"]
    for row in model["at"]:
        lines += ["", "[[model.at]]", *(f"{key} = {value}" for key, value in row.items())]
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    diffusers.utils.logging.set_verbosity_error()
    parser = argparse.ArgumentParser(prog="python -m dev.count_base", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("key", choices=ARCHITECTURES)
    print(_written(count(parser.parse_args(arguments).key)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
