"""A server whose decoding process was taken over: `decode` is hostile code, all else is real.

    taken_over.py '{"key": …, "vault": …, "port": …}'     the server; prints what was possible
    taken_over.py <max pixels> <long side> <parent>       its decoding process, started by `ingest`

A link to this file called `no_walls.py` does the same with the walls left out.
"""

from __future__ import annotations

import ctypes
import errno
import json
import mmap
import os
import resource
import signal
import socket
import struct
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT))

from PIL import Image  # noqa: E402

from errors import BadPhoto  # noqa: E402
from pipeline.photos import decoder, ingest  # noqa: E402

JPEG = b"\xff\xd8\xff"
FIRST_PROCESS = os.getpid()
IS_ARM = os.uname().machine == "aarch64"
"".encode("idna")  # what Python would load when it connects
CALLS = {  # by their numbers on x86_64 and aarch64
    "clone3": (435, 435),
    "io_uring_setup": (425, 425),
    "pidfd_open": (434, 434),
    "pidfd_getfd": (438, 438),
    "memfd_create": (319, 279),
    "process_vm_readv": (310, 270),
    "bpf": (321, 280),
    "unshare": (272, 97),
    "open_by_handle_at": (304, 265),
    "openat2": (437, 437),
    "setns": (308, 268),
    "shmget": (29, 194),
}


def attempts(at: dict[str, Any]) -> dict[str, str]:
    """Name of each attempt -> "done", or the name of the error."""
    libc = ctypes.CDLL(None, use_errno=True)

    def agreed(result: int) -> None:
        if result == -1:
            raise OSError(ctypes.get_errno(), "")

    def fork() -> None:
        if os.fork() == 0:
            os._exit(0)

    def thread() -> None:
        went = threading.Event()
        threading.Thread(target=went.set).start()
        assert went.wait(10)

    tried: dict[str, Callable[[], object]] = {
        "thread": thread,
        "key": lambda: Path(at["key"]).read_bytes(),
        "vault": lambda: os.listdir(at["vault"]),
        "stat": lambda: os.stat(at["key"]),
        "tcp": lambda: socket.create_connection(("127.0.0.1", at["port"]), timeout=5).close(),
        "socketpair": socket.socketpair,
        "signal to the first process": lambda: os.kill(FIRST_PROCESS, signal.SIGCONT),
        "signal to the server": lambda: os.kill(at["server"], signal.SIGUSR1),
        "fork": fork,
        "more descriptors": lambda: agreed(
            libc.setrlimit(resource.RLIMIT_NOFILE, struct.pack("<QQ", 64, 64))
        ),
        "code in memory": lambda: mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_EXEC),
        "undo the end with the parent": lambda: agreed(libc.prctl(1, 0, 0, 0, 0)),
    }
    for name, numbers in CALLS.items():
        number = numbers[IS_ARM]
        tried[name] = lambda number=number: agreed(libc.syscall(number, 0, 0, 0, 0, 0, 0))  # type: ignore[misc]
    if at["walls"]:
        tried["ptrace"] = lambda: agreed(libc.ptrace(16, FIRST_PROCESS, 0, 0))  # PTRACE_ATTACH
        tried["exec"] = lambda: os.execv("/bin/true", ["true"])
    for descriptor in (1, 2):  # room for new ones
        with suppress(OSError):
            os.close(descriptor)
    results = {}
    for name, attempt in tried.items():
        try:
            attempt()
            results[name] = "done"
        except OSError as why:
            results[name] = errno.errorcode.get(why.errno or 0, repr(why))
        except Exception as why:
            results[name] = repr(why)
    return results


def stay_and_answer() -> None:
    """Answer as a healthy fork would, claim to have ended, and wait for the next photo."""
    for descriptor in (3, 2, 1):
        with suppress(OSError):
            os.write(
                descriptor, decoder.REPLY.pack(b"ok", 1, 1) + bytes(3) + decoder.ENDED.pack(b".", 0)
            )
    os.read(0, 1 << 20)
    os.write(3, decoder.REPLY.pack(b"ok", 1, 1) + b"\xff\xff\xff")
    while True:
        time.sleep(1)


def hostile(data: bytes, name: str, max_pixels: int, long_side: int) -> Image.Image:
    """In place of `decoder.decode`; the answer is JSON, one byte for each red value."""
    at = json.loads(data.removeprefix(JPEG))
    if at.get("do") == "stay":
        stay_and_answer()
    if at.get("do") == "sleep":
        time.sleep(600)
    while at.get("do") == "burn":
        pass
    if at.get("do") == "x32":
        ctypes.CDLL(None).syscall(0x40000000 + 39)
    told = json.dumps(attempts(at) if "key" in at else {}).encode()
    image = Image.new("RGB", (len(told), 1))
    image.putdata([(byte, 0, 0) for byte in told])
    return image


def as_server(requests: list[dict[str, Any]]) -> list[Any]:
    """What each request was answered, or the code of its refusal; last the number of signals."""
    signals: list[int] = []
    signal.signal(signal.SIGUSR1, lambda number, _: signals.append(number))
    ingest.DECODER = Path(__file__)
    answers: list[Any] = []
    limits = {"max_bytes": 10_000, "max_pixels": 50_000_000, "workers": 1}
    with ingest.Decoder(**limits, timeout_s=requests[0].get("timeout_s", 20)) as opened:
        for request in requests:
            try:
                data = JPEG + json.dumps(request | {"server": os.getpid()}).encode()
                answers.append(json.loads(bytes(opened.decode(data)[0, :, 0])))
            except (BadPhoto, ValueError) as bad:
                answers.append(bad.code if isinstance(bad, BadPhoto) else "the hostile answer")
    return [*answers, len(signals)]


if __name__ == "__main__":
    if len(sys.argv) == 2:
        print(json.dumps(as_server(json.loads(sys.argv[1]))))
    else:
        decoder.decode = hostile
        if Path(__file__).name == "no_walls.py":
            decoder.give_up_rights = lambda max_pixels: None
            decoder.shut_in = lambda parent, sealed: None
        decoder.main()
