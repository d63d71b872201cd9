"""A folder as people keep it: a film among the photos."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from settings import ROOT

GB = 1 << 30


@pytest.mark.slow
def test_a_film_of_gigabytes_is_refused_by_its_size(
    tmp_path: Path, selfie_jpegs: list[bytes]
) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    (photos / "me.jpg").write_bytes(selfie_jpegs[0])
    with (photos / "IMG_1.MOV").open("wb") as film:
        film.truncate(16 * GB)
    with (photos / "IMG_2.JPG").open("wb") as film:
        film.truncate(16 * GB)
    command = f"-m pipeline {photos} --out {tmp_path}/out --way photo --count 1 --json {tmp_path}/r"
    done = subprocess.run(
        [sys.executable, *command.split()],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_DATA, (8 * GB, 8 * GB)),
    )
    assert done.returncode == 0, done.stderr
    assert "IMG_2.JPG: " in done.stderr
    assert "MB" in done.stderr
    assert json.loads((tmp_path / "r").read_text())["photo"]["headshots"] == 1
