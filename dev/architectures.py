"""The published architectures of the bases, built on torch's "meta" device.

There, tensors have shapes but no memory: no GPU and no weights are needed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import torch
from diffusers import (
    AutoencoderKL,
    AutoencoderKLFlux2,
    Flux2Transformer2DModel,
    UNet2DConditionModel,
    ZImageTransformer2DModel,
)
from torch import nn

from pipeline.bases.families.flux2_klein import Flux2Klein
from pipeline.bases.families.sdxl import StableDiffusionXL
from pipeline.bases.families.stable_diffusion import StableDiffusion
from pipeline.bases.families.z_image import ZImage

META = torch.device("meta")
TYPE = torch.bfloat16


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
_XL = Architecture(StableDiffusionXL, _sdxl, _kl(4), (77, 2048), (4, 8))

ARCHITECTURES = {
    "sd15": Architecture(StableDiffusion, _stable_diffusion, _kl(4), (77, 768), (4, 8), (384, 512)),
    "sdxl": _XL,
    "sdxl-lightning": _XL,
    "z-image": _z_image,
    "z-image-turbo": _z_image,
    "flux2-klein-4b": Architecture(
        Flux2Klein, _klein(5, 20, 24, 7680), AutoencoderKLFlux2, (512, 7680), (128, 16)
    ),
    "flux2-klein-9b": Architecture(
        Flux2Klein, _klein(8, 24, 32, 12288), AutoencoderKLFlux2, (512, 12288), (128, 16)
    ),
}


def networks(architecture: Architecture) -> tuple[nn.Module, nn.Module]:
    """Denoiser and autoencoder, frozen, in the types they have on a GPU."""
    with META:
        denoiser, autoencoder = architecture.denoiser(), architecture.autoencoder()
    return denoiser.requires_grad_(False).to(TYPE), autoencoder.requires_grad_(False)


def targets_of(architecture: Architecture, denoiser: nn.Module) -> list[str]:
    """Names of the denoiser's layers that an adapter of this family sits beside."""
    like = SimpleNamespace(denoiser=denoiser, unet=denoiser, targets=None)
    like.targets = getattr(architecture.family, "targets", ())
    return architecture.family.adapter_targets(like)


def _latents(architecture: Architecture, pixels: int) -> torch.Tensor:
    channels, step = architecture.latent
    return torch.empty(1, channels, pixels // step, pixels // step, device=META)


def predict(architecture: Architecture, denoiser: nn.Module, pixels: int) -> torch.Tensor:
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
        return Flux2Klein.predict(like, latents, level, {"encoder_hidden_states": words})  # type: ignore[arg-type]
    more = {}
    if architecture.family is StableDiffusionXL:
        pooled = torch.empty(1, 1280, device=META, dtype=TYPE)
        more = {"text_embeds": pooled, "time_ids": torch.empty(1, 6, device=META, dtype=TYPE)}
    return denoiser(latents.to(TYPE), level, words, added_cond_kwargs=more).sample
