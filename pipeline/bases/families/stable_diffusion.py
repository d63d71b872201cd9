"""The Stable Diffusion family: a UNet with cross-attention, one CLIP text encoder, any VAE.

The embedded base `studio-mini` is one (with a tiny autoencoder, v-prediction and zero terminal
SNR); so is Stable Diffusion 1.5.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from diffusers import (
    DDPMScheduler,
    DPMSolverMultistepScheduler,
    EulerDiscreteScheduler,
    UNet2DConditionModel,
    UniPCMultistepScheduler,
)
from diffusers.models.attention_processor import AttnProcessor
from torch import nn

from pipeline.bases.base import Base
from pipeline.bases.denoising import Conditions, Sampling


class StableDiffusion(Base):
    sampling = Sampling(steps=12, guidance=2.0, noise=0.5, adapter=1.25)
    adapter_prefix: ClassVar[str] = "unet"
    denoiser_class: ClassVar[type[Any]] = UNet2DConditionModel
    solvers: ClassVar[tuple[type[Any], ...]] = (
        DPMSolverMultistepScheduler,
        UniPCMultistepScheduler,
        EulerDiscreteScheduler,
    )
    together: ClassVar[bool] = True

    snr_gamma: float | None = 5.0
    """Cap on the signal-to-noise ratio in the loss weight (Hang et al. 2023, "Min-SNR"); None: all
    timesteps weigh the same."""

    @classmethod
    def _others(cls) -> dict[str, Any]:
        # Stable Diffusion 1.5 comes with a filter of pictures, which knows nothing of portraits.
        without = {"safety_checker": None, "feature_extractor": None}
        return super()._others() | without

    def _take(self, pipeline: Any) -> nn.Module:
        self._take_words(pipeline)
        self.vae = pipeline.vae.to(self.device, memory_format=torch.channels_last)
        self.unet = pipeline.unet
        if self.device.type == "cpu":
            # torch's fused attention is slower backwards on a CPU in bfloat16: with heads of 32
            # channels a whole step takes a fifth longer.
            self.unet.set_attn_processor(AttnProcessor())
        self.solver_config = pipeline.scheduler.config
        self.noise = DDPMScheduler.from_config(self.solver_config)
        self.noise.alphas_cumprod = self.noise.alphas_cumprod.to(self.device)
        self._scale = pipeline.vae_scale_factor
        return self.unet

    def _take_words(self, pipeline: Any) -> None:
        self.tokenizer = pipeline.tokenizer
        self.text_encoder = pipeline.text_encoder.to(self.device)

    @property
    def _own_resolution(self) -> int:
        return int(self.unet.config.sample_size * self._scale)

    def networks(self) -> list[nn.Module]:
        return [self.unet, self.vae, self.text_encoder]

    # Words

    def knows(self, text: str) -> bool:
        return self.tokenizer.unk_token_id not in self._word_ids(text)

    def _word_ids(self, text: str) -> list[int]:
        return self.tokenizer(text, add_special_tokens=False).input_ids

    @torch.no_grad()
    def encode_prompts(self, prompts: Sequence[str]) -> Conditions:
        known = {prompt: self._read(prompt) for prompt in dict.fromkeys(prompts)}
        return {"encoder_hidden_states": torch.cat([known[prompt] for prompt in prompts])}

    def _read(self, prompt: str) -> torch.Tensor:
        """One prompt -> [1, tokens, width]: one at a time needs least memory."""
        length = self.tokenizer.model_max_length
        begin, end = self.tokenizer.bos_token_id, self.tokenizer.eos_token_id
        words = [i for i in self._word_ids(prompt) if not self._is_unknown(i)]
        row = [begin, *words[: length - 2], end]
        row += [self.tokenizer.pad_token_id] * (length - len(row))
        ids = torch.tensor([row], device=self.device)
        return self.text_encoder(ids)[0].to(self.compute_dtype)

    def _is_unknown(self, token_id: int) -> bool:
        # CLIP's own tokenizer knows every byte, and uses its end token as "unknown".
        unknown = self.tokenizer.unk_token_id
        return token_id == unknown and unknown != self.tokenizer.eos_token_id

    # Pixels

    def scaled(self, latents: torch.Tensor) -> torch.Tensor:
        return latents * self.vae.config.scaling_factor

    def unscaled(self, latents: torch.Tensor) -> torch.Tensor:
        return latents / self.vae.config.scaling_factor

    def _shape(self) -> tuple[int, int, int]:
        side = self.resolution // self._scale
        return self.unet.config.in_channels, side, side

    # Training

    def _times(self, count: int, generator: torch.Generator) -> torch.Tensor:
        """Timesteps, uniform."""
        return torch.randint(
            0, self.noise.config.num_train_timesteps, (count,), generator=generator
        )

    def _lesson(
        self, latents: torch.Tensor, noise: torch.Tensor, times: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        noisy = self.noise.add_noise(latents, noise, times)
        if not self._is_velocity:
            return noisy, noise
        return noisy, self.noise.get_velocity(latents, noise, times)

    @property
    def _is_velocity(self) -> bool:
        return bool(self.noise.config.prediction_type == "v_prediction")

    def _share(self, times: torch.Tensor) -> torch.Tensor | None:
        if self.snr_gamma is None:
            return None
        signal = self.noise.alphas_cumprod[times]
        snr = signal / (1 - signal).clamp(min=1e-6)
        if self._is_velocity:  # where pure noise has weight 0 and would never be learnt
            return (snr.clamp(max=self.snr_gamma) / (snr + 1)).clamp(min=0.1)
        return (self.snr_gamma / snr.clamp(min=1e-6)).clamp(max=1)

    def predict(
        self, latents: torch.Tensor, times: torch.Tensor, conditions: Conditions
    ) -> torch.Tensor:
        packed = latents.to(self.compute_dtype, memory_format=torch.channels_last)
        return self.unet(packed, times, **conditions).sample

    # Adapters

    def adapter_targets(self) -> list[str]:
        """All linear and convolution layers inside the blocks.

        Attention alone does not learn a face on a small base.  The first and last convolution
        and the timestep's layers have nothing to do with who somebody is.
        """
        left_out = ("conv_in", "conv_out", "time_emb")
        return [
            name
            for name, module in self.unet.named_modules()
            if isinstance(module, nn.Linear | nn.Conv2d)
            and not any(part in name for part in left_out)
        ]
