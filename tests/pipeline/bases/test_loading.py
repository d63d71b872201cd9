"""What is refused: folders without a base, cut or foreign or altered files."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from errors import BaseUnavailable
from pipeline.bases.loading import load_base


@pytest.fixture
def copy(tiny_base: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_base, tmp_path / "copy"))


def test_a_missing_folder_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(BaseUnavailable, match="no base model in the folder 'nothing'"):
        load_base(tmp_path / "nothing")


@pytest.mark.parametrize("part", ["unet", "vae", "text_encoder", "tokenizer", "scheduler"])
def test_a_folder_without_a_part_is_refused(copy: Path, part: str) -> None:
    shutil.rmtree(copy / part)
    with pytest.raises(BaseUnavailable):
        load_base(copy)


@pytest.mark.parametrize("part", ["unet", "vae", "text_encoder"])
def test_cut_weights_are_refused(copy: Path, part: str) -> None:
    weights = next((copy / part).glob("*.safetensors"))
    weights.write_bytes(weights.read_bytes()[:-64])
    with pytest.raises(BaseUnavailable, match="incomplete or damaged"):
        load_base(copy)


@pytest.mark.parametrize("part", ["unet", "vae", "text_encoder"])
def test_weights_that_lack_a_tensor_are_refused(copy: Path, part: str) -> None:
    import safetensors.torch

    weights = next((copy / part).glob("*.safetensors"))
    state = safetensors.torch.load_file(weights)
    state.pop(sorted(state)[0])
    safetensors.torch.save_file(state, weights, metadata={"format": "pt"})
    with pytest.raises(BaseUnavailable):
        load_base(copy)


def test_an_index_that_is_no_json_is_refused(copy: Path) -> None:
    (copy / "model_index.json").write_text("{")
    with pytest.raises(BaseUnavailable, match=r"model_index\.json"):
        load_base(copy)


def test_an_unknown_family_is_refused_by_name(copy: Path) -> None:
    index = copy / "model_index.json"
    index.write_text(index.read_text().replace("StableDiffusionPipeline", "FluxPipeline"))
    with pytest.raises(BaseUnavailable, match="FluxPipeline, which is not supported"):
        load_base(copy)


def test_an_altered_file_is_named_when_the_folder_lists_its_digests(copy: Path) -> None:
    import hashlib

    files = sorted(p for p in copy.rglob("*") if p.is_file())
    lines = [
        f"{hashlib.sha256(p.read_bytes()).hexdigest()}  {p.relative_to(copy)}\n" for p in files
    ]
    (copy / "SHA256SUMS").write_text("".join(lines))
    load_base(copy)
    config = copy / "scheduler" / "scheduler_config.json"
    config.write_text(config.read_text() + " ")
    with pytest.raises(BaseUnavailable, match=r"altered: scheduler/scheduler_config\.json"):
        load_base(copy)
