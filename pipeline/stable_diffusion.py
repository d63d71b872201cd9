"""The Stable Diffusion family: a UNet with cross-attention, one CLIP text encoder, any VAE.

The embedded base `studio-mini` is one (with a tiny autoencoder, v-prediction and zero terminal
SNR); so is Stable Diffusion 1.5.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import torch
from diffusers import DDPMScheduler, DPMSolverMultistepScheduler
from diffusers.models.attention_processor import AttnProcessor
from torch import nn

from errors import Stopped
from pipeline.base import Base, Conditions, Sampling

MIN_SNR_GAMMA = 5.0
"""Cap on the signal-to-noise ratio in the loss weight (Hang et al. 2023, "Min-SNR")."""


class StableDiffusion(Base):
    sampling = Sampling(steps=12, guidance=2.0)
    adapter_prefix: ClassVar[str] = "unet"

    @classmethod
    def reading(cls, device: torch.device, *, quantise: bool) -> dict[str, Any]:
        # Stable Diffusion 1.5 comes with a filter of pictures, which knows nothing of portraits.
        without = {"safety_checker": None, "feature_extractor": None}
        return super().reading(device, quantise=quantise) | without

    def _take(self, pipeline: Any) -> nn.Module:
        self._take_words(pipeline)
        self.vae = pipeline.vae.to(self.device, memory_format=torch.channels_last)
        self.unet = pipeline.unet
        if self.device.type == "cpu":
            # torch's fused attention is several times slower backwards on a CPU when heads are
            # narrow (6 channels here); plain matrix products are no slower forwards either.
            self.unet.set_attn_processor(AttnProcessor())
        self.solver_config = pipeline.scheduler.config
        self.noise = DDPMScheduler.from_config(self.solver_config)
        self.noise.alphas_cumprod = self.noise.alphas_cumprod.to(self.device)
        self._resolution = self.unet.config.sample_size * pipeline.vae_scale_factor
        return self.unet

    def _take_words(self, pipeline: Any) -> None:
        self.tokenizer = pipeline.tokenizer
        self.text_encoder = pipeline.text_encoder.to(self.device)

    @property
    def resolution(self) -> int:
        return self._resolution

    def networks(self) -> list[nn.Module]:
        return [self.unet, self.vae, self.text_encoder]

    # Words

    def knows(self, text: str) -> bool:
        return self.tokenizer.unk_token_id not in self._word_ids(text)

    def _word_ids(self, text: str) -> list[int]:
        return self.tokenizer(text, add_special_tokens=False).input_ids

    @torch.no_grad()
    def encode_prompts(self, prompts: Sequence[str]) -> Conditions:
        length = self.tokenizer.model_max_length
        begin, end = self.tokenizer.bos_token_id, self.tokenizer.eos_token_id
        rows = []
        for prompt in prompts:
            words = [i for i in self._word_ids(prompt) if not self._is_unknown(i)]
            row = [begin, *words[: length - 2], end]
            rows.append(row + [self.tokenizer.pad_token_id] * (length - len(row)))
        ids = torch.tensor(rows, device=self.device)
        hidden = self.text_encoder(ids)[0]
        return {"encoder_hidden_states": hidden.to(self.compute_dtype)}

    def _is_unknown(self, token_id: int) -> bool:
        # CLIP's own tokenizer knows every byte, and uses its end token as "unknown".
        unknown = self.tokenizer.unk_token_id
        return token_id == unknown and unknown != self.tokenizer.eos_token_id

    # Pixels

    def _scaled(self, latents: torch.Tensor) -> torch.Tensor:
        return latents * self.vae.config.scaling_factor

    def _unscaled(self, latents: torch.Tensor) -> torch.Tensor:
        return latents / self.vae.config.scaling_factor

    def _shape(self) -> tuple[int, int, int]:
        side = self.unet.config.sample_size
        return self.unet.config.in_channels, side, side

    # Training

    def loss(
        self,
        latents: torch.Tensor,
        conditions: Conditions,
        generator: torch.Generator,
        weight: torch.Tensor | float = 1.0,
    ) -> torch.Tensor:
        """Mean squared error of the prediction, Min-SNR weighted and normalised per batch."""
        # Drawn on the CPU, so that a seed means the same on every device.
        noise = torch.randn(latents.shape, generator=generator).to(self.device)
        steps = self.noise.config.num_train_timesteps
        timesteps = torch.randint(0, steps, latents.shape[:1], generator=generator).to(self.device)
        noisy = self.noise.add_noise(latents, noise, timesteps)
        velocity = self.noise.config.prediction_type == "v_prediction"
        target = self.noise.get_velocity(latents, noise, timesteps) if velocity else noise
        with torch.autocast(self.device.type, self.compute_dtype):
            prediction = self._denoise(noisy, timesteps, conditions)
        error = ((prediction.float() - target).square() * weight).mean(dim=(1, 2, 3))
        share = self._min_snr(timesteps, velocity)
        return (error * share).sum() / share.sum()

    def _min_snr(self, timesteps: torch.Tensor, velocity: bool) -> torch.Tensor:
        signal = self.noise.alphas_cumprod[timesteps]
        snr = signal / (1 - signal).clamp(min=1e-6)
        weight = snr.clamp(max=MIN_SNR_GAMMA) / (snr + 1 if velocity else snr.clamp(min=1e-6))
        return weight.clamp(min=0.1)  # pure noise has weight 0 and would never be learnt

    def _denoise(
        self, latents: torch.Tensor, timesteps: torch.Tensor, conditions: Conditions
    ) -> torch.Tensor:
        packed = latents.to(self.compute_dtype, memory_format=torch.channels_last)
        return self.unet(packed, timesteps, **conditions).sample

    # Sampling

    @torch.no_grad()
    def sample(
        self,
        positive: Conditions,
        negative: Conditions,
        seeds: Sequence[int],
        sampling: Sampling,
        stop: Callable[[], bool],
    ) -> torch.Tensor:
        solver = DPMSolverMultistepScheduler.from_config(self.solver_config)
        solver.set_timesteps(sampling.steps, device=self.device)
        latents = self._start(seeds) * solver.init_noise_sigma
        guided = sampling.guidance != 1
        both = {k: torch.cat([negative[k], v]) for k, v in positive.items()} if guided else positive
        for timestep in solver.timesteps:
            if stop():
                raise Stopped
            given = torch.cat([latents, latents]) if guided else latents
            given = solver.scale_model_input(given, timestep)
            prediction = self._denoise(given, timestep, both).float()
            if guided:
                without, wanted = prediction.chunk(2)
                prediction = without + sampling.guidance * (wanted - without)
            latents = solver.step(prediction, timestep, latents).prev_sample
        return latents

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
