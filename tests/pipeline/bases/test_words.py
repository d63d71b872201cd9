"""Words are read once per base: those of looks stay known, those of a training are forgotten."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from pipeline.bases import offloading
from pipeline.bases.base import Sampling
from pipeline.bases.loading import load_base
from pipeline.bases.offloading import Large
from pipeline.portraits.generate import generate, plan
from pipeline.portraits.style import load_styles
from settings import ROOT
from tests.support import tiny_base as tiny
from tests.support.nobody import noise_photos
from tests.support.training import SHORT, run

BUILDERS = [tiny.build_tiny_sdxl, tiny.build_tiny_z_image, tiny.build_tiny_flux2_klein]
LOOKS = ["photo of sks person, oak shelves", "blurry"]


@pytest.fixture(params=BUILDERS, ids=["sdxl", "z-image", "flux2-klein"])
def base(request: pytest.FixtureRequest, tmp_path: Path) -> Large:
    build: Callable[[Path], None] = request.param
    build(tmp_path / "tiny")
    base = load_base(tmp_path / "tiny")
    assert isinstance(base, Large)
    return base


@pytest.fixture
def read(base: Large, monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The prompts of each loading of the base's text encoders."""
    loadings = list[list[str]]()
    real, encode = offloading.read_pipeline, base._encode

    def reading(*given: Any) -> Any:
        loadings.append([])
        return real(*given)

    def encoding(encoder: Any, prompt: str) -> Any:
        loadings[-1].append(prompt)
        return encode(encoder, prompt)

    monkeypatch.setattr(offloading, "read_pipeline", reading)
    monkeypatch.setattr(base, "_encode", encoding)
    return loadings


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(one[key], other[key]) for key in one.keys() | other.keys())


def test_looks_are_read_once_and_captions_for_their_training(
    base: Large, read: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(offloading, "MOST_KEPT_PROMPTS", 3)
    captions = [f"photo of sks person, wall {number}" for number in range(9)]
    base.prepare_prompts(LOOKS)
    first = base.encode_prompts(LOOKS)
    for _ in range(2):
        with base.heeding(lambda: False):
            once = base.encode_prompts(captions)
            assert same(once, base.encode_prompts(captions))
            base.encode_prompts([""])
        assert not base._captions
        base.prepare_prompts(LOOKS)
        assert same(base.encode_prompts(LOOKS), first)
    assert read == [LOOKS, ["", *captions], ["", *captions]]
    fresh = load_base(base.folder)
    assert same(fresh.encode_prompts(LOOKS), first)
    assert same(fresh.encode_prompts(captions), once)


def test_words_that_are_told_to_come_are_read_with_the_captions(
    base: Large, read: list[list[str]]
) -> None:
    base.expect_prompts(LOOKS)
    with base.heeding(lambda: False):
        base.encode_prompts(["photo of sks person"])
    base.prepare_prompts(LOOKS)
    base.encode_prompts(LOOKS)
    [once] = read
    assert sorted(once) == sorted({"", *LOOKS, "photo of sks person"})


def test_looks_that_were_not_asked_for_lately_make_room(
    base: Large, read: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(offloading, "MOST_KEPT_PROMPTS", 2)
    for prompts in (["one", "two"], ["one"], ["three"], ["one"], ["two"], ["a", "b", "c"]):
        base.prepare_prompts(prompts)
    assert read == [["one", "two"], ["three"], ["two"], ["a", "b", "c"]]
    assert list(base._looks) == ["a", "b", "c"]


@pytest.mark.slow
def test_a_job_with_known_looks_reads_no_text_encoder_to_paint(
    base: Large, read: list[list[str]]
) -> None:
    shots = plan(list(load_styles(ROOT / "styles").values())[:2], 2, seed=1)
    few = Sampling(steps=2, guidance=1.0)
    for job in (1, 2):
        person = run(base, noise_photos(2), SHORT)
        before = len(read)
        made = list(generate(base, person, shots, stop=lambda: False, sampling=few))
        assert len(made) == 2
        assert len(read) - before == (1 if job == 1 else 0)
        assert not base._captions
    assert len(read) == 3
