"""Measuring at full size: a dry run on the processor, with a hundredth of the size."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import diffusers
import pytest
import torch

from pipeline.bases.base import Base
from tests.support import tiny_base as tiny
from tools import full_size, measure_full_size

BUILDERS: dict[str, Callable[[Path], None]] = {
    "sdxl": tiny.build_tiny_sdxl,
    "flux2-klein-4b": tiny.build_tiny_flux2_klein,
    "z-image-turbo": tiny.build_tiny_z_image,
}
SIDES = (64, 32)


@pytest.fixture
def small(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A key whose full size is now that of its tiny base."""
    key = str(request.param)
    BUILDERS[key](tmp_path / "tiny")

    def made(part: str) -> Callable[[], Any]:
        config = json.loads((tmp_path / "tiny" / part / "config.json").read_text())
        kind = getattr(diffusers, config["_class_name"])
        return lambda: kind.from_config(config)

    denoiser = made("unet" if key == "sdxl" else "transformer")
    changed = replace(full_size.ARCHITECTURES[key], denoiser=denoiser, autoencoder=made("vae"))
    monkeypatch.setitem(full_size.ARCHITECTURES, key, changed)
    family = changed.family
    monkeypatch.setattr(family, "sampling", replace(family.sampling, steps=4))
    width, heads = tiny.WIDTH, {"num_attention_heads": 2}
    clip = {"hidden_size": width, "num_hidden_layers": 2, "projection_dim": width, **heads}
    monkeypatch.setattr(full_size, "CLIPS", (clip, clip))
    qwen = {"hidden_size": width, "intermediate_size": width, "num_key_value_heads": 2}
    monkeypatch.setattr(full_size, "QWEN", {"vocab_size": 300, "head_dim": 16, **heads, **qwen})
    return key


def rows_of(printed: str) -> dict[str, list[str]]:
    """Name -> the other cells, of the table at the end."""
    table = printed[printed.index("\n**") :]
    cells = [re.split(r" *\| *", line)[1:-1] for line in table.splitlines() if line[:2] == "| "]
    return {name: rest for name, *rest in cells}


@pytest.mark.slow
@pytest.mark.parametrize("small", BUILDERS, indirect=True)
def test_a_dry_run_measures_everything(
    small: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, few in (("PORTRAITS", 2), ("WARM", 1), ("MEASURED", 1)):
        monkeypatch.setattr(measure_full_size, name, few)
    assert measure_full_size.main([small], sides=SIDES) == 0
    rows = rows_of(capsys.readouterr().out)
    notes = {name: cells[-1] for name, cells in rows.items()}
    assert [n for n, note in notes.items() if re.search("failed|left out|not finite", note)] == []
    for side in SIDES:
        for way in ("1 at once, checkpointing", "1 at once, keep", "4 at once, keep"):
            assert float(rows[f"train {side} px, {way}: a picture"][0]) > 0
        painting = f"paint {side} px, 2 at once: a portrait"
        assert float(rows[painting][0]) > 0
        assert notes[painting].startswith("0 of 2 portraits flat; ")
    assert float(rows["stop while training, 64 px"][0]) >= 0
    assert notes["fingerprint after all"] == "unchanged"


@pytest.mark.slow
@pytest.mark.parametrize("small", ["sdxl"], indirect=True)
def test_a_failure_is_a_line_and_the_rest_goes_on(
    small: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def short(self: Base, *_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory.\nTried")

    monkeypatch.setattr(Base, "loss", short)
    monkeypatch.setattr(measure_full_size, "PORTRAITS", 2)
    assert measure_full_size.main([small], sides=SIDES[1:]) == 0
    rows = rows_of(capsys.readouterr().out)
    failed = "failed: OutOfMemoryError: CUDA out of memory. Tried"
    training = {name: cells[-1] for name, cells in rows.items() if name.startswith("train ")}
    assert set(training.values()) == {failed}
    assert len(training) == 3
    painting = [float(cells[0]) for name, cells in rows.items() if name.startswith("paint ")]
    assert len(painting) == 1
    assert all(seconds > 0 for seconds in painting)


def test_nothing_more_is_begun_after_the_limit(capsys: pytest.CaptureFixture[str]) -> None:
    build = BUILDERS["sdxl"]
    assert measure_full_size.main(["sdxl", "--limit", "0"], build=build, sides=SIDES) == 1
    assert "left out" in capsys.readouterr().out
