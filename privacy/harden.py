"""What the operating system should never do with a process that holds keys and faces.

    core dumps    none: a crash would write the whole memory to the disk
    dumpable      no: other processes of the same user can neither attach to this one nor read its
                  memory, and the kernel makes no core file even where a pipe would catch it
    umask 0077    whatever is created is for its owner alone

The limits are inherited by every child, "dumpable" is not: a child that needs it gives it up for
itself. Does not protect against root.
"""

from __future__ import annotations

import ctypes
import os
import resource
import sys

import structlog

_PR_SET_DUMPABLE = 4  # <linux/prctl.h>

log = structlog.get_logger()


def harden() -> None:
    """Close these ways out. Call it once, before any key exists; what cannot be set is logged."""
    os.umask(0o077)
    try:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    except (OSError, ValueError) as problem:
        log.debug("not_hardened", what="core limit", error=type(problem).__name__)
    if not _undumpable():
        log.debug("not_hardened", what="dumpable", system=sys.platform)


def _undumpable() -> bool:
    """Whether the kernel agreed. Only Linux knows the question."""
    if sys.platform != "linux":
        return False
    result: int = ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
    return result == 0
