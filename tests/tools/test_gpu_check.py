"""`make gpu-check`: without a GPU one sentence; all of it on the processor, as a real process."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import settings as configuration
from pipeline.bases import device
from pipeline.bases.plan import Plan
from tests.support.this_process import Asked, in_this_process
from tools import gpu_check

pytestmark = pytest.mark.slow


def environment(tmp_path: Path) -> dict[str, str]:
    return {
        "LIKENESS_SCRATCH": str(tmp_path / "scratch"),
        "LIKENESS_RECEIPTS": str(tmp_path / "log"),
        "TMPDIR": str(tmp_path),
        "CUDA_VISIBLE_DEVICES": "",
        "OMP_NUM_THREADS": "1",
    }


def command(tmp_path: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    others = {k: v for k, v in os.environ.items() if not k.startswith("LIKENESS_")}
    return subprocess.run(
        [sys.executable, "-m", "tools.gpu_check", *map(str, arguments)],
        cwd=configuration.ROOT,
        env=others | environment(tmp_path),
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


@pytest.fixture
def asked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[Asked]:
    with in_this_process(gpu_check.main, environment(tmp_path), capsys) as ask:
        yield ask


def test_without_a_gpu_it_is_one_sentence(tmp_path: Path) -> None:
    ran = command(tmp_path, "sdxl", tmp_path)
    assert ran.returncode == 2
    assert ran.stdout == ""
    why = device.lacking()
    assert ran.stderr.strip() == f"There is nothing to measure. {why} {gpu_check.ON_THE_PROCESSOR}"


def test_a_large_base_is_refused_on_the_processor_too(asked: Asked, tmp_path: Path) -> None:
    shutil.copy(configuration.ROOT / "tools" / "bases" / "sdxl.toml", tmp_path / "manifest.toml")
    index = {"_class_name": "StableDiffusionXLPipeline"}
    (tmp_path / "model_index.json").write_text(json.dumps(index))
    ran = asked(tmp_path, tmp_path, "--device", "cpu")
    assert ran.returncode == 2
    assert ran.stderr.startswith("Stable Diffusion XL 1.0 needs an NVIDIA GPU. ")


def test_a_whole_check_prints_a_table_and_leaves_nothing(
    tmp_path: Path, tiny_base: Path, selfie_jpegs: list[bytes]
) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    for number, data in enumerate(selfie_jpegs[:4]):
        (photos / f"{number}.jpg").write_bytes(data)
    before = set(tmp_path.rglob("*"))
    ran = command(tmp_path, tiny_base, photos, "--count", 2, "--device", "cpu")
    assert ran.returncode == 0, ran.stderr
    head, _, *rows = ran.stdout.strip().splitlines()
    assert head.startswith("**tiny** — card none: computed on the processor, torch ")
    assert "4 photos, 2 portraits, 12 steps of 2, rank 4" in head
    cells = dict(re.fullmatch(r"\| (.*) \| .* \| (.*) \|", row).groups() for row in rows[2:])  # type: ignore[union-attr,misc]
    assert cells["resolution, px"] == "64"
    assert cells["peak, train: allocated, GiB"] == "–"  # no GPU: not measured, so not said
    assert float(cells["training, steps/s"]) > 0
    assert float(cells["portraits/s"]) > 0
    assert -1 <= float(cells["likeness, median"]) <= 1
    left = {p for p in set(tmp_path.rglob("*")) - before if p.is_file()}
    assert left == set()


def test_a_table_sets_what_was_planned_beside_what_was_measured() -> None:
    planned = Plan(1024, 16, 500, 4, 2, 12, train_bytes=2**33, generate_bytes=2**32)
    planned_row = vars(planned) | {"seconds_per_step": 2.0, "seconds": 600.0}
    result = {
        "base": "sdxl",
        "planned": planned_row | {"seconds_per_portrait": 4.0},
        "plan": vars(planned) | {"micro_batch": 1},
        "photos": {"accepted": 9},
        "headshots": 100,
        "seconds": {"generate": 200.0, "total": 900.0},
        "seconds_per_step": 2.5,
        "memory": {"train": {"allocated": 2**32, "reserved": 2**33}, "generate": {}},
        "steps_down": 1,
        "likeness": {"median": 0.61, "share_same_person": 0.97},
    }
    lines = gpu_check.table(result, {"card": "X"}).splitlines()
    for row in (
        "| pictures at once, training | 2 | 1 |",
        "| steps down for memory | 0 | 1 |",
        "| peak, train: allocated, GiB | – | 4 |",
        "| peak, train: reserved, GiB | 8 | 8 |",
        "| peak, generate: reserved, GiB | 4 | – |",
        "| training, steps/s | 0.5 | 0.4 |",
        "| portraits/s | 0.25 | 0.5 |",
        "| minutes, photos to portraits | 10 | 15 |",
        "| share above the same-person line | – | 0.97 |",
    ):
        assert row in lines


def test_a_base_that_is_not_there_is_one_sentence(asked: Asked, tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"")
    ran = asked("no-such-base", tmp_path, "--device", "cpu")
    assert ran.returncode == 2
    assert "no base model" in ran.stderr
    assert len(ran.stderr.strip().splitlines()) == 1
