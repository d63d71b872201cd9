"""What all families learn and paint by: one loss and one loop around `predict`.

A family says how pictures become noisy and what its network then answers; noise, time, guidance,
a start from a picture and the wish to stop are the same for all.  How portraits are denoised
(solver, spacing, steps, guidance) is data: the family's own, or the base's manifest.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from inspect import signature
from typing import Any, ClassVar

import torch
from diffusers import FlowMatchEulerDiscreteScheduler

from errors import BaseUnavailable, Stopped
from pipeline.bases import device

Conditions = dict[str, torch.Tensor]
"""What the denoiser is told besides latents and time; every tensor is [B, ...]."""

SPACINGS: dict[str, dict[str, Any]] = {
    "": {},
    **{name: {"timestep_spacing": name} for name in ("leading", "linspace", "trailing")},
    **{name: {f"use_{name}_sigmas": True} for name in ("karras", "exponential")},
}
"""How the steps of a solver may lie on the schedule -> diffusers' names for that."""


@dataclass(frozen=True)
class Sampling:
    """How portraits are denoised.

    steps: of the solver. guidance: weight of classifier-free guidance, 1 for none.
    noise: share of the steps that are left to a portrait that starts from a picture, (0, 1]; the
    picture is as noisy as it would then be. adapter: how much a person's adapter counts.
    solver: one of the family's `solvers`, by its class; empty for the first.
    spacing: a key of `SPACINGS`; empty for the one that the base's folder says.
    """

    steps: int
    guidance: float
    noise: float = 1.0
    adapter: float = 1.0
    solver: str = ""
    spacing: str = ""

    @property
    def skipped(self) -> int:
        """Steps that a start from a picture saves; one at least is left."""
        return min(self.steps - 1, round((1 - self.noise) * self.steps))


class Denoising(ABC):
    """A network that takes noise out of latents."""

    key: str

    device: torch.device

    compute_dtype: torch.dtype = device.compute_dtype()

    solver_config: Any
    """The scheduler's, as diffusers read it from the folder."""

    solvers: ClassVar[tuple[type[Any], ...]]
    """Schedulers of diffusers that suit the family, the usual one first."""

    together: ClassVar[bool] = False
    """Whether guidance asks for both its predictions at once: faster, and twice the memory."""

    @abstractmethod
    def predict(
        self, latents: torch.Tensor, times: torch.Tensor, conditions: Conditions
    ) -> torch.Tensor:
        """What the network answers to noisy latents [B, C, h, w] at times [B], in their shape.

        times: as from `_times`. conditions: on the device.
        """

    @abstractmethod
    def _times(self, count: int, generator: torch.Generator) -> torch.Tensor:
        """How noisy each picture of a batch shall be, [B] on the CPU, in the family's measure."""

    @abstractmethod
    def _lesson(
        self, latents: torch.Tensor, noise: torch.Tensor, times: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Latents with the noise of these times, and what the network should answer to them."""

    def _share(self, times: torch.Tensor) -> torch.Tensor | None:
        """How much a picture counts in the loss of its batch, [B]; None: all alike."""
        return None

    def _time(self, timestep: torch.Tensor) -> torch.Tensor:
        """A solver's timestep in the measure of `_times`."""
        return timestep

    def _spaced(self, latents: torch.Tensor, steps: int) -> dict[str, Any]:
        """What a solver's `set_timesteps` is given for latents of this size."""
        return {"num_inference_steps": steps}

    @abstractmethod
    def _shape(self) -> tuple[int, ...]:
        """C, h, w of the latents; of a clip's C, f, h, w."""

    def initial_noise(self, seeds: Sequence[int]) -> torch.Tensor:
        """Noise [B, C, h, w]; each row depends on its own seed only, whatever shares the batch."""
        shape = self._shape()
        rows = [torch.randn(shape, generator=torch.Generator().manual_seed(s)) for s in seeds]
        return torch.stack(rows).to(self.device)

    def _moved(self, conditions: Conditions) -> Conditions:
        return {key: value.to(self.device) for key, value in conditions.items()}

    # Learning

    def loss(
        self,
        latents: torch.Tensor,
        conditions: Conditions,
        generator: torch.Generator,
        weight: torch.Tensor | float = 1.0,
    ) -> torch.Tensor:
        """Training loss of a batch at random times and noise from `generator`: a scalar.

        weight: of each place of the latents, [B or 1, 1, h, w] with mean 1.
        """
        # Drawn on the CPU, so that a seed means the same on every device.
        noise = torch.randn(latents.shape, generator=generator).to(self.device)
        times = self._times(len(latents), generator).to(self.device)
        return self.loss_at(latents, conditions, noise, times, weight)

    def loss_at(
        self,
        latents: torch.Tensor,
        conditions: Conditions,
        noise: torch.Tensor,
        times: torch.Tensor,
        weight: torch.Tensor | float = 1.0,
    ) -> torch.Tensor:
        """Mean squared error of the prediction for given noise [B, C, h, w] and times [B]."""
        noisy, target = self._lesson(latents, noise, times)
        with device.autocast(self.device, self.compute_dtype):
            prediction = self.predict(noisy, times, self._moved(conditions))
        error = (prediction.float() - target).square() * weight
        share = self._share(times)
        if share is None:
            return error.mean()
        return (error.mean(dim=(1, 2, 3)) * share).sum() / share.sum()

    # Painting

    def solver(self, sampling: Sampling) -> Any:
        """A new solver.

        Raises:
            BaseUnavailable: the family has none of that name, or it has no such spacing.
        """
        kinds = {"": self.solvers[0]} | {kind.__name__: kind for kind in self.solvers}
        kind, spacing = kinds.get(sampling.solver), SPACINGS.get(sampling.spacing)
        if (
            kind is None
            or spacing is None
            or not spacing.keys() <= signature(kind).parameters.keys()
        ):
            raise BaseUnavailable(
                f"The base model {self.key!r} has no solver {sampling.solver!r} with the spacing "
                f"{sampling.spacing!r}."
            )
        return kind.from_config(self.solver_config, **spacing)

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
        """Denoise one picture per seed -> scaled latents, float32 [B, C, h, w].

        start: scaled latents of pictures that painting starts from, made noisy by `sampling.noise`;
        None starts from noise alone.

        Raises:
            Stopped: `stop()` said so; it is asked before every step.
        """
        latents = self.initial_noise(seeds)
        solver = self.solver(sampling)
        solver.set_timesteps(**self._spaced(latents, sampling.steps), device=self.device)
        skipped = 0 if start is None else sampling.skipped
        timesteps = solver.timesteps[skipped:]
        solver.set_begin_index(skipped)
        if start is None:
            latents = latents * getattr(solver, "init_noise_sigma", 1.0)
        else:
            latents = _mixed(solver, start, latents, timesteps[:1].expand(len(latents)))
        asked = [self._moved(positive)]
        if sampling.guidance != 1:
            asked.insert(0, self._moved(negative))
            if self.together:
                asked = [{key: torch.cat([c[key] for c in asked]) for key in positive}]
        for timestep in timesteps:
            if stop():
                raise Stopped
            given = _given(solver, latents, timestep)
            answers = [self._answer(given, timestep, conditions) for conditions in asked]
            *unwanted, prediction = torch.cat(answers).float().split(len(latents))
            for without in unwanted:
                prediction = without + sampling.guidance * (prediction - without)
            latents = solver.step(prediction, timestep, latents).prev_sample
        return latents

    def _answer(
        self, latents: torch.Tensor, timestep: torch.Tensor, conditions: Conditions
    ) -> torch.Tensor:
        """The prediction for every row of the conditions; latents are repeated for that."""
        rows = len(next(iter(conditions.values())))
        given = latents.repeat(rows // len(latents), *[1] * (latents.dim() - 1))
        return self.predict(given, self._time(timestep).expand(rows), conditions)


def _given(solver: Any, latents: torch.Tensor, timestep: torch.Tensor) -> torch.Tensor:
    """What the network is given of the latents: some solvers work with larger ones."""
    if isinstance(solver, FlowMatchEulerDiscreteScheduler):
        return latents
    scaled: torch.Tensor = solver.scale_model_input(latents, timestep)
    return scaled


def _mixed(
    solver: Any, pictures: torch.Tensor, noise: torch.Tensor, timesteps: torch.Tensor
) -> torch.Tensor:
    """Pictures as noisy as the solver has them at these of its timesteps."""
    if isinstance(solver, FlowMatchEulerDiscreteScheduler):
        return solver.scale_noise(pictures, timesteps, noise)
    return solver.add_noise(pictures, noise, timesteps)
