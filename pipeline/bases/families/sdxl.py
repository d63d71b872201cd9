"""Stable Diffusion XL: as Stable Diffusion, with two text encoders and three more conditions.

Besides the words, the UNet is told their pooled meaning, and for which size and crop a picture was
made ("time ids"): the true ones in training, and a whole square picture of the model's own size in
painting.  The autoencoder of the first release overflows in float16; ours works in bfloat16, and
the manifest takes the repaired one all the same.  SDXL-Lightning is a distilled UNet.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from diffusers.models.attention_processor import AttnProcessor
from torch import nn

from pipeline.bases.denoising import Conditions, Sampling
from pipeline.bases.distilled import MayBeDistilled
from pipeline.bases.families.stable_diffusion import StableDiffusion
from pipeline.bases.offloading import TEXT_PARTS


class StableDiffusionXL(MayBeDistilled, StableDiffusion):
    sampling = Sampling(steps=28, guidance=5.0)

    @classmethod
    def _text_parts(cls) -> tuple[str, ...]:
        return TEXT_PARTS

    def _take_words(self, pipeline: Any) -> None:
        """None are kept: see `Large`."""

    def _take(self, pipeline: Any) -> nn.Module:
        unet = super()._take(pipeline)
        self._take_distilled(unet, pipeline.scheduler)
        if self.distilled is not None and self.device.type == "cpu":
            self.distilled.set_attn_processor(AttnProcessor())  # type: ignore[operator]
        return unet

    def _encode(self, encoder: Any, prompt: str) -> Conditions:
        words, _, pooled, _ = encoder.encode_prompt(
            prompt, device=encoder.device, do_classifier_free_guidance=False
        )
        if not prompt and encoder.config.force_zeros_for_empty_prompt:
            words, pooled = torch.zeros_like(words), torch.zeros_like(pooled)
        return {"encoder_hidden_states": words[0], "text_embeds": pooled[0]}

    def told_sizes(self, sizes: Sequence[tuple[int, ...]]) -> Conditions:
        return {"time_ids": torch.tensor(sizes, dtype=torch.float32)}

    def predict(
        self, latents: torch.Tensor, times: torch.Tensor, conditions: Conditions
    ) -> torch.Tensor:
        packed = latents.to(self.compute_dtype, memory_format=torch.channels_last)
        side = self.resolution
        whole = torch.tensor([side, side, 0, 0, side, side], device=self.device)
        more = {
            "text_embeds": conditions["text_embeds"],
            "time_ids": conditions.get("time_ids", whole.float().expand(len(packed), -1)),
        }
        words = conditions["encoder_hidden_states"]
        return self.denoiser(packed, times, words, added_cond_kwargs=more).sample

    def adapter_targets(self) -> list[str]:
        """The linear layers of the transformers in the UNet: enough on a base of this size."""
        return [
            name
            for name, module in self.unet.named_modules()
            if isinstance(module, nn.Linear) and ".attentions." in name
        ]
