"""What glibc does with the memory of freed arrays; another C library decides for itself.

A photo's arrays are made and freed hundreds of times. Left to itself the allocator keeps freed ones
in the pools of forty threads, where 20 people's photos leave 700 MB; given back each time, every
array costs page faults, a third of a cut-out's time. So there is one pool, which keeps what is
freed while there is work, and gives it back when there is none. (Of two, each grew to what a
cut-out takes: 94 MB more in a crowd.)
"""

from __future__ import annotations

import ctypes
import os

_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8
"""Parameters of mallopt, <malloc.h>."""

_LARGE = 32 << 20  # the most that glibc takes

_EDGE = 2 * os.sysconf("SC_PAGE_SIZE")
"""At either end of a free piece, what `malloc_trim` leaves is smaller."""

NO_OTHER_POOLS = {"PYTHONMALLOC": "malloc", "GLIBC_TUNABLES": "glibc.malloc.tcache_count=0"}
"""Environment of a process in which Python's small objects, and what threads free, lie in the one
pool too."""


class _Pool(ctypes.Structure):
    """struct mallinfo2, <malloc.h>: the last two are bytes that are free, and those of the top."""

    _fields_ = (("numbers", ctypes.c_size_t * 10),)


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


def overwrite_free() -> bool:
    """Overwrite everything that is free, whatever it held; False where the C library cannot.

    Whole pages go back to the system, which hands out none that is not empty. What is free between
    pieces in use is taken, the largest first, overwritten, and freed again. Reaches all that is
    free after `keep` (one pool), in a process without pools beside it (`NO_OTHER_POOLS`).
    """
    library = ctypes.CDLL(None)
    if not hasattr(library, "mallinfo2"):
        return False
    _declare(library)
    give_back()
    *_, left, on_top = library.mallinfo2().numbers
    top, size, taken = library.sbrk(0) - on_top, _LARGE, list[int]()
    while size and left > 0:
        block = library.malloc(size)
        if block:
            usable = library.malloc_usable_size(block)
            edge = min(usable, _EDGE)
            library.memset(block, 0, edge)
            library.memset(block + usable - edge, 0, edge)
            if block < top:
                taken.append(block)
                left -= usable
                continue
            library.free(block)
        size //= 2  # nothing of this size is free below the top
    for block in taken:
        library.free(block)
    give_back()
    return True


def _declare(library: ctypes.CDLL) -> None:
    address, size = ctypes.c_void_p, ctypes.c_size_t
    for function, takes, gives in (
        (library.malloc, [size], address),
        (library.malloc_usable_size, [address], size),
        (library.memset, [address, ctypes.c_int, size], address),
        (library.free, [address], None),
        (library.sbrk, [ctypes.c_ssize_t], address),
        (library.mallinfo2, [], _Pool),
    ):
        function.argtypes, function.restype = takes, gives  # type: ignore[assignment]
