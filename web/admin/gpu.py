"""The GPU as its own tool tells it (`nvidia-smi`), without torch, and without waiting for it.

A card that has failed can keep whoever asks it for ever. So it is asked in a thread of its own, one
at a time, and who wants to know waits two seconds at most.
"""

from __future__ import annotations

import shutil
import subprocess
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

_QUERY = ("--query-gpu=name,memory.used,memory.free", "--format=csv,noheader,nounits")
_FRESH_S = 10.0  # for so long an answer is good
_WAIT_S = 2.0
_PATIENCE_S = 20.0
_MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Gpu:
    """The first card. used, free: bytes of its memory. answers: whether it did when it was asked
    last."""

    name: str
    used: int
    free: int
    answers: bool = True


class GpuWatch:
    """Asks for the GPU when somebody wants to know. Thread-safe."""

    def __init__(self, tool: Sequence[str] = ("nvidia-smi",)) -> None:
        self._command = [*tool, *_QUERY] if shutil.which(tool[0]) else []
        self._lock = threading.Lock()
        self._asking: threading.Thread | None = None
        self._asked = -_FRESH_S
        self._latest: Gpu | None = None
        self._good = False

    def read(self) -> Gpu | None:
        """The GPU as it was at most ten seconds ago; None on a machine that never had one."""
        if not self._command:
            return None
        with self._lock:
            idle = self._asking is None or not self._asking.is_alive()
            if idle and time.monotonic() - self._asked >= _FRESH_S:
                self._asked = time.monotonic()
                self._asking = threading.Thread(target=self._ask, name="gpu", daemon=True)
                self._asking.start()
            asking = self._asking
        if asking is not None:
            asking.join(_WAIT_S)
        latest, hangs = self._latest, asking is not None and asking.is_alive()
        return latest and replace(latest, answers=self._good and not hangs)

    def _ask(self) -> None:
        try:
            said = subprocess.run(
                self._command, capture_output=True, text=True, timeout=_PATIENCE_S, check=True
            )
            name, used, free = said.stdout.splitlines()[0].rsplit(", ", 2)
            self._latest = Gpu(name, int(used) * _MIB, int(free) * _MIB)
            self._good = True
        except (OSError, subprocess.SubprocessError, ValueError, IndexError):
            self._good = False
