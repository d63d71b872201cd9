"""What the models say of pictures that many visitors bring, worked out once for each picture.

Most tests have a visitor of their own with the same photos: half a second of the processor for
a photo, each time. By the same arguments it is the same answer, and nobody changes
it. `cut_outs.py` does so for cut-outs.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from hashlib import sha256
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from pipeline.compositing.face_mesh import FaceMesh
from pipeline.compositing.studio import Sitter, sit
from pipeline.imaging import CutOut
from tests.support import web as serving
from tests.support.seen_faces import SeenFaces
from web import sitters

_MOST_SITTERS = 12
"""The latest that are remembered."""


class _Memory:
    """The latest answers, each by its arguments. Thread-safe."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._known: dict[str, Any] = {}
        self._lock = threading.Lock()

    def of(self, work: Callable[[], Any], *arguments: object) -> Any:
        key = sha256()
        for one in arguments:
            if isinstance(one, np.ndarray):
                key.update(f"{one.shape} {one.dtype}".encode() + one.tobytes())
            else:
                key.update(repr(one).encode())
        said = key.hexdigest()
        with self._lock:
            if said in self._known:
                return self._known[said]
        answer = work()
        with self._lock:
            self._known[said] = answer
            if len(self._known) > self._most:
                self._known.pop(next(iter(self._known)))
        return answer


_SITTERS = _Memory(_MOST_SITTERS)


_faces = cache(SeenFaces)


def sit_once(
    cut_out: CutOut, landmarks: NDArray[np.float32], sharpness: float, mesh: FaceMesh
) -> Sitter:
    """As `studio.sit`."""
    sitter: Sitter = _SITTERS.of(
        lambda: sit(cut_out, landmarks, sharpness, mesh),
        cut_out.colours,
        cut_out.alpha,
        (cut_out.confidence, cut_out.faults, cut_out.covered, cut_out.tight),
        landmarks,
        sharpness,
    )
    return sitter


@contextmanager
def remembered() -> Iterator[None]:
    """Servers in this process that begin meanwhile remember."""
    with pytest.MonkeyPatch.context() as patching:
        patching.setattr(serving, "Faces", _faces)
        patching.setattr(sitters, "sit", sit_once)
        yield
