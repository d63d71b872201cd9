"""Small model files that set-up brings, refused unless they are the very files."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from errors import BaseUnavailable


@dataclass(frozen=True)
class ModelFile:
    """A model file by name and digest; any other content under that name is refused."""

    name: str
    sha256: str


def read_model(folder: Path, model: ModelFile) -> NDArray[np.uint8]:
    """Read and check a model file: what was checked is what OpenCV then parses.

    Raises:
        BaseUnavailable: it is missing or altered.
    """
    try:
        data = (folder / model.name).read_bytes()
    except OSError as problem:
        raise BaseUnavailable(
            "The face models are missing on this server. Run `make setup`, then start again."
        ) from problem
    if hashlib.sha256(data).hexdigest() != model.sha256:
        raise BaseUnavailable(
            f"The face model {model.name} is not the file this release was made with. "
            f"Run `make setup`, then start again."
        )
    return np.frombuffer(data, np.uint8)
