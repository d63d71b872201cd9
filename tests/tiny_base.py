"""A base with random weights: the shapes and files of `models/studio-mini`, a hundredth its size.

It paints noise, but it loads, quantises, trains, saves and samples through the product's own code
in seconds, which is what tests of that code need.
"""

from __future__ import annotations

from pathlib import Path

import torch
from diffusers import (
    AutoencoderTiny,
    DPMSolverMultistepScheduler,
    StableDiffusionPipeline,
    UNet2DConditionModel,
)
from transformers import AutoTokenizer, CLIPTextConfig, CLIPTextModel

import settings as configuration

MINI = configuration.ROOT / "models" / "studio-mini"
WIDTH = 32
LATENT_CHANNELS = 4


def build_tiny_base(folder: Path, *, seed: int = 0) -> None:
    """Write a standard diffusers folder of 64-pixel pictures."""
    torch.manual_seed(seed)
    tokenizer = AutoTokenizer.from_pretrained(MINI / "tokenizer", local_files_only=True)
    StableDiffusionPipeline(
        vae=_autoencoder(),
        text_encoder=_text_encoder(len(tokenizer), tokenizer.model_max_length),
        tokenizer=tokenizer,
        unet=_denoiser(),
        scheduler=DPMSolverMultistepScheduler.from_pretrained(MINI / "scheduler"),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    ).save_pretrained(folder)
    (folder / "recipe.toml").write_text(
        "steps = 12\nvariants = 2\nbatch = 2\nrank = 4\nalpha = 4\n"
    )


def _autoencoder() -> AutoencoderTiny:
    return AutoencoderTiny(
        encoder_block_out_channels=(16,) * 4,
        decoder_block_out_channels=(16,) * 4,
        num_encoder_blocks=(1, 1, 1, 1),
        num_decoder_blocks=(1, 1, 1, 1),
        latent_channels=LATENT_CHANNELS,
    )


def _text_encoder(words: int, length: int) -> CLIPTextModel:
    return CLIPTextModel(
        CLIPTextConfig(
            vocab_size=words,
            hidden_size=WIDTH,
            intermediate_size=2 * WIDTH,
            num_hidden_layers=1,
            num_attention_heads=2,
            max_position_embeddings=length,
            pad_token_id=0,
            bos_token_id=1,
            eos_token_id=2,
        )
    )


def _denoiser() -> UNet2DConditionModel:
    return UNet2DConditionModel(
        sample_size=8,
        in_channels=LATENT_CHANNELS,
        out_channels=LATENT_CHANNELS,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        block_out_channels=(WIDTH, 2 * WIDTH),
        layers_per_block=1,
        cross_attention_dim=WIDTH,
        attention_head_dim=16,
        norm_num_groups=8,
    )
