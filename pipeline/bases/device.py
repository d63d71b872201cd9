"""Where models run, what a GPU lacks for that, and what a job sees of it: memory, name, shortage.

Everything here works on a machine without one.
"""

from __future__ import annotations

import functools
import gc
import os
import statistics
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch

from errors import GpuFailed
from pipeline.bases.plan import Stage

_SHORT = ("out of memory", "CUBLAS_STATUS_ALLOC_FAILED", "CUDNN_STATUS_ALLOC_FAILED")


LEAST_CAPABILITY = (8, 0)
"""Compute capability of the first GPUs (2020) that compute in bfloat16; older ones would need
float16, which FLUX.2 and Z-Image overflow."""


def choose() -> torch.device:
    """The one place that chooses where models run."""
    return torch.device("cuda" if _usable() else "cpu")


def compute_dtype() -> torch.dtype:
    """bfloat16 where the machine computes in it, else float32: a processor without AVX-512 needs
    fifty times as long for a product of two bfloat16 matrices."""
    fast = _usable() or torch.ops.mkldnn._is_mkldnn_bf16_supported()
    return torch.bfloat16 if fast else torch.float32


def autocast(where: torch.device, dtype: torch.dtype) -> torch.autocast:
    """Compute in this type; in float32 nothing has to be cast."""
    return torch.autocast(where.type, dtype, enabled=dtype != torch.float32)


def _usable() -> bool:
    return torch.cuda.is_available() and torch.cuda.get_device_capability() >= LEAST_CAPABILITY


def lacking() -> str | None:
    """What keeps models from a GPU, and what to do, for the operator; None where nothing does."""
    if _usable():
        return None
    if torch.cuda.is_available():
        major, minor = torch.cuda.get_device_capability()
        return (
            f"{torch.cuda.get_device_name()} has compute capability {major}.{minor}, and "
            f"bfloat16 begins at {LEAST_CAPABILITY[0]}.{LEAST_CAPABILITY[1]}: use a card of 2020 "
            "or later."
        )
    if torch.version.cuda is None:
        return (
            f"torch {torch.__version__} is built without CUDA: install requirements.txt without "
            "PyTorch's CPU index; in containers, start with docker-compose.gpu.yml."
        )
    built = f"torch {torch.__version__} for CUDA {torch.version.cuda}"
    version = driver()
    if version is None:
        return (
            f"No NVIDIA driver was found, and {built} needs one: install it; in containers, start "
            "with docker-compose.gpu.yml."
        )
    return (
        f"The NVIDIA driver is {version}, and {built} finds no GPU with it: update the driver, or "
        "install torch for an older CUDA (docs/gpu.md)."
    )


def driver() -> str | None:
    """The NVIDIA driver's version, as its own tool says it; None where there is none."""
    command = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        said = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return next(iter(said.stdout.split()), None)


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
    if not _usable():
        return None
    free, _ = torch.cuda.mem_get_info()
    return Gpu(torch.cuda.get_device_name(), free + torch.cuda.memory_reserved())


PRODUCT_S = 0.5
"""For how long the speed of a card is measured."""


@functools.cache
def product_tflops(side: int = 4096) -> float:
    """TFLOPS of products of two bfloat16 matrices, the median of as many as `PRODUCT_S` holds.

    Measured once in a process, where models run.
    """
    where = choose()
    # Noise, of a generator of its own: a card multiplies equal numbers faster than any others.
    noise = torch.Generator(where).manual_seed(0)
    left, right = (
        torch.randn(side, side, generator=noise, dtype=torch.bfloat16, device=where)
        for _ in range(2)
    )
    seconds = [_seconds(lambda: left @ right)]  # the first one loads the kernel
    while len(seconds) < 2 or sum(seconds[1:]) < PRODUCT_S:
        seconds.append(_seconds(lambda: left @ right))
    return 2 * side**3 / statistics.median(seconds[1:]) / 1e12


def _seconds(do: Callable[[], object]) -> float:
    """How long it takes, until the GPU is done too."""
    began = time.perf_counter()
    do()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - began


def short_of_memory(error: BaseException) -> bool:
    """Whether the GPU's memory ran short; libraries beneath torch say it in their own words."""
    if isinstance(error, torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in _SHORT)


def failed(error: BaseException | None) -> bool:
    """Whether CUDA failed so that this process cannot use it any more, and did not just run short.

    After an illegal memory access, an assertion in a kernel or a reset of the driver every call
    fails; what raised first may stand behind what cleaning up raised.
    """
    while error is not None and not short_of_memory(error):
        if isinstance(error, torch.AcceleratorError):
            return True
        if isinstance(error, RuntimeError) and "CUDA error:" in str(error):
            return True
        error = error.__cause__ or error.__context__
    return False


@contextmanager
def watched() -> Iterator[None]:
    """Tell a failure of CUDA from every other error of the block.

    Raises:
        GpuFailed: instead of whatever error said so.
    """
    try:
        yield
    except Exception as error:
        if failed(error):
            raise GpuFailed from error
        raise


class ShortOfMemory(Exception):
    """The GPU's memory ran short at a stage of a job: a smaller plan may go on."""

    def __init__(self, stage: Stage) -> None:
        super().__init__(stage)
        self.stage = stage


@contextmanager
def during(stage: Stage) -> Iterator[None]:
    """Tell at which stage memory runs short in the block; of blocks in blocks the innermost.

    Raises:
        ShortOfMemory: instead of whatever error said so.
    """
    try:
        yield
    except Exception as error:
        if short_of_memory(error):
            raise ShortOfMemory(stage) from error
        raise


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
