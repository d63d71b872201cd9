"""The loop that all families share: which solvers and spacings a manifest may name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from errors import BaseUnavailable
from pipeline.bases.base import Base
from pipeline.bases.denoising import SPACINGS, Sampling
from pipeline.bases.loading import load_base
from pipeline.bases.manifest import NAME
from tests.support import tiny_base as tiny

DIFFUSION, FLOW = "DPMSolverMultistepScheduler", "FlowMatchEulerDiscreteScheduler"
MANIFEST = """
key = "tiny"
title = "Tiny"
licence = "none"
licence_url = "https://example.org"
acknowledge = false
[sampling]
steps = 3
guidance = 2.0
"""


@pytest.fixture(scope="module")
def flow(tmp_path_factory: pytest.TempPathFactory) -> Base:
    folder = tmp_path_factory.mktemp("flow") / "z-image"
    tiny.build_tiny_z_image(folder)
    return load_base(folder)


def painted(base: Base, solver: str = "", spacing: str = "") -> torch.Tensor:
    words = base.encode_prompts(["photo of a person"])
    sampling = Sampling(steps=4, guidance=1.0, solver=solver, spacing=spacing)
    return base.sample(words, words, [1], sampling, lambda: False)


def test_every_spacing_is_another_and_trailing_is_the_embedded_bases_own(base: Base) -> None:
    made = {spacing: painted(base, DIFFUSION, spacing) for spacing in SPACINGS}
    own = made.pop("")
    assert torch.equal(own, painted(base))
    assert torch.equal(own, made["trailing"])
    assert len({tuple(one.flatten().tolist()) for one in made.values()}) == len(made)
    assert all(one.isfinite().all() for one in made.values())


def test_another_solver_paints_otherwise(base: Base) -> None:
    other = painted(base, "UniPCMultistepScheduler")
    assert other.isfinite().all()
    assert not torch.equal(other, painted(base))


def test_levels_of_a_flow_may_lie_otherwise_too(flow: Base) -> None:
    own = painted(flow)
    assert torch.equal(painted(flow, FLOW), own)
    for spacing in ("karras", "exponential"):
        other = painted(flow, FLOW, spacing)
        assert other.isfinite().all()
        assert not torch.equal(other, own)


@pytest.mark.parametrize(
    ("build", "said", "chosen"),
    [
        (tiny.build_tiny_base, "", DIFFUSION),
        (tiny.build_tiny_base, 'solver = "UniPCMultistepScheduler"', "UniPCMultistepScheduler"),
        (tiny.build_tiny_base, 'spacing = "karras"', DIFFUSION),
        (tiny.build_tiny_base, 'solver = "EulerDiscreteScheduler"', "EulerDiscreteScheduler"),
        (tiny.build_tiny_base, f'solver = "{FLOW}"', None),
        (tiny.build_tiny_base, 'solver = "EulerAncestralDiscreteScheduler"', None),
        (tiny.build_tiny_base, 'spacing = "wide"', None),
        (tiny.build_tiny_z_image, 'spacing = "trailing"', None),
    ],
)
def test_a_manifest_names_solver_and_spacing_out_of_the_familys(
    build: Callable[[Path], None], said: str, chosen: str | None, tmp_path: Path
) -> None:
    build(tmp_path)
    (tmp_path / NAME).write_text(MANIFEST + said)
    if chosen is None:
        with pytest.raises(BaseUnavailable, match="has no solver"):
            load_base(tmp_path)
        return
    base = load_base(tmp_path)
    assert (base.sampling.steps, base.sampling.guidance) == (3, 2.0)
    solver = base.solver(base.sampling)
    assert type(solver).__name__ == chosen
    assert solver.config.use_karras_sigmas == ("karras" in said)
