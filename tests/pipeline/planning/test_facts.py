"""Counts out of a base's manifest."""

from __future__ import annotations

from pathlib import Path

import pytest

from errors import BaseUnavailable
from pipeline.bases import manifest
from pipeline.planning.facts import facts_of_folder
from tools.fetch_base import BASES


@pytest.mark.parametrize("broken", ["resolution = 512", "flops = 1", "denoiser = 'many'"])
def test_counts_that_cannot_be_read_are_a_sentence(broken: str, tmp_path: Path) -> None:
    text = (BASES / "sdxl.toml").read_text()
    key = broken.partition(" ")[0]
    lines = [line for line in text.splitlines() if not line.startswith(f"{key} =")]
    if "many" in broken:
        lines.insert(lines.index("[model]") + 1, broken)
    (tmp_path / manifest.NAME).write_text("\n".join(lines))
    with pytest.raises(BaseUnavailable, match="damaged or was altered"):
        facts_of_folder(tmp_path)
