"""What a job sees of the machine: cores, and a GPU that torch is made to say it finds."""

from __future__ import annotations

import json
import os
import shutil
import time
from pathlib import Path
from typing import Any

import pytest
import torch

import settings as configuration
from errors import BaseUnavailable
from pipeline.assembly import open_assembly
from pipeline.bases import device
from pipeline.planning.planning import require_gpu
from tests.support.planned import KNOWN
from tools.fetch_base import BASES


@pytest.mark.parametrize(
    ("said", "cores"),
    [
        ("200000 100000\n", 2),
        ("150000 100000\n", 1),
        ("50000 100000\n", 1),
        ("max 100000\n", os.cpu_count()),
        ("damaged", os.cpu_count()),
    ],
)
def test_a_container_computes_on_the_cores_that_it_was_granted(
    tmp_path: Path, said: str, cores: int
) -> None:
    file = tmp_path / "cpu.max"
    file.write_text(said)
    assert device._granted(file) == cores
    assert device._granted(tmp_path / "missing") == os.cpu_count()


def test_one_core_is_left_for_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(64)))
    monkeypatch.setattr(device, "_granted", lambda: 4)
    assert device.threads() == 3
    monkeypatch.setattr(device, "_granted", lambda: 1)
    assert device.threads() == 1


CUDA = "torch 2.13.0 for CUDA 13.0"


def gpu(
    monkeypatch: pytest.MonkeyPatch,
    *,
    built: str | None = "13.0",
    driver: str | None = "580.159",
    capability: tuple[int, int] | None = (8, 9),
) -> None:
    """Have torch say that it is built for a CUDA and finds a card of this capability."""
    monkeypatch.setattr(torch.version, "cuda", built)
    monkeypatch.setattr(torch, "__version__", "2.13.0" if built else "2.13.0+cpu")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: capability is not None)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: capability)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "Tesla T4")
    monkeypatch.setattr(device, "driver", lambda: driver)


@pytest.mark.parametrize(
    ("there", "says", "advises"),
    [
        (
            {"built": None, "capability": None},
            "torch 2.13.0+cpu is built without CUDA",
            "start with docker-compose.gpu.yml",
        ),
        (
            {"driver": None, "capability": None},
            f"No NVIDIA driver was found, and {CUDA} needs one",
            "install it",
        ),
        (
            {"driver": "535.183", "capability": None},
            f"The NVIDIA driver is 535.183, and {CUDA} finds no GPU with it",
            "update the driver, or install torch for an older CUDA",
        ),
        (
            {"capability": (7, 5)},
            "Tesla T4 has compute capability 7.5, and bfloat16 begins at 8.0",
            "use a card of 2020 or later",
        ),
    ],
    ids=["torch without CUDA", "no driver", "old driver", "old card"],
)
def test_a_large_base_is_refused_in_one_sentence_that_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch, there: dict[str, Any], says: str, advises: str
) -> None:
    gpu(monkeypatch, **there)
    assert device.choose().type == "cpu"
    assert device.gpu() is None
    with pytest.raises(BaseUnavailable) as refused:
        require_gpu(KNOWN["sdxl"])
    assert refused.value.sentence.startswith(f"Stable Diffusion XL 1.0 needs an NVIDIA GPU. {says}")
    assert advises in refused.value.sentence
    assert "\n" not in refused.value.sentence
    require_gpu(KNOWN["sd15"])
    require_gpu(None)


@pytest.mark.parametrize("capability", [(8, 0), (8, 9), (12, 0)])
def test_a_card_that_computes_in_bfloat16_is_used(
    monkeypatch: pytest.MonkeyPatch, capability: tuple[int, int]
) -> None:
    gpu(monkeypatch, capability=capability)
    assert device.lacking() is None
    assert device.choose().type == "cuda"
    require_gpu(KNOWN["sdxl"])


def test_the_driver_is_what_its_tool_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert device.driver() is None
    tool = tmp_path / "nvidia-smi"
    tool.write_text("#!/bin/sh\necho 580.159\necho 580.159\n")
    tool.chmod(0o755)
    assert device.driver() == "580.159"
    tool.write_text("#!/bin/sh\necho has failed\nexit 9\n")
    assert device.driver() is None


def test_the_server_does_not_start_with_a_large_base_and_without_a_gpu(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = tmp_path / "sdxl"
    base.mkdir()
    index = {"_class_name": "StableDiffusionXLPipeline"}
    (base / "model_index.json").write_text(json.dumps(index))
    shutil.copy(BASES / "sdxl.toml", base / "manifest.toml")
    settings = configuration.load(
        scratch=tmp_path / "scratch", receipts=tmp_path / "receipts", base=str(base)
    )
    gpu(monkeypatch, driver=None, capability=None)
    with pytest.raises(BaseUnavailable, match="No NVIDIA driver"), open_assembly(settings):
        raise AssertionError("it started")
    assert not settings.scratch.exists()


def test_the_speed_of_a_card_is_the_median_of_repeated_products(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    device.product_tflops.cache_clear()
    # The first loads the kernel, and one is disturbed.
    seconds = iter([9.0, 0.1, 0.3, 0.1, 9.0])
    with monkeypatch.context() as patch:
        patch.setattr(device, "_seconds", lambda _: next(seconds))
        found = device.product_tflops(side=100)
        assert found == pytest.approx(2 * 100**3 / 0.1 / 1e12)
        assert device.product_tflops(side=100) == found  # measured once
        assert list(seconds) == [9.0]
    device.product_tflops.cache_clear()


def test_products_are_really_computed_for_as_long_as_is_said(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    device.product_tflops.cache_clear()
    monkeypatch.setattr(device, "PRODUCT_S", 0.05)
    before = torch.get_rng_state()
    began = time.perf_counter()
    found = device.product_tflops(side=64)
    assert time.perf_counter() - began >= 0.05
    assert 0 < found < 100  # of a processor
    assert torch.equal(torch.get_rng_state(), before)
    device.product_tflops.cache_clear()
