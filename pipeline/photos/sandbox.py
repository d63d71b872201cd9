"""Walls around a process that parses a stranger's file: what it may still ask of the kernel.

`seal` is a list of the few system calls that decoding needs (seccomp). Whatever is not on it fails
with EPERM: no file is opened, no process, socket or signal made, nothing of another process read.
Threads stay possible, since libraries for HEIC use them. `shut_files` takes away every path and,
on newer kernels, TCP and signals (landlock), should the list have a hole. Neither can be undone,
by root neither. Linux on x86_64 and aarch64; elsewhere `supported` is False. Imports nothing of the
project and nothing that is not in Python, because the decoding process loads it.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import signal
import struct
import sys
from dataclasses import dataclass

_PR_SET_PDEATHSIG, _PR_SET_NO_NEW_PRIVS = 1, 38  # <linux/prctl.h>
_SECCOMP_SET_MODE_FILTER, _SECCOMP_GET_ACTION_AVAIL = 1, 2  # <linux/seccomp.h>
_KILL_PROCESS, _ERRNO, _ALLOW = 0x80000000, 0x00050000, 0x7FFF0000
_X32 = 0x40000000  # x86_64's second table of calls, which would go around the first

_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _AND, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x54, 0x06
"""Instructions of classic BPF, <linux/bpf_common.h>."""
_NUMBER, _ARCH, _ARGUMENTS = 0, 4, 16
"""Offsets in struct seccomp_data; of an argument of 64 bits the lower half comes first."""

_CLONE_THREAD, _CLONE_OF_PTHREADS = 0x10000, 0x7D0F00
_PROT_EXEC = 4

_LANDLOCK_CREATE, _LANDLOCK_RESTRICT = 444, 446  # the same on every architecture
_LANDLOCK_VERSION = 1


@dataclass(frozen=True)
class _Machine:
    arch: int  # AUDIT_ARCH_*
    seccomp: int
    clone: int
    clone3: int
    code: tuple[int, int]  # mmap, mprotect: allowed, but not for code
    allowed: tuple[int, ...]


_MACHINES = {
    # read write close fstat lseek munmap brk rt_sigaction rt_sigprocmask rt_sigreturn readv writev
    # sched_yield mremap madvise nanosleep getpid exit gettimeofday sigaltstack gettid futex
    # sched_getaffinity restart_syscall clock_gettime clock_nanosleep exit_group set_robust_list
    # getrandom membarrier rseq
    "x86_64": _Machine(
        0xC000003E,
        317,
        56,
        435,
        (9, 10),
        (
            *(0, 1, 3, 5, 8, 11, 12, 13, 14, 15, 19, 20, 24, 25, 28, 35, 39, 60, 96, 131, 186),
            *(202, 204, 219, 228, 230, 231, 273, 318, 324, 334),
        ),
    ),
    "aarch64": _Machine(
        0xC00000B7,
        277,
        220,
        435,
        (222, 226),
        (
            *(63, 64, 57, 80, 62, 215, 214, 134, 135, 139, 65, 66, 124, 216, 233, 101, 172, 93),
            *(169, 132, 178, 98, 123, 128, 113, 115, 94, 99, 278, 283, 293),
        ),
    ),
}


class _Program(ctypes.Structure):
    """struct sock_fprog."""

    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p))


def supported() -> bool:
    """Whether this kernel gives `seal`; asks, and changes nothing."""
    machine = _machine()
    if machine is None:
        return False
    action = ctypes.c_uint32(_KILL_PROCESS)
    asked = (machine.seccomp, _SECCOMP_GET_ACTION_AVAIL, 0, ctypes.byref(action))
    return _libc().syscall(*asked) == 0


def end_with(parent: int) -> None:
    """Be killed as soon as the thread that started this process ends; `parent` is its process.

    Raises:
        OSError: the parent has ended already, or the kernel refuses. Elsewhere than on Linux
            nothing happens.
    """
    if sys.platform != "linux":
        return
    _agreed(_libc().prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0))
    if os.getppid() != parent:  # it ended before the line above
        raise ProcessLookupError(errno.ESRCH, "the parent has ended")


def shut_files() -> bool:
    """Take away every path, for this process and its children; False where there is no landlock.

    What is open stays open. Needs `PR_SET_NO_NEW_PRIVS`, which it sets, and one free descriptor.

    Raises:
        OSError: the kernel has landlock and refuses it.
    """
    if sys.platform != "linux":
        return False
    libc = _libc()
    version = libc.syscall(_LANDLOCK_CREATE, None, 0, _LANDLOCK_VERSION)
    if version < 1:
        return False
    files = (1 << (13 + sum(version >= since for since in (2, 3, 5)))) - 1
    network = 3 if version >= 4 else 0
    scopes = 3 if version >= 6 else 0  # abstract sockets and signals
    fields = 3 if version >= 6 else 2 if version >= 4 else 1
    rules = struct.pack("<QQQ", files, network, scopes)[: 8 * fields]
    _agreed(libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
    ruleset = _agreed(libc.syscall(_LANDLOCK_CREATE, rules, len(rules), 0))
    try:
        _agreed(libc.syscall(_LANDLOCK_RESTRICT, ruleset, 0))
    finally:
        os.close(ruleset)
    return True


def seal() -> None:
    """From here on only the calls on the list; every thread made later is under it too.

    Raises:
        OSError: the kernel refuses, or there is no list for this machine: ask `supported` first.
    """
    machine = _machine()
    if machine is None:
        raise OSError(errno.ENOSYS, "no list of system calls for this machine")
    libc = _libc()
    code = _filter(machine)
    program = _Program(len(code) // 8, code)
    _agreed(libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
    wanted = (machine.seccomp, _SECCOMP_SET_MODE_FILTER, 0, ctypes.byref(program))
    _agreed(libc.syscall(*wanted))


def _filter(machine: _Machine) -> bytes:
    """The list as a BPF program. Jumps count the instructions that they skip."""
    refuse = _step(_RETURN, _ERRNO | errno.EPERM)
    allow = _step(_RETURN, _ALLOW)
    kill = _step(_RETURN, _KILL_PROCESS)
    steps = [
        _step(_LOAD, _ARCH),
        _step(_EQUAL, machine.arch, yes=1),
        kill,  # another architecture's numbers mean other calls
        _step(_LOAD, _NUMBER),
        _step(_AT_LEAST, _X32, no=1),
        kill,
        # glibc asks for clone3 first, whose flags lie in memory where a filter cannot look.
        _step(_EQUAL, machine.clone3, no=1),
        _step(_RETURN, _ERRNO | errno.ENOSYS),
        # A thread of this process, with the flags of pthread_create and no others.
        _step(_EQUAL, machine.clone, no=6),
        _step(_LOAD, _ARGUMENTS),
        _step(_ANY_BIT, _CLONE_THREAD, no=3),
        _step(_AND, ~_CLONE_OF_PTHREADS & 0xFFFFFFFF),
        _step(_EQUAL, 0, no=1),
        allow,
        refuse,
    ]
    for call in machine.code:
        steps += [
            _step(_EQUAL, call, no=4),
            _step(_LOAD, _ARGUMENTS + 8 * 2),
            _step(_ANY_BIT, _PROT_EXEC, no=1),
            refuse,
            allow,
        ]
    for call in machine.allowed:
        steps += [_step(_EQUAL, call, no=1), allow]
    return b"".join([*steps, refuse])


def _step(operation: int, value: int, yes: int = 0, no: int = 0) -> bytes:
    """One struct sock_filter."""
    return struct.pack("<HBBI", operation, yes, no, value)


def _machine() -> _Machine | None:
    """This machine's numbers; None where they are not known or Python is not 64-bit."""
    if sys.platform != "linux" or sys.maxsize < 2**32 or sys.byteorder != "little":
        return None
    return _MACHINES.get(platform.machine())


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _agreed(result: int) -> int:
    """The result, or the error that the kernel gave."""
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result
