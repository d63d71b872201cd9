"""What is counted of the architectures is what the manifests say."""

from __future__ import annotations

import pytest

from dev.architectures import ARCHITECTURES, networks, targets_of
from dev.count_base import training_bytes, weights
from tests.support.planned import KNOWN


@pytest.mark.parametrize("key", sorted(ARCHITECTURES))
def test_the_manifests_count_what_the_architectures_have(key: str) -> None:
    architecture = ARCHITECTURES[key]
    counted = weights(architecture, *networks(architecture))
    assert counted == {name: getattr(KNOWN[key], name) for name in counted}
    assert architecture.resolutions == tuple(row.resolution for row in KNOWN[key].at[::-1])


@pytest.mark.slow
def test_activations_are_counted_as_the_manifest_says() -> None:
    architecture = ARCHITECTURES["sd15"]
    denoiser, _ = networks(architecture)
    beside = targets_of(architecture, denoiser)
    row = KNOWN["sd15"].at[-1]
    counted = training_bytes(architecture, beside, row.resolution, checkpointing=True)
    assert counted == row.recompute
