"""Keeps a library from putting this process before everything else on the machine.

Where it runs as root, SVT-AV1 gives the thread that opens an encoder, and each of its own, the
highest real-time priority, and never gives it back. Such a thread, and every process that it
starts later, takes the processor from all others for as long as it likes.

Source: sched(7), capabilities(7).
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager

_VERSION = 0x20080522  # _LINUX_CAPABILITY_VERSION_3, <linux/capability.h>
_SYS_NICE = 1 << 23


class _Header(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _Sets(ctypes.Structure):
    _fields_ = tuple((name, ctypes.c_uint32) for name in ("effective", "permitted", "inheritable"))


@contextmanager
def as_everybody() -> Iterator[None]:
    """In the block this thread cannot raise a priority; threads started in it never can.

    Without the right to raise one, and elsewhere than on Linux, nothing changes.
    """
    header, sets = ctypes.byref(_Header(_VERSION, 0)), (_Sets * 2)()
    libc = ctypes.CDLL(None)
    if sys.platform != "linux" or libc.capget(header, sets) != 0:
        yield
        return
    before = sets[0].effective
    sets[0].effective = before & ~_SYS_NICE
    libc.capset(header, sets)
    try:
        yield
    finally:
        sets[0].effective = before
        libc.capset(header, sets)
