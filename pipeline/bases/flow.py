"""Flow matching: what transformers that predict a velocity have in common.

At noise level σ in (0, 1] a picture x is (1 - σ) x + σ noise, and the network predicts the
velocity noise - x (Liu et al. 2022, "Rectified flow"); σ is the time.  A family adds how its
transformer is asked for that velocity.

A base folder may have a distilled transformer and its scheduler under `distilled/`.  Adapters are
trained beside the base's own transformer, because one trained beside a distilled transformer
undoes the distillation and loses the face; portraits are made with the distilled one.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

import numpy as np
import torch
from diffusers import FlowMatchEulerDiscreteScheduler
from torch import nn

from errors import BaseUnavailable
from pipeline.bases import nf4
from pipeline.bases.manifest import DISTILLED
from pipeline.bases.offloading import Large
from pipeline.bases.weights import incomplete, require_whole


class FlowMatching(Large):
    adapter_prefix: ClassVar[str] = "transformer"
    solvers: ClassVar[tuple[type[Any], ...]] = (FlowMatchEulerDiscreteScheduler,)
    reads_sentences: ClassVar[bool] = True

    targets: ClassVar[tuple[str, ...]]
    """Ends of the names of the layers that an adapter sits beside."""

    def _take(self, pipeline: Any) -> nn.Module:
        self.vae = pipeline.vae.to(self.device, memory_format=torch.channels_last)
        self.solver_config = pipeline.scheduler.config
        self.distilled, self._distilled_solver = self._read_distilled(pipeline.transformer)
        return pipeline.transformer

    def _read_distilled(self, like: Any) -> tuple[nn.Module | None, Any]:
        folder = self.folder / DISTILLED
        if not folder.is_dir():
            return None, None
        config = None
        if self.quantised:
            config = nf4.while_reading(self.device, self.compute_dtype, self.precise)
        like.to("cpu")  # one at a time: the memory of a small GPU is for the one that is read
        options = {"local_files_only": True, "use_safetensors": True}
        try:
            network = type(like).from_pretrained(
                folder / "transformer",
                torch_dtype=self.compute_dtype,
                quantization_config=config,
                **options,
            )
            require_whole(folder / "transformer", network)
            scheduler = FlowMatchEulerDiscreteScheduler.from_pretrained(folder / "scheduler")
        except (OSError, ValueError, KeyError, RuntimeError) as problem:
            raise BaseUnavailable(incomplete(self.key)) from problem
        return network, scheduler.config

    def _denoisers(self) -> list[nn.Module]:
        return [self.denoiser, *([self.distilled] if self.distilled is not None else [])]

    def networks(self) -> list[nn.Module]:
        return [*self._denoisers(), self.vae]

    @contextmanager
    def painting(self) -> Iterator[None]:
        if self.distilled is None:
            yield
            return
        own = self.denoiser, self.solver_config
        self.denoiser, self.solver_config = self.distilled, self._distilled_solver
        try:
            self.bring(self.denoiser, self.vae)
            yield
        finally:
            self.denoiser, self.solver_config = own
            self.bring(self.denoiser, self.vae)

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
