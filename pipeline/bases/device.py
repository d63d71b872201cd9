"""Where models run, and what a job can see of the GPU: its memory, its name, that it ran short.

Everything here works on a machine without one.
"""

from __future__ import annotations

import gc
import os
from dataclasses import dataclass
from pathlib import Path

import torch

_SHORT = ("out of memory", "CUBLAS_STATUS_ALLOC_FAILED", "CUDNN_STATUS_ALLOC_FAILED")


def choose() -> torch.device:
    """The one place that chooses where models run."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def threads() -> int:
    """Threads for computing: all cores but one, which is for pages and uploads.

    Also faster for small models: their operations are so short that threads mostly wait for each
    other.  On two cores the embedded base trains 1.3 steps/s with one thread and 1.5 with two,
    but 1.1 and 0.4 as soon as one other process is busy.
    """
    return max(1, min(len(os.sched_getaffinity(0)), _granted()) - 1)


def _granted(file: Path = Path("/sys/fs/cgroup/cpu.max")) -> int:
    """Whole cores that a container's share of time comes to; all of them where nothing is shared.

    file: "QUOTA PERIOD" in microseconds, QUOTA "max" for no limit; none outside of a container.
    """
    try:
        quota, period = file.read_text().split()
        return max(1, int(quota) // int(period))
    except (OSError, ValueError):
        return os.cpu_count() or 1


@dataclass(frozen=True)
class Gpu:
    """name: as CUDA gives it. free: bytes that a job may use, those that we hold already too."""

    name: str
    free: int


def gpu() -> Gpu | None:
    """The one that models run on; None without."""
    if not torch.cuda.is_available():
        return None
    free, _ = torch.cuda.mem_get_info()
    return Gpu(torch.cuda.get_device_name(), free + torch.cuda.memory_reserved())


def short_of_memory(error: BaseException) -> bool:
    """Whether the GPU's memory ran short; libraries beneath torch say it in their own words."""
    if isinstance(error, torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in _SHORT)


def release() -> None:
    """Give back what nothing uses any more."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def watch() -> None:
    """`peak` counts from now on."""
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()


def peak() -> dict[str, int]:
    """Most bytes since `watch` that tensors took, and that we held; empty without a GPU."""
    if not torch.cuda.is_available():
        return {}
    return {
        "allocated": torch.cuda.max_memory_allocated(),
        "reserved": torch.cuda.max_memory_reserved(),
    }
