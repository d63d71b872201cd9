"""What a job sees of the machine: cores here; a GPU is never there in the tests."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pipeline.bases import device


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
