"""Count what planning needs to know of a base that makes clips: `python -m dev.count_base KEY`.

One clip of the product's own length is predicted and decoded at each resolution, and its picture
encoded, on torch's "meta" device and through the family's own calls.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import torch
from diffusers import AutoencoderKLWan, WanTransformer3DModel
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from dev.architectures import META, TYPE
from dev.on_meta import AsOnAGpu, measuring, packed_layers
from pipeline.bases.families.wan import FRAMES, TOKENS, Wan


@dataclass(frozen=True)
class Moving:
    """The published configuration of a base that makes clips."""

    transformer: dict[str, Any]
    autoencoder: dict[str, Any]
    words: int  # features of a token
    resolutions: tuple[int, ...] = (480, 576, 704)


MOVING = {
    "wan2.2-ti2v-5b": Moving(
        {
            "num_attention_heads": 24,
            "in_channels": 48,
            "out_channels": 48,
            "text_dim": 4096,
            "ffn_dim": 14336,
            "num_layers": 30,
        },
        {
            "base_dim": 160,
            "decoder_base_dim": 256,
            "z_dim": 48,
            "is_residual": True,
            "in_channels": 12,
            "out_channels": 12,
            "patch_size": 2,
            "scale_factor_spatial": 16,
            "latents_mean": [0.0] * 48,
            "latents_std": [1.0] * 48,
        },
        words=4096,
    )
}


def networks(moving: Moving) -> tuple[nn.Module, nn.Module]:
    """Denoiser and autoencoder, frozen, in the types they have on a GPU."""
    with META:
        denoiser = WanTransformer3DModel(**moving.transformer)
        autoencoder = AutoencoderKLWan(**moving.autoencoder)
    exact = [p for n, p in denoiser.named_parameters() if set(Wan.exact) & set(n.split("."))]
    denoiser.requires_grad_(False).to(TYPE)
    for parameter in exact:
        parameter.data = parameter.data.float()
    return denoiser, autoencoder.requires_grad_(False)


def count(key: str) -> dict[str, Any]:
    """The counts of a base as they stand in its manifest: keys of [clip] and [[clip.at]]."""
    moving = MOVING[key]
    denoiser, autoencoder = networks(moving)
    rows = [_at(moving, denoiser, autoencoder, side) for side in moving.resolutions]
    return weights(denoiser, autoencoder) | {"at": rows}


def weights(denoiser: nn.Module, autoencoder: nn.Module) -> dict[str, int]:
    """How many there are, and how many of them are stored in 4 bits."""
    names = packed_layers(denoiser, Wan.precise)
    packed = [denoiser.get_submodule(name).weight.numel() for name in names]
    return {
        "denoiser": sum(p.numel() for p in denoiser.parameters()),
        "packed": sum(packed),
        "largest": max(packed),
        "autoencoder": sum(p.numel() for p in autoencoder.parameters()),
        "frames": FRAMES,
    }


def _at(moving: Moving, denoiser: nn.Module, autoencoder: Any, side: int) -> dict[str, int]:
    like: Any = SimpleNamespace(vae=autoencoder, frames=FRAMES, resolution=side)
    latents = torch.empty(1, *Wan._shape(like), device=META)
    words = torch.empty(1, TOKENS, moving.words, device=META, dtype=TYPE)
    given = {"encoder_hidden_states": words, "first": latents[:, :, :1]}
    asked: Any = SimpleNamespace(denoiser=denoiser, compute_dtype=TYPE, begun=Wan.begun)
    level = torch.empty(1, device=META)

    def predict() -> None:
        Wan.predict(asked, latents, level, given)

    with torch.no_grad():
        casts = AsOnAGpu(autocast=False)
        with FlopCounterMode(display=False) as flops, casts:
            predict()
        with measuring(denoiser, autocast=False) as paint:
            predict()
        # Decodes in bfloat16, encodes in float32, both from weights in float32.
        with FlopCounterMode(display=False) as decoding, AsOnAGpu(autocast=False):
            autoencoder.decode(latents)
        with measuring(autoencoder, autocast=True) as decode:
            autoencoder.decode(latents)
        with measuring(autoencoder, autocast=False) as encode:
            autoencoder.encode(torch.empty(1, 3, 1, side, side, device=META))
    return {
        "resolution": side,
        "flops": flops.get_total_flops() + casts.attention,
        "decode_flops": decoding.get_total_flops(),
        "paint": paint.peak,
        "decode": decode.peak,
        "encode": encode.peak,
    }
