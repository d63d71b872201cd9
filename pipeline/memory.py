"""What glibc does with the memory of freed arrays; another C library decides for itself.

A photo's arrays are made and freed hundreds of times. Left to itself the allocator keeps freed ones
in the pools of forty threads, where 20 people's photos leave 700 MB; given back each time, every
array costs page faults, a third of a cut-out's time. So there is one pool, which keeps what is
freed while there is work, and gives it back when there is none. (Of two, each grew to what a
cut-out takes: 94 MB more in a crowd.)
"""

from __future__ import annotations

import ctypes

_TRIM_THRESHOLD, _MMAP_THRESHOLD, _PERTURB, _ARENA_MAX = -1, -3, -6, -8
"""Parameters of mallopt, <malloc.h>."""

_LARGE = 32 << 20  # the most that glibc takes


def keep() -> None:
    """Keep the memory of freed arrays for the next ones; from here on `give_back` gives it back."""
    library = ctypes.CDLL(None)
    if hasattr(library, "mallopt"):
        for parameter, value in (
            (_ARENA_MAX, 1),
            (_MMAP_THRESHOLD, _LARGE),
            (_TRIM_THRESHOLD, 4 * _LARGE),
        ):
            library.mallopt(parameter, value)


def give_back() -> None:
    """Give everything that is free back to the system: some ten milliseconds."""
    library = ctypes.CDLL(None)
    if hasattr(library, "malloc_trim"):
        library.malloc_trim(0)


def overwrite_freed() -> None:
    """Let the C library overwrite what is freed from here on, whatever it held."""
    library = ctypes.CDLL(None)
    if hasattr(library, "mallopt"):
        library.mallopt(_PERTURB, 0xA5)
