"""A second, distilled denoiser: it makes the portraits, in few steps.

A base folder may have one, and its scheduler, under `distilled/`.  Adapters are trained beside the
base's own denoiser, because one trained beside a distilled denoiser undoes the distillation and
loses the face; portraits are made with the distilled one, whose layers have the same names.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import nn

from pipeline.bases.manifest import DISTILLED
from pipeline.bases.offloading import Large
from pipeline.bases.weights import read_denoiser, reading


class MayBeDistilled(Large):
    distilled: nn.Module | None = None
    _distilled_solver: Any = None

    def _take_distilled(self, own: nn.Module, scheduler: Any) -> None:
        """Read the distilled denoiser, if there is one, and the scheduler beside it.

        own, scheduler: the base's own denoiser and scheduler.

        Raises:
            BaseUnavailable: files are missing, cut or foreign.
        """
        folder = self.folder / DISTILLED
        if not folder.is_dir():
            return
        own.to("cpu")  # one at a time: the memory of a small GPU is for the one that is read
        self.distilled = read_denoiser(
            self.denoiser_class, self.key, folder / self.adapter_prefix, self.storing
        )
        with reading(self.key):
            solver = type(scheduler).from_pretrained(folder / "scheduler", local_files_only=True)
            self._distilled_solver = solver.config

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
