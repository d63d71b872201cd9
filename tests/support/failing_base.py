"""A server whose base fails as a GPU does: `python -m tests.support.failing_base FOLDER`.

The base is the tiny one. While FOLDER has a file "fail-at", the step of that number, and all that
follow, fail; "steps" gets a line for each step that is begun.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import torch

from app import main
from pipeline.bases import registry
from pipeline.bases.families.stable_diffusion import StableDiffusion
from tests.support.tiny_base import build_tiny_base


class FailingBase(StableDiffusion):
    """Stable Diffusion on a GPU that stops working."""

    def loss(self, *arguments: Any) -> torch.Tensor:
        steps, limit = self.folder / "steps", self.folder / "fail-at"
        with steps.open("a") as file:
            file.write("step\n")
        if limit.is_file() and len(steps.read_text().splitlines()) >= int(limit.read_text()):
            raise torch.AcceleratorError("CUDA error: an illegal memory access was encountered")
        return super().loss(*arguments)


def build_failing_base(folder: Path, *, steps: int, fail_at: int) -> None:
    """Write the tiny base, trained in so many steps, of which one fails."""
    build_tiny_base(folder, least=True)
    (folder / "recipe.toml").write_text(
        f"steps = {steps}\nvariants = 2\nbatch = 2\nrank = 4\nalpha = 4\n"
    )
    (folder / "fail-at").write_text(str(fail_at))


if __name__ == "__main__":
    registry.FAMILIES["StableDiffusionPipeline"] = "tests.support.failing_base:FailingBase"
    sys.exit(main())
