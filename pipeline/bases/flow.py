"""Flow matching: what transformers that predict a velocity have in common.

At noise level σ in (0, 1] a picture x is (1 - σ) x + σ noise, and the network predicts the
velocity noise - x (Liu et al. 2022, "Rectified flow").  A family adds how its transformer is asked
for that velocity.

A base folder may have a distilled transformer and its scheduler under `distilled/`.  Adapters are
trained beside the base's own transformer, because one trained beside a distilled transformer
undoes the distillation and loses the face; portraits are made with the distilled one.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar

import numpy as np
import torch
from diffusers import FlowMatchEulerDiscreteScheduler
from torch import nn

from errors import BaseUnavailable, Stopped
from pipeline.bases import nf4
from pipeline.bases.base import Conditions, Sampling
from pipeline.bases.manifest import DISTILLED
from pipeline.bases.offloading import Large
from pipeline.bases.weights import incomplete, require_whole


class FlowMatching(Large):
    adapter_prefix: ClassVar[str] = "transformer"
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

    def loss_at(
        self,
        latents: torch.Tensor,
        conditions: Conditions,
        noise: torch.Tensor,
        times: torch.Tensor,
        weight: torch.Tensor | float = 1.0,
    ) -> torch.Tensor:
        """Mean squared error of the velocity; times are noise levels."""
        level = times.view(-1, 1, 1, 1)
        noisy = (1 - level) * latents + level * noise
        with torch.autocast(self.device.type, self.compute_dtype):
            velocity = self._velocity(noisy, times, self._moved(conditions))
        return ((velocity.float() - (noise - latents)).square() * weight).mean()

    @abstractmethod
    def _velocity(
        self, latents: torch.Tensor, levels: torch.Tensor, conditions: Conditions
    ) -> torch.Tensor:
        """The predicted noise - picture of [B, C, h, w] at noise levels [B]."""

    # Sampling

    @torch.no_grad()
    def sample(
        self,
        positive: Conditions,
        negative: Conditions,
        seeds: Sequence[int],
        sampling: Sampling,
        stop: Callable[[], bool],
        start: torch.Tensor | None = None,
    ) -> torch.Tensor:
        latents = self.initial_noise(seeds)
        solver = FlowMatchEulerDiscreteScheduler.from_config(self.solver_config)
        levels = np.linspace(1.0, 1 / sampling.steps, sampling.steps)
        shift = self._shift(latents, sampling.steps)
        solver.set_timesteps(sigmas=levels, mu=shift, device=self.device)
        skipped = 0 if start is None else sampling.skipped
        timesteps = solver.timesteps[skipped:]
        solver.set_begin_index(skipped)
        if start is not None:
            latents = solver.scale_noise(start, timesteps[:1].expand(len(latents)), latents)
        wanted, unwanted = self._moved(positive), self._moved(negative)
        for timestep in timesteps:
            if stop():
                raise Stopped
            level = (timestep / solver.config.num_train_timesteps).expand(len(latents))
            velocity = self._velocity(latents, level, wanted).float()
            if sampling.guidance != 1:
                without = self._velocity(latents, level, unwanted).float()
                velocity = without + sampling.guidance * (velocity - without)
            latents = solver.step(velocity, timestep, latents).prev_sample
        return latents

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
