"""How the parts are connected."""

from __future__ import annotations

from dataclasses import replace

from pipeline import assembly
from tests.support.planned import KNOWN


def test_as_much_is_kept_of_a_photo_as_the_base_learns_from() -> None:
    assert assembly.training_px(None) == assembly.TRAINING_PX == 768
    assert assembly.training_px(KNOWN["sd15"]) == 768
    larger = [replace(row, resolution=1024) for row in KNOWN["sd15"].at]
    one_size = replace(KNOWN["sd15"], at=tuple(larger))
    assert assembly.training_px(one_size) == 1331  # 1024 and the crop's margin
    assert assembly.training_px(KNOWN["sdxl"]) is None
