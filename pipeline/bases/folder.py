"""A base's folder: what its own files say of it, read without torch.

A diffusers folder names its pipeline class in `INDEX`. It may also hold a list of digests and a
recipe; its manifest is read by `pipeline/bases/manifest.py`.
"""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from errors import BaseUnavailable, Stopped
from pipeline.bases.manifest import Manifest, damaged

INDEX = "model_index.json"
"""Names the class of the diffusers pipeline; a folder without it holds no base."""

CHECKSUMS = "SHA256SUMS"
"""If a base folder has this file (as `sha256sum` writes it), every file in it is checked."""

AT_ONCE = 16 * 2**20
"""Bytes of a file that are hashed at once."""

RECIPE = "recipe.toml"
"""If a base folder has this file, its keys replace the defaults of `train.Recipe` and whatever
the manifest says about them."""

SEEING = ("Flux2KleinPipeline",)
"""Pipeline classes of the families that know `bases.pictures`."""

MOVING = ("WanPipeline",)
"""Pipeline classes of the families that make clips of a portrait, and no portraits."""


def sees_pictures(folder: Path) -> bool:
    """Tell whether this base can look at pictures, and keep a part of one.

    Raises:
        BaseUnavailable: as `pipeline_class`.
    """
    return pipeline_class(folder) in SEEING


def makes_clips(folder: Path) -> bool:
    """Tell whether this base moves portraits, and cannot make any.

    Raises:
        BaseUnavailable: as `pipeline_class`.
    """
    return pipeline_class(folder) in MOVING


def pipeline_class(folder: Path) -> str:
    """Read the name of the diffusers pipeline that runs this base.

    Raises:
        BaseUnavailable: there is no base in the folder, or its index cannot be read.
    """
    index = folder / INDEX
    if not index.is_file():
        raise BaseUnavailable(f"There is no base model in the folder {folder.name!r}.")
    try:
        return str(json.loads(index.read_text("utf-8"))["_class_name"])
    except (ValueError, KeyError, TypeError):
        raise BaseUnavailable(damaged(folder.name, INDEX)) from None


def recipe(folder: Path, manifest: Manifest | None) -> dict[str, Any]:
    """Read how this base likes to be trained; empty if nothing says so.

    Raises:
        BaseUnavailable: the recipe cannot be read.
    """
    file = folder / RECIPE
    if not file.is_file():
        return {} if manifest is None else manifest.recipe
    try:
        return tomllib.loads(file.read_text("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError):
        raise BaseUnavailable(damaged(folder.name, RECIPE)) from None


def require_unaltered(folder: Path, stop: Callable[[], bool] = lambda: False) -> None:
    """Compare the folder with its own list of digests, if it has one.

    Raises:
        BaseUnavailable: a file is missing or is not the one that was listed.
        Stopped: `stop` said so.
    """
    listing = folder / CHECKSUMS
    if not listing.is_file():
        return
    for line in listing.read_text("utf-8").splitlines():
        expected, _, name = line.partition(" ")
        name = name.lstrip(" *")
        path = folder / name
        if not path.is_file():
            raise BaseUnavailable(f"The base model {folder.name!r} lacks the file {name}.")
        if file_digest(path, stop) != expected:
            raise BaseUnavailable(damaged(folder.name, name))


def file_digest(path: Path, stop: Callable[[], bool] = lambda: False) -> str:
    """SHA-256 of a file's bytes, in hexadecimal.

    Raises:
        Stopped: `stop` said so; it is asked every `AT_ONCE` bytes.
    """
    sha = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(AT_ONCE):
            if stop():
                raise Stopped
            sha.update(piece)
    return sha.hexdigest()
