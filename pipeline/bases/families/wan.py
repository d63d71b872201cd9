"""Wan 2.2 TI2V-5B: a transformer that makes a clip of a picture; it reads words with UMT5.

Its latents are frames of patches, [B, C, f, h, w]: one for the picture, and one for every four
frames after it.  The picture is no condition beside them: it stands in the place of the first
frame, without noise, and the transformer is told for each token how noisy that is.  All else is
diffusers' `WanImageToVideoPipeline` with `expand_timesteps`, the only kind that is known here.

A clip is `frames` frames at `FPS` a second.  Nothing is learnt: a person comes in by a portrait.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import torch
from diffusers import UniPCMultistepScheduler, WanTransformer3DModel
from numpy.typing import NDArray
from torch import nn

from errors import BaseUnavailable
from pipeline.bases import device
from pipeline.bases.denoising import Conditions, Sampling
from pipeline.bases.flow import FlowMatching
from pipeline.bases.plan import Plan

FPS = 24
"""Of the clips that it was trained on."""

FRAMES = 73
"""Three seconds, and the picture itself; their number without the first is a multiple of four."""

SIDE_PX = 704
"""The shorter side of what it was trained on."""

TOKENS = 512
"""Prompts are padded to this with zeros."""


class Wan(FlowMatching):
    sampling = Sampling(steps=50, guidance=5.0)
    denoiser_class: ClassVar[type[Any]] = WanTransformer3DModel
    solvers: ClassVar[tuple[type[Any], ...]] = (UniPCMultistepScheduler,)
    precise: ClassVar[tuple[str, ...]] = ("condition_embedder", "proj_out")
    exact: ClassVar[tuple[str, ...]] = tuple(WanTransformer3DModel._keep_in_fp32_modules)
    targets: ClassVar[tuple[str, ...]] = ()

    frames: int = FRAMES

    def _take(self, pipeline: Any) -> nn.Module:
        if not pipeline.config.expand_timesteps:  # others of Wan's have the same pipeline class
            raise BaseUnavailable(
                f"The base model {self.key!r} is a Wan that begins with no picture, which is not "
                "supported. Take wan2.2-ti2v-5b."
            )
        self.vae = pipeline.vae.to(self.device)
        self.solver_config = pipeline.scheduler.config
        self._take_distilled(pipeline.transformer, pipeline.scheduler)
        return pipeline.transformer

    def configure(self, plan: Plan) -> None:
        super().configure(replace(plan, tiling=False))
        if plan.tiling:
            self.vae.enable_tiling()

    @property
    def _own_resolution(self) -> int:
        return SIDE_PX

    def _encode(self, encoder: Any, prompt: str) -> Conditions:
        """As its pipeline does, which would need one more package to clean prompts of strangers."""
        read = encoder.tokenizer(
            prompt,
            padding="max_length",
            max_length=TOKENS,
            truncation=True,
            return_tensors="pt",
        )
        ids, mask = (
            read[k].to(encoder.text_encoder.device) for k in ("input_ids", "attention_mask")
        )
        words = encoder.text_encoder(ids, mask).last_hidden_state[0]
        return {"encoder_hidden_states": words * mask[0, :, None].to(words.dtype)}

    def scaled(self, latents: torch.Tensor) -> torch.Tensor:
        mean, spread = self._statistics()
        return (latents - mean) / spread

    def unscaled(self, latents: torch.Tensor) -> torch.Tensor:
        mean, spread = self._statistics()
        return latents * spread + mean

    def _statistics(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean and standard deviation of every channel, [1, C, 1, 1, 1]."""
        config = self.vae.config
        mean, spread = (
            torch.tensor(values, device=self.device).view(1, -1, 1, 1, 1)
            for values in (config.latents_mean, config.latents_std)
        )
        return mean, spread

    @torch.no_grad()
    def encode_images(self, images: NDArray[np.uint8]) -> torch.Tensor:
        """uint8 [B, S, S, 3] RGB -> scaled latents of one frame each, float32 [B, C, 1, h, w]."""
        pixels = torch.from_numpy(images).permute(0, 3, 1, 2).to(self.device).float() / 127.5 - 1
        with self._forgetting():
            return self.scaled(self.vae.encode(pixels.unsqueeze(2)).latent_dist.mode())

    @torch.no_grad()
    def decode(self, latents: torch.Tensor) -> NDArray[np.uint8]:
        """Scaled latents of one clip [1, C, f, h, w] -> its frames, uint8 [F, S, S, 3] RGB."""
        with self._forgetting(), device.autocast(self.device, self.compute_dtype):
            [pixels] = self.vae.decode(self.unscaled(latents)).sample
        levels = (pixels.permute(1, 2, 3, 0).float().clamp(-1, 1) + 1) * 127.5
        return levels.round().byte().cpu().numpy()

    @contextmanager
    def _forgetting(self) -> Iterator[None]:
        """The autoencoder keeps what it knows of the last frames, also when it was stopped."""
        try:
            yield
        finally:
            self.vae.clear_cache()

    @staticmethod
    def begun(latents: torch.Tensor, first: torch.Tensor) -> torch.Tensor:
        """Latents of clips [B, C, f, h, w] with these pictures [B, C, 1, h, w] as first frames."""
        return torch.cat([first.to(latents.dtype), latents[:, :, 1:]], dim=2)

    def predict(
        self, latents: torch.Tensor, times: torch.Tensor, conditions: Conditions
    ) -> torch.Tensor:
        """As `Denoising.predict`; conditions["first"]: the pictures' latents [B, C, 1, h, w]."""
        _, _, frames, height, width = latents.shape
        _, *patch = self.denoiser.config.patch_size
        tokens = (height // patch[0]) * (width // patch[1])
        told = times[:, None].repeat(1, frames * tokens)
        told[:, :tokens] = 0
        answer: torch.Tensor = self.denoiser(
            hidden_states=self.begun(latents, conditions["first"]).to(self.compute_dtype),
            timestep=told,
            encoder_hidden_states=conditions["encoder_hidden_states"].to(self.compute_dtype),
            return_dict=False,
        )[0]
        return answer

    def _time(self, timestep: torch.Tensor) -> torch.Tensor:
        return timestep

    def _spaced(self, latents: torch.Tensor, steps: int) -> dict[str, Any]:
        return {"num_inference_steps": steps}

    def _shift(self, latents: torch.Tensor, steps: int) -> float:
        return float(self.solver_config.flow_shift)

    def _shape(self) -> tuple[int, int, int, int]:
        config = self.vae.config
        side = self.resolution // config.scale_factor_spatial
        return config.z_dim, 1 + (self.frames - 1) // config.scale_factor_temporal, side, side
