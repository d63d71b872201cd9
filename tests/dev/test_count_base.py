"""What is counted of the architectures is what the manifests say, by the rules of torch itself."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode

from dev import clips
from dev.architectures import ARCHITECTURES, TYPE, Architecture, networks, targets_of
from dev.count_base import measuring, training, weights, with_adapter
from dev.on_meta import Alive, AsOnAGpu
from pipeline.bases import manifest
from pipeline.planning.clips import clip_facts_of
from tests.support.h200 import measured
from tests.support.planned import KNOWN
from tools.fetch_base import BASES

SMALLEST = pytest.mark.parametrize(
    "key", sorted(ARCHITECTURES.keys() - {"z-image-turbo", "sdxl-lightning"})
)
"""What paints in few steps has the architecture of what it was distilled from."""


@cache
def built(architecture: Architecture) -> tuple[nn.Module, nn.Module]:
    """Its networks, made once for all that only look at them."""
    return networks(architecture)


@pytest.mark.parametrize("key", sorted(ARCHITECTURES))
def test_the_manifests_count_what_the_architectures_have(key: str) -> None:
    architecture = ARCHITECTURES[key]
    counted = weights(architecture, *built(architecture))
    assert counted == {name: getattr(KNOWN[key], name) for name in counted}
    assert architecture.resolutions == tuple(row.resolution for row in KNOWN[key].at[::-1])


def test_the_clips_manifest_counts_what_its_architecture_has() -> None:
    [key] = clips.MOVING
    facts = clip_facts_of(manifest.parse(BASES / f"{key}.toml"))
    assert facts is not None
    counted = clips.weights(*clips.networks(clips.MOVING[key]))
    assert counted == {name: getattr(facts, name) for name in counted}
    assert clips.MOVING[key].resolutions == tuple(row.resolution for row in facts.at[::-1])


@dataclass(frozen=True)
class Kept:
    """A picture learnt without checkpointing at a base's least resolution.

    names: of the functions that its networks called under autocast.
    """

    step: Alive
    names: set[str]


@contextmanager
def called() -> Iterator[set[str]]:
    """Names of the functions that networks call while they are counted under autocast."""
    names: set[str] = set()
    inner = AsOnAGpu.__torch_function__

    def noted(self: AsOnAGpu, function: Any, *rest: Any) -> Any:
        if self.autocast:
            names.add(getattr(function, "__name__", ""))
        return inner(self, function, *rest)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(AsOnAGpu, "__torch_function__", noted)
        yield names


@cache
def learner(architecture: Architecture) -> nn.Module:
    """A base's denoiser with an adapter, made once."""
    return with_adapter(architecture, targets_of(architecture, built(architecture)[0]))


@cache
def kept(key: str) -> Kept:
    """Counted once for the tests that ask different things of it."""
    architecture = ARCHITECTURES[key]
    least = architecture.resolutions[0]
    with called() as names:
        step = training(architecture, learner(architecture), least, checkpointing=False)
    return Kept(step, names)


@pytest.mark.slow
@SMALLEST
def test_what_learning_takes_is_counted_as_the_manifest_says(key: str) -> None:
    row = KNOWN[key].at[-1]
    step, architecture = kept(key).step, ARCHITECTURES[key]
    again = training(architecture, learner(architecture), row.resolution, checkpointing=True)
    assert (step.peak, again.peak) == (row.keep, row.recompute)
    assert (step.launches, again.launches - step.launches) == (
        KNOWN[key].launches,
        KNOWN[key].launches_again,
    )


@pytest.fixture(scope="module", autouse=True)
def made_here() -> Iterator[None]:
    """What is kept here is in the way of garbage collection elsewhere."""
    yield
    for kept_ in (built, learner, kept):
        kept_.cache_clear()


# Autocast


@pytest.mark.slow
@SMALLEST
def test_all_that_autocast_casts_in_a_base_is_cast_in_the_counting(key: str) -> None:
    architecture = ARCHITECTURES[key]
    _, autoencoder = built(architecture)
    least = architecture.resolutions[0]
    with called() as decoding, torch.no_grad(), measuring(autoencoder, autocast=True):
        autoencoder.decode(architecture.autoencoder_latents(least))  # type: ignore[operator]
    names = kept(key).names | decoding
    assert {"linear", "conv2d", "layer_norm"} <= names  # it does look
    operations = torch._C._dispatch_get_registrations_for_dispatch_key("AutocastCUDA")
    cast = {name.partition("::")[2].partition(".")[0] for name in operations}
    there = {name for name in names if name.strip("_").removeprefix("r") in cast or name in cast}
    assert there <= AsOnAGpu.LOW | AsOnAGpu.HIGH


def test_types_are_those_of_autocast_on_cuda() -> None:
    """Torch casts tensors that only say that they are on a GPU."""
    before = torch.is_autocast_enabled("cuda"), torch.get_autocast_dtype("cuda")
    answers: dict[str, set[torch.dtype]] = {}
    with FakeTensorMode():
        AsOnAGpu._tell(True, TYPE)
        try:
            for given in (TYPE, torch.float32):
                for name, answer in _asked(given):
                    answers.setdefault(name, set()).add(answer.dtype)
        finally:
            AsOnAGpu._tell(*before)
    low = {name: {TYPE} for name in AsOnAGpu.LOW}
    high = {name: {torch.float32} for name in AsOnAGpu.HIGH}
    assert answers == low | high


def _asked(given: torch.dtype) -> Iterator[tuple[str, torch.Tensor]]:
    picture = torch.empty(1, 4, 8, 8, dtype=given, device="cuda")
    kernel = torch.empty(4, 4, 3, 3, dtype=given, device="cuda")
    row = torch.empty(8, dtype=given, device="cuda")
    yield "linear", F.linear(picture, torch.empty(2, 8, device="cuda"))
    yield "conv2d", F.conv2d(picture, kernel)
    film, cube = picture.unsqueeze(2), torch.empty(4, 4, 1, 3, 3, dtype=given, device="cuda")
    yield "conv3d", F.conv3d(film, cube)
    yield (
        "scaled_dot_product_attention",
        F.scaled_dot_product_attention(picture, picture, picture),
    )
    yield "layer_norm", F.layer_norm(picture, (8,), row)
    yield "group_norm", F.group_norm(picture, 2)
    yield "rms_norm", F.rms_norm(picture, (8,), row)
    yield "normalize", F.normalize(picture, dim=1)
    yield "exp", picture.exp()
    yield "rsqrt", picture.rsqrt()
    yield "pow", picture.pow(2)
    yield "__pow__", picture**2
    yield "__rpow__", 2**picture


@pytest.mark.slow
@pytest.mark.parametrize(
    ("key", "pixels"),
    [("flux2-klein-4b", 512), ("flux2-klein-4b", 1024), ("sdxl", 512), ("z-image-turbo", 512)],
)
def test_a_picture_takes_what_an_h200_measured(
    key: str, pixels: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three pictures more at once, of what torch 2.11 did: it left RMS norms as they were."""
    monkeypatch.setattr(AsOnAGpu, "HIGH", AsOnAGpu.HIGH - {"rms_norm"})
    gib = {
        row.at_once: row.gib
        for row in measured()
        if (row.key, row.pixels, row.checkpointing) == (key, pixels, False)
    }
    each, architecture = (gib[4] - gib[1]) / 3, ARCHITECTURES[key]
    step = training(architecture, learner(architecture), pixels, checkpointing=False)
    counted = step.peak / 2**30
    assert counted == pytest.approx(each, rel=0.07)
