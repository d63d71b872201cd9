"""Z-Image: a single-stream transformer of 6 billion weights that reads words with Qwen3.

Two things are the other way round in it: it is told 1 - σ instead of the noise level σ, and it
predicts picture - noise.  It takes pictures and words as lists, since prompts differ in length.
"""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from diffusers import ZImageTransformer2DModel
from diffusers.models.transformers.transformer_z_image import SEQ_MULTI_OF
from diffusers.pipelines.z_image.pipeline_z_image import calculate_shift
from torch import nn

from pipeline.bases.denoising import Conditions, Sampling
from pipeline.bases.flow import FlowMatching

TOKENS = 256
"""Prompts are cut to this; ours are shorter than two hundred."""


class ZImage(FlowMatching):
    sampling = Sampling(steps=28, guidance=5.0)
    denoiser_class: ClassVar[type[Any]] = ZImageTransformer2DModel
    precise: ClassVar[tuple[str, ...]] = (
        "t_embedder",
        "cap_embedder",
        "all_x_embedder",
        "all_final_layer",
    )
    targets: ClassVar[tuple[str, ...]] = (
        "attention.to_q",
        "attention.to_k",
        "attention.to_v",
        "attention.to_out.0",
        "feed_forward.w1",
        "feed_forward.w2",
        "feed_forward.w3",
    )

    def _encode(self, encoder: Any, prompt: str) -> Conditions:
        """Features padded to TOKENS, and a mask of which are real."""
        [features], _ = encoder.encode_prompt(
            [prompt], encoder.device, do_classifier_free_guidance=False, max_sequence_length=TOKENS
        )
        room = TOKENS - len(features)
        mask = torch.arange(TOKENS, device=encoder.device) < len(features)
        return {"features": nn.functional.pad(features, (0, 0, 0, room)), "mask": mask}

    def length(self, prompt: str) -> int:
        """In steps to which the transformer pads: it masks attention where a batch has several."""
        return -(-int(self.encode_prompts([prompt])["mask"].sum()) // SEQ_MULTI_OF)

    def scaled(self, latents: torch.Tensor) -> torch.Tensor:
        return (latents - self.vae.config.shift_factor) * self.vae.config.scaling_factor

    def unscaled(self, latents: torch.Tensor) -> torch.Tensor:
        return latents / self.vae.config.scaling_factor + self.vae.config.shift_factor

    def predict(
        self, latents: torch.Tensor, times: torch.Tensor, conditions: Conditions
    ) -> torch.Tensor:
        pictures = latents.to(self.compute_dtype).unsqueeze(2)  # one frame each
        rows = zip(conditions["features"], conditions["mask"], strict=True)
        words = [features[mask] for features, mask in rows]
        answers = self.denoiser(list(pictures.unbind()), 1 - times, words, return_dict=False)[0]
        return -torch.stack(answers).squeeze(2)

    def _shift(self, latents: torch.Tensor, steps: int) -> float:
        tokens = latents.shape[2] * latents.shape[3] // 4
        return float(calculate_shift(tokens))

    def _shape(self) -> tuple[int, int, int]:
        side = self.resolution // 2 ** (len(self.vae.config.block_out_channels) - 1)
        return self.vae.config.latent_channels, side, side
