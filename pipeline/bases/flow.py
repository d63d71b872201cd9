"""Flow matching: what transformers that predict a velocity have in common.

At noise level σ in (0, 1] a picture x is (1 - σ) x + σ noise, and the network predicts the
velocity noise - x (Liu et al. 2022, "Rectified flow"); σ is the time.  A family adds how its
transformer is asked for that velocity.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar

import numpy as np
import torch
from diffusers import FlowMatchEulerDiscreteScheduler
from torch import nn

from pipeline.bases.distilled import MayBeDistilled


class FlowMatching(MayBeDistilled):
    adapter_prefix: ClassVar[str] = "transformer"
    solvers: ClassVar[tuple[type[Any], ...]] = (FlowMatchEulerDiscreteScheduler,)
    reads_sentences: ClassVar[bool] = True

    targets: ClassVar[tuple[str, ...]]
    """Ends of the names of the layers that an adapter sits beside."""

    def _take(self, pipeline: Any) -> nn.Module:
        self.vae = pipeline.vae.to(self.device, memory_format=torch.channels_last)
        self.solver_config = pipeline.scheduler.config
        self._take_distilled(pipeline.transformer, pipeline.scheduler)
        return pipeline.transformer

    @property
    def _own_resolution(self) -> int:
        return int(self.vae.config.sample_size)

    # Training

    def _times(self, count: int, generator: torch.Generator) -> torch.Tensor:
        """Noise levels in (0, 1), logit-normal (Esser et al. 2024)."""
        return torch.randn(count, generator=generator).sigmoid()

    def _lesson(
        self, latents: torch.Tensor, noise: torch.Tensor, times: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        level = times.view(-1, 1, 1, 1)
        return (1 - level) * latents + level * noise, noise - latents

    # Painting

    def _time(self, timestep: torch.Tensor) -> torch.Tensor:
        return timestep / self.solver_config.num_train_timesteps

    def _spaced(self, latents: torch.Tensor, steps: int) -> dict[str, Any]:
        levels = np.linspace(1.0, 1 / steps, steps)
        return {"sigmas": levels, "mu": self._shift(latents, steps)}

    @abstractmethod
    def _shift(self, latents: torch.Tensor, steps: int) -> float:
        """mu: how far the solver's levels are moved towards noise, if its scheduler asks."""

    # Adapters

    def adapter_targets(self) -> list[str]:
        return [
            name
            for name, module in self.denoiser.named_modules()
            if isinstance(module, nn.Linear) and name.endswith(self.targets)
        ]
