"""FLUX.2 klein: a transformer of two streams, then one, that reads words with Qwen3.

Its latents are 2 x 2 patches of the autoencoder's, normalised by the statistics that the
autoencoder stores as a batch norm; the transformer takes them as a row of tokens with positions.
Most of its layers are single-stream blocks, where one projection makes queries, keys, values and
the feed-forward input at once: an adapter must sit beside these too.  Pictures that it looks at are
further tokens, each picture at a time of its own among the positions.
"""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from diffusers import Flux2KleinPipeline, Flux2Transformer2DModel
from diffusers.pipelines.flux2.pipeline_flux2_klein import compute_empirical_mu

from pipeline.bases.denoising import Conditions, Sampling
from pipeline.bases.flow import FlowMatching
from pipeline.bases.pictures import holding


class Flux2Klein(FlowMatching):
    sampling = Sampling(steps=28, guidance=4.0)
    denoiser_class: ClassVar[type[Any]] = Flux2Transformer2DModel
    precise: ClassVar[tuple[str, ...]] = (
        "time_guidance_embed",
        "x_embedder",
        "context_embedder",
        "norm_out",
        "proj_out",
    )
    targets: ClassVar[tuple[str, ...]] = (
        "attn.to_q",
        "attn.to_k",
        "attn.to_v",
        "attn.to_out.0",
        "attn.add_q_proj",
        "attn.add_k_proj",
        "attn.add_v_proj",
        "attn.to_add_out",
        "attn.to_qkv_mlp_proj",
        "attn.to_out",
    )

    def _encode(self, encoder: Any, prompt: str) -> Conditions:
        # Padded to 512 tokens, and the transformer sees the padding: so it was trained.
        words, _ = encoder.encode_prompt(prompt, device=encoder.device)
        return {"encoder_hidden_states": words[0]}

    def scaled(self, latents: torch.Tensor) -> torch.Tensor:
        mean, spread = self._statistics()
        return (Flux2KleinPipeline._patchify_latents(latents) - mean) / spread

    def unscaled(self, latents: torch.Tensor) -> torch.Tensor:
        mean, spread = self._statistics()
        return Flux2KleinPipeline._unpatchify_latents(latents * spread + mean)

    def _statistics(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean and standard deviation of every channel of a patch, [1, 4 C, 1, 1]."""
        norm = self.vae.bn
        variance = norm.running_var + self.vae.config.batch_norm_eps
        return norm.running_mean.view(1, -1, 1, 1), variance.sqrt().view(1, -1, 1, 1)

    def predict(
        self, latents: torch.Tensor, times: torch.Tensor, conditions: Conditions
    ) -> torch.Tensor:
        words = conditions["encoder_hidden_states"]
        tokens = Flux2KleinPipeline._pack_latents(latents)
        places = Flux2KleinPipeline._prepare_latent_ids(latents)
        painted = tokens.shape[1]
        if "references" in conditions:
            seen = conditions["references"].unbind(1)
            theirs = Flux2KleinPipeline._prepare_image_ids([picture[:1] for picture in seen])
            places = torch.cat([places, theirs.expand(len(latents), -1, -1)], dim=1)
            tokens = torch.cat([tokens, *map(Flux2KleinPipeline._pack_latents, seen)], dim=1)
        answer = self.denoiser(
            hidden_states=tokens.to(self.compute_dtype),
            timestep=times,
            guidance=None,
            encoder_hidden_states=words,
            img_ids=places.to(self.device),
            txt_ids=Flux2KleinPipeline._prepare_text_ids(words).to(self.device),
            return_dict=False,
        )[0]
        velocity = answer[:, :painted].transpose(1, 2).reshape(latents.shape)
        return holding(velocity, latents, times, conditions)

    def _shift(self, latents: torch.Tensor, steps: int) -> float:
        return compute_empirical_mu(latents.shape[2] * latents.shape[3], steps)

    def _shape(self) -> tuple[int, int, int]:
        side = self.resolution // 2 ** len(self.vae.config.block_out_channels)
        return 4 * self.vae.config.latent_channels, side, side
