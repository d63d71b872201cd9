"""The two folders that the command line is given."""

from __future__ import annotations

from pathlib import Path

from errors import BadFolder


def photo_files(folder: Path) -> list[Path]:
    """The visible files of a folder by name.

    Raises:
        BadFolder: no such folder, or nothing in it.
    """
    if not folder.is_dir():
        raise BadFolder(f"{folder} is not a folder. PHOTOS is the folder your selfies are in.")
    files = sorted(p for p in folder.iterdir() if p.is_file() and not p.name.startswith("."))
    if not files:
        raise BadFolder(f"There are no photos in {folder}.")
    return files


def require_empty(out: Path) -> None:
    """Refuse to mix with, or write over, what somebody already has there."""
    if out.exists() and not out.is_dir():
        raise BadFolder(f"{out} is a file. OUT is a folder for the portraits.")
    if out.is_dir() and any(out.glob("*.png")):
        raise BadFolder(f"{out} already holds pictures. Choose another OUT, so that none is lost.")
    out.mkdir(parents=True, exist_ok=True)
