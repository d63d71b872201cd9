"""Build a base at its full size with random weights, in the published layout: no download needed.

It paints noise, but every tensor has the shape, type and place of the published one, so memory and
speed are the real base's.  Where portraits are made with a distilled denoiser, that is a link to
the base's own.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from diffusers import (
    EulerDiscreteScheduler,
    FlowMatchEulerDiscreteScheduler,
    Flux2KleinPipeline,
    StableDiffusionXLPipeline,
    ZImagePipeline,
)
from tokenizers.pre_tokenizers import ByteLevel
from torch import nn
from transformers import (
    AutoTokenizer,
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTextModelWithProjection,
    Qwen2Tokenizer,
    Qwen3Config,
    Qwen3ForCausalLM,
    Qwen3Model,
)

from dev.architectures import ARCHITECTURES
from pipeline.bases import device
from pipeline.bases.manifest import DISTILLED, NAME

ROOT = Path(__file__).resolve().parents[1]
KEYS = ("sdxl", "flux2-klein-4b", "z-image-turbo")

CLIPS: tuple[dict[str, int], ...] = (
    {"hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12, "projection_dim": 768},
    {
        "hidden_size": 1280,
        "num_hidden_layers": 32,
        "num_attention_heads": 20,
        "projection_dim": 1280,
    },
)
CLIP_WORDS, CLIP_TOKENS = 49408, 77

QWEN: dict[str, int] = {
    "vocab_size": 151936,
    "hidden_size": 2560,
    "intermediate_size": 9728,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "head_dim": 128,
}
"""Qwen3-4B, which has `ALL_LAYERS`."""
ALL_LAYERS = 36
LAYERS = {"flux2-klein-4b": 28, "z-image-turbo": 4}
"""As few as work: FLUX.2 klein reads what its layers 9, 18 and 27 say, Z-Image the last but one."""

SHARD = "9GB"


def build(key: str, folder: Path, *, full_text: bool = False) -> None:
    """Write the base; weights are made on the GPU where there is one.

    key: one of `KEYS`. full_text: every layer of the text encoder, not as few as work.
    """
    torch.manual_seed(0)
    pipeline = _sdxl() if key == "sdxl" else _flow(key, ALL_LAYERS if full_text else LAYERS[key])
    pipeline.save_pretrained(folder, max_shard_size=SHARD)
    if key != "sdxl":
        (folder / DISTILLED).mkdir()
        for part in ("transformer", "scheduler"):
            (folder / DISTILLED / part).symlink_to(folder / part, target_is_directory=True)
    shutil.copyfile(ROOT / "tools" / "bases" / f"{key}.toml", folder / NAME)


def _made(make: Callable[[], nn.Module], dtype: torch.dtype = torch.bfloat16) -> Any:
    """What `make` returns, made in this type where models run."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        with device.choose():
            return make()
    finally:
        torch.set_default_dtype(before)


def _sdxl() -> Any:
    architecture = ARCHITECTURES["sdxl"]
    mini = ROOT / "models" / "studio-mini" / "tokenizer"
    tokenizer = AutoTokenizer.from_pretrained(mini, local_files_only=True)
    tokenizer.model_max_length = CLIP_TOKENS
    first, second = (
        CLIPTextConfig(
            vocab_size=CLIP_WORDS,
            intermediate_size=4 * sizes["hidden_size"],
            max_position_embeddings=CLIP_TOKENS,
            pad_token_id=0,
            bos_token_id=1,
            eos_token_id=2,
            **sizes,
        )
        for sizes in CLIPS
    )
    return StableDiffusionXLPipeline(
        vae=_made(architecture.autoencoder, torch.float32),
        text_encoder=_made(lambda: CLIPTextModel(first)),
        text_encoder_2=_made(lambda: CLIPTextModelWithProjection(second)),
        tokenizer=tokenizer,
        tokenizer_2=tokenizer,
        unet=_made(architecture.denoiser),
        scheduler=EulerDiscreteScheduler(
            beta_start=0.00085,
            beta_end=0.012,
            beta_schedule="scaled_linear",
            timestep_spacing="leading",
            steps_offset=1,
        ),
    )


def _flow(key: str, layers: int) -> Any:
    architecture, klein = ARCHITECTURES[key], key.startswith("flux2")
    tokenizer = byte_tokenizer()
    config = Qwen3Config(
        num_hidden_layers=layers,
        tie_word_embeddings=True,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
        **QWEN,
    )
    vae = _made(architecture.autoencoder, torch.float32)
    vae.register_to_config(sample_size=1024)
    if not klein:
        vae.register_to_config(scaling_factor=0.3611, shift_factor=0.1159)
    kind, reader = (Flux2KleinPipeline, Qwen3ForCausalLM) if klein else (ZImagePipeline, Qwen3Model)
    denoiser = _made(architecture.denoiser)
    for name, token in denoiser.named_parameters():
        if name.endswith("pad_token"):  # left as the memory was
            nn.init.normal_(token)
    return kind(
        vae=vae,
        text_encoder=_made(lambda: reader(config)),
        tokenizer=tokenizer,
        transformer=denoiser,
        scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0, use_dynamic_shifting=klein),
    )


def byte_tokenizer() -> Qwen2Tokenizer:
    """Qwen's tokenizer with a token for every byte, and no merges."""
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    letters = sorted(ByteLevel.alphabet())
    tokenizer = Qwen2Tokenizer(
        vocab={token: number for number, token in enumerate(special + letters)},
        merges=[],
        unk_token=None,
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        additional_special_tokens=["<|im_start|>"],
    )
    tokenizer.chat_template = (
        "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}"
        "<|im_end|>\n{% endfor %}<|im_start|>assistant\n"
    )
    return tokenizer
