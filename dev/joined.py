"""Many small files in one array, for packs that numpy stores without pickling."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]


def join(files: Sequence[Bytes]) -> tuple[Bytes, NDArray[np.int64]]:
    """All of them one after the other, uint8 [n], and how long each is."""
    return np.concatenate([file.ravel() for file in files]), np.array([f.size for f in files])


def split(joined: Bytes, lengths: NDArray[np.int64]) -> list[Bytes]:
    """What `join` was given, flat."""
    return np.split(joined, np.cumsum(lengths)[:-1])
