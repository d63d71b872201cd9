"""What the attacks share: a volume that really is full, a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import settings as configuration


@pytest.fixture
def small_volume(tmp_path: Path) -> Iterator[Path]:
    mount = ["mount", "-t", "tmpfs", "-o", "size=2m,mode=0700", "tmpfs", str(tmp_path)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("mounting a small tmpfs needs root and the right to mount")
    yield tmp_path
    subprocess.run(["umount", "--lazy", str(tmp_path)], check=True)


def fill(folder: Path) -> None:
    """Take the last byte of the volume."""
    with (folder / "ballast").open("wb", buffering=0) as file:
        for size in (65_536, 4096, 1):
            try:
                while True:
                    file.write(b"\0" * size)
            except OSError:
                continue


def in_own_process(code: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run Python code from the repository's root; it has to come to its end."""
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        cwd=configuration.ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done
