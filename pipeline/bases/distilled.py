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

from errors import BaseUnavailable
from pipeline.bases import nf4
from pipeline.bases.manifest import DISTILLED
from pipeline.bases.offloading import Large
from pipeline.bases.weights import incomplete, require_whole


class MayBeDistilled(Large):
    distilled: nn.Module | None = None
    _distilled_solver: Any = None

    def _take_distilled(self, like: Any, scheduler: Any) -> None:
        """Read the distilled denoiser, if there is one, and the scheduler beside it.

        like, scheduler: the base's own.

        Raises:
            BaseUnavailable: files are missing, cut or foreign.
        """
        folder = self.folder / DISTILLED
        if not folder.is_dir():
            return
        config = None
        if self.quantised:
            config = nf4.while_reading(self.device, self.compute_dtype, self.precise)
        like.to("cpu")  # one at a time: the memory of a small GPU is for the one that is read
        options = {"local_files_only": True, "use_safetensors": True}
        try:
            network = type(like).from_pretrained(
                folder / self.adapter_prefix,
                torch_dtype=self.compute_dtype,
                quantization_config=config,
                **options,
            )
            require_whole(folder / self.adapter_prefix, network)
            solver = type(scheduler).from_pretrained(folder / "scheduler").config
        except (OSError, ValueError, KeyError, RuntimeError) as problem:
            raise BaseUnavailable(incomplete(self.key)) from problem
        self.distilled, self._distilled_solver = network, solver

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
