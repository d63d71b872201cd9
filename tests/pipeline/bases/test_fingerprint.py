"""The fingerprint of a base's weights."""

from __future__ import annotations

from pathlib import Path

from bitsandbytes.nn import Linear4bit

from pipeline.bases.base import Base
from pipeline.bases.loading import load_base


def test_the_fingerprint_sees_one_changed_weight(base: Base) -> None:
    before = base.fingerprint()
    assert base.fingerprint() == before
    linear = next(m for m in base.denoiser.modules() if isinstance(m, Linear4bit))
    linear.weight.data[0] ^= 1
    assert base.fingerprint() != before
    linear.weight.data[0] ^= 1
    assert base.fingerprint() == before


def test_two_loads_have_one_fingerprint(base: Base, tiny_base: Path) -> None:
    assert load_base(tiny_base).fingerprint() == base.fingerprint()
