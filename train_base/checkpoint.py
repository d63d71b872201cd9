"""What every training stage shares: checkpoints that survive kill -9, averages, logs, plots."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
"""Where every stage computes."""


def save_atomic(state: dict[str, Any], path: Path) -> None:
    """Write a checkpoint so that a reader sees the old file or the new one, never half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    with part.open("wb") as file:
        torch.save(state, file)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)


def load(path: Path) -> dict[str, Any] | None:
    """The checkpoint, or None where there is none yet.  Tensors and plain values only."""
    return torch.load(path, weights_only=True, map_location="cpu") if path.exists() else None


def step_rng(seed: int, step: int) -> np.random.Generator:
    """The randomness of one step.  A run that resumes needs no saved generator state."""
    return np.random.default_rng([seed, step])


def torch_rng(rng: np.random.Generator, device: torch.device | None = None) -> torch.Generator:
    """A torch generator seeded from a numpy one."""
    return torch.Generator(device or "cpu").manual_seed(int(rng.integers(2**62)))


class Average:
    """Exponential moving average of parameters, warmed up so that the start is forgotten."""

    def __init__(self, parameters: Iterable[Tensor], decay: float) -> None:
        self.decay = decay
        self.values = [p.detach().clone() for p in parameters]

    @torch.no_grad()
    def update(self, parameters: Iterable[Tensor], step: int) -> None:
        decay = min(self.decay, (1 + step) / (10 + step))
        torch._foreach_mul_(self.values, decay)
        torch._foreach_add_(self.values, [p.detach() for p in parameters], alpha=1 - decay)

    def restore(self, values: Iterable[Tensor]) -> None:
        """Go on from the values of a checkpoint, wherever those are."""
        self.values = [kept.to(own.device) for kept, own in zip(values, self.values, strict=True)]

    @torch.no_grad()
    def copy_to(self, parameters: Iterable[Tensor]) -> None:
        for parameter, value in zip(parameters, self.values, strict=True):
            parameter.copy_(value)


class Metrics:
    """Running means, written as one JSON line at a time: step, samples, seconds, values."""

    def __init__(self, path: Path, smoothing: float = 0.98) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        self._smoothing = smoothing
        self._means: dict[str, float | Tensor] = {}
        self._last = (0, time.monotonic())

    def add(self, **values: float | Tensor) -> None:
        for key, value in values.items():
            old = self._means.get(key, value)
            self._means[key] = self._smoothing * old + (1 - self._smoothing) * value

    def write(self, step: int, samples: int, **extra: float) -> None:
        """Append a line and print it.  Speed is measured since the line before."""
        before, then = self._last
        now = time.monotonic()
        speed = (samples - before) / (now - then) if before else float("nan")
        self._last = (samples, now)
        line: dict[str, float | str] = {"step": step, "samples": samples}
        line["at"] = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        line.update({k: round(float(v), 5) for k, v in {**self._means, **extra}.items()})
        if np.isfinite(speed):
            line["per_second"] = round(speed, 2)
        with self._path.open("a") as file:
            file.write(json.dumps(line) + "\n")
        print(json.dumps(line), flush=True)


def plot(metrics: Path, picture: Path, keys: tuple[str, ...]) -> None:
    """Draw the named values of a metrics file over samples seen."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    lines = [json.loads(line) for line in metrics.read_text().splitlines()]
    figure, axes = pyplot.subplots(1, len(keys), figsize=(4 * len(keys), 3), squeeze=False)
    for axis, key in zip(axes[0], keys, strict=True):
        points = [(line["samples"], line[key]) for line in lines if key in line]
        if points:
            axis.plot(*zip(*points, strict=True))
        axis.set_title(key)
        axis.set_xlabel("samples")
    figure.tight_layout()
    figure.savefig(picture, dpi=80)
    pyplot.close(figure)
