"""Bases with random weights: the classes and files of real ones, a hundredth their size or less.

They paint noise, but they load, quantise, train, save and sample through the product's own code in
seconds, which is what tests of that code need.  `build_tiny_base` has the shapes of
`models/studio-mini`; each of the others is one of another family, of 64-pixel pictures too.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import torch
from diffusers import (
    AutoencoderKL,
    AutoencoderKLFlux2,
    AutoencoderKLWan,
    AutoencoderTiny,
    DPMSolverMultistepScheduler,
    EulerDiscreteScheduler,
    FlowMatchEulerDiscreteScheduler,
    Flux2KleinPipeline,
    Flux2Transformer2DModel,
    PNDMScheduler,
    StableDiffusionPipeline,
    StableDiffusionXLPipeline,
    UNet2DConditionModel,
    UniPCMultistepScheduler,
    WanPipeline,
    WanTransformer3DModel,
    ZImagePipeline,
    ZImageTransformer2DModel,
)
from transformers import (
    AutoTokenizer,
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTextModelWithProjection,
    Qwen3Config,
    Qwen3ForCausalLM,
    Qwen3Model,
    T5TokenizerFast,
    UMT5Config,
    UMT5EncoderModel,
)

import settings as configuration
from tools.full_size import byte_tokenizer

MINI = configuration.ROOT / "models" / "studio-mini"
WIDTH = 32
SIDE = 64
LATENT_CHANNELS = 4


def build_tiny_base(folder: Path, *, seed: int = 0, least: bool = False) -> None:
    """Write a standard diffusers folder of 64-pixel pictures.

    least: with attention in the middle alone, for tests of what is around a base.
    """
    torch.manual_seed(seed)
    tokenizer = AutoTokenizer.from_pretrained(MINI / "tokenizer", local_files_only=True)
    StableDiffusionPipeline(
        vae=_autoencoder(),
        text_encoder=_text_encoder(len(tokenizer), tokenizer.model_max_length),
        tokenizer=tokenizer,
        unet=_denoiser(least),
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
    return CLIPTextModel(_clip(words, length))


def _clip(words: int, length: int, layers: int = 1) -> CLIPTextConfig:
    return CLIPTextConfig(
        vocab_size=words,
        hidden_size=WIDTH,
        intermediate_size=2 * WIDTH,
        num_hidden_layers=layers,
        num_attention_heads=2,
        max_position_embeddings=length,
        projection_dim=WIDTH,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
    )


def _denoiser(least: bool = False) -> UNet2DConditionModel:
    attention = "" if least else "CrossAttn"
    return UNet2DConditionModel(
        sample_size=8,
        in_channels=LATENT_CHANNELS,
        out_channels=LATENT_CHANNELS,
        down_block_types=("DownBlock2D", f"{attention}DownBlock2D"),
        up_block_types=(f"{attention}UpBlock2D", "UpBlock2D"),
        block_out_channels=(WIDTH, 2 * WIDTH),
        layers_per_block=1,
        cross_attention_dim=WIDTH,
        attention_head_dim=16,
        norm_num_groups=8,
    )


def build_tiny_sd15(folder: Path, *, seed: int = 0) -> None:
    """As Stable Diffusion 1.5: it predicts noise, and has a variational autoencoder."""
    torch.manual_seed(seed)
    tokenizer = AutoTokenizer.from_pretrained(MINI / "tokenizer", local_files_only=True)
    StableDiffusionPipeline(
        vae=AutoencoderKL(sample_size=SIDE, scaling_factor=0.18, **_variational(4, (8, 8, 16, 16))),
        text_encoder=_text_encoder(len(tokenizer), tokenizer.model_max_length),
        tokenizer=tokenizer,
        unet=_denoiser(),
        scheduler=PNDMScheduler(
            beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", steps_offset=1
        ),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    ).save_pretrained(folder)


def build_tiny_sdxl(folder: Path, *, seed: int = 0) -> None:
    torch.manual_seed(seed)
    tokenizer = AutoTokenizer.from_pretrained(MINI / "tokenizer", local_files_only=True)
    clip = _clip(len(tokenizer), tokenizer.model_max_length, layers=2)
    StableDiffusionXLPipeline(
        vae=AutoencoderKL(sample_size=SIDE, scaling_factor=0.13, **_variational(4, (8, 8, 16, 16))),
        text_encoder=CLIPTextModel(clip),
        text_encoder_2=CLIPTextModelWithProjection(clip),
        tokenizer=tokenizer,
        tokenizer_2=tokenizer,
        unet=_sdxl_unet(),
        scheduler=EulerDiscreteScheduler(
            beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", steps_offset=1
        ),
    ).save_pretrained(folder)


def _sdxl_unet() -> UNet2DConditionModel:
    return UNet2DConditionModel(
        sample_size=8,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        block_out_channels=(WIDTH, 2 * WIDTH),
        layers_per_block=1,
        cross_attention_dim=2 * WIDTH,
        attention_head_dim=(2, 4),
        norm_num_groups=8,
        use_linear_projection=True,
        addition_embed_type="text_time",
        addition_time_embed_dim=8,
        projection_class_embeddings_input_dim=6 * 8 + WIDTH,
    )


def build_tiny_sdxl_lightning(folder: Path, *, seed: int = 0) -> None:
    """As SDXL, with a distilled UNet, which predicts something else."""
    build_tiny_sdxl(folder, seed=seed)
    _sdxl_unet().save_pretrained(folder / "distilled" / "unet")
    shutil.copytree(folder / "scheduler", folder / "distilled" / "scheduler")


def build_tiny_z_image(folder: Path, *, seed: int = 0) -> None:
    torch.manual_seed(seed)
    tokenizer = byte_tokenizer()
    ZImagePipeline(
        vae=AutoencoderKL(
            sample_size=SIDE,
            scaling_factor=0.36,
            shift_factor=0.12,
            **_variational(8, (8, 8, 16, 16)),
        ),
        text_encoder=Qwen3Model(_qwen(len(tokenizer), layers=2)),
        tokenizer=tokenizer,
        transformer=_filled(
            ZImageTransformer2DModel(
                in_channels=8,
                dim=48,  # feed-forward layers are 8 / 3 as wide; odd widths are slow in 4 bits
                n_layers=2,
                n_refiner_layers=1,
                n_heads=2,
                n_kv_heads=2,
                cap_feat_dim=WIDTH,
                axes_dims=[8, 8, 8],
                axes_lens=[512, 32, 32],
            )
        ),
        scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0),
    ).save_pretrained(folder)


def build_tiny_flux2_klein(folder: Path, *, seed: int = 0) -> None:
    """With a distilled transformer, which predicts something else."""
    torch.manual_seed(seed)
    tokenizer = byte_tokenizer()
    vae = AutoencoderKLFlux2(sample_size=SIDE, **_variational(4, (8, 8, 16, 16)))
    vae.bn.running_mean.normal_()
    vae.bn.running_var.uniform_(0.5, 2)
    scheduler = FlowMatchEulerDiscreteScheduler(shift=3.0, use_dynamic_shifting=True)
    Flux2KleinPipeline(
        vae=vae,
        text_encoder=Qwen3ForCausalLM(_qwen(len(tokenizer), layers=28)),
        tokenizer=tokenizer,
        transformer=_klein_transformer(),
        scheduler=scheduler,
    ).save_pretrained(folder)
    _klein_transformer().save_pretrained(folder / "distilled" / "transformer")
    scheduler.save_pretrained(folder / "distilled" / "scheduler")


def _klein_transformer() -> Flux2Transformer2DModel:
    return Flux2Transformer2DModel(
        in_channels=16,
        num_layers=1,
        num_single_layers=2,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=3 * WIDTH,
        timestep_guidance_channels=WIDTH,
        axes_dims_rope=(4, 4, 4, 4),
        guidance_embeds=False,
    )


def build_tiny_wan(folder: Path, *, seed: int = 0) -> None:
    """Wan 2.2 TI2V: its autoencoder makes one place of 16 x 16 pixels, and of four frames."""
    torch.manual_seed(seed)
    words = ["<pad>", "</s>", "<unk>", *(f"\N{LOWER ONE EIGHTH BLOCK}{word}" for word in WORDS)]
    tokenizer = T5TokenizerFast(vocab=[(word, -1.0) for word in words], extra_ids=0)
    WanPipeline(
        vae=AutoencoderKLWan(
            base_dim=8,
            decoder_base_dim=8,
            z_dim=4,
            dim_mult=[1, 2, 2, 2],
            num_res_blocks=1,
            temperal_downsample=[False, True, True],
            latents_mean=[0.1, -0.2, 0.3, 0.0],
            latents_std=[1.5, 0.7, 1.1, 0.9],
            is_residual=True,
            in_channels=12,
            out_channels=12,
            patch_size=2,
            scale_factor_spatial=16,
        ),
        text_encoder=UMT5EncoderModel(
            UMT5Config(
                vocab_size=len(tokenizer),
                d_model=WIDTH,
                d_kv=16,
                d_ff=2 * WIDTH,
                num_layers=2,
                num_heads=2,
            )
        ),
        tokenizer=tokenizer,
        transformer=WanTransformer3DModel(
            num_attention_heads=2,
            attention_head_dim=32,
            in_channels=4,
            out_channels=4,
            text_dim=WIDTH,
            freq_dim=WIDTH,
            ffn_dim=2 * WIDTH,
            num_layers=2,
            rope_max_seq_len=64,
        ),
        scheduler=UniPCMultistepScheduler(
            prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=5.0
        ),
        expand_timesteps=True,
    ).save_pretrained(folder)


WORDS = ("a", "the", "person", "looks", "breathes", "turns", "head", "slowly", "light", "moves")


def _filled(transformer: ZImageTransformer2DModel) -> ZImageTransformer2DModel:
    """Its padding tokens are made as zeros, of which nobody would notice a wrong use."""
    for token in (transformer.x_pad_token, transformer.cap_pad_token):
        torch.nn.init.normal_(token)
    return transformer


def _variational(channels: int, widths: tuple[int, ...]) -> dict[str, Any]:
    return {
        "latent_channels": channels,
        "block_out_channels": widths,
        "down_block_types": ("DownEncoderBlock2D",) * len(widths),
        "up_block_types": ("UpDecoderBlock2D",) * len(widths),
        "layers_per_block": 1,
        "norm_num_groups": 4,
    }


def _qwen(words: int, layers: int) -> Qwen3Config:
    return Qwen3Config(
        vocab_size=words,
        hidden_size=WIDTH,
        intermediate_size=WIDTH,
        num_hidden_layers=layers,
        num_attention_heads=2,
        num_key_value_heads=2,
        head_dim=16,
        max_position_embeddings=512,
        tie_word_embeddings=True,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
    )
