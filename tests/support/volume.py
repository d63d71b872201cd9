"""A volume without room."""

from __future__ import annotations

from pathlib import Path


def fill(folder: Path) -> None:
    """Take the last byte of the volume."""
    with (folder / "ballast").open("wb", buffering=0) as file:
        for size in (65_536, 4096, 1):
            try:
                while True:
                    file.write(b"\0" * size)
            except OSError:
                continue
