"""What is counted of the architectures is what the manifests say."""

from __future__ import annotations

import pytest

from dev import count_base
from tests.support.planned import KNOWN


@pytest.mark.parametrize("key", sorted(count_base.ARCHITECTURES))
def test_the_manifests_count_what_the_architectures_have(key: str) -> None:
    architecture = count_base.ARCHITECTURES[key]
    counted = count_base.weights(architecture, *count_base.networks(architecture))
    assert counted == {name: getattr(KNOWN[key], name) for name in counted}
    assert architecture.resolutions == tuple(row.resolution for row in KNOWN[key].at[::-1])


@pytest.mark.slow
def test_activations_are_counted_as_the_manifest_says() -> None:
    architecture = count_base.ARCHITECTURES["sd15"]
    denoiser, _ = count_base.networks(architecture)
    targets = count_base._targets(architecture, denoiser)
    row = KNOWN["sd15"].at[-1]
    counted = count_base._training(architecture, targets, row.resolution, checkpointing=True)
    assert counted == row.recompute
