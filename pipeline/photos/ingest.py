"""Pixels out of bytes: a photo goes in as it was uploaded and comes out as an array, or not at all.

The bytes are looked at here only as far as their length and first twelve bytes; parsing happens
in `decoder.py`, in processes with hard limits. Bytes travel through pipes and stay in RAM.
Knows nothing of faces, sessions or the vault.
"""

from __future__ import annotations

import math
import os
import queue
import select
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import numpy as np
import structlog
from numpy.typing import NDArray

from errors import BadPhoto, Busy
from pipeline.photos import decoder, sandbox
from pipeline.photos.cpu_budget import CpuBudget
from pipeline.photos.record import FileData

LONG_SIDE = 2048
"""Most pixels on the longer side of what comes out: a face on half of it still has 1024."""
TIMEOUT_S = 30.0
"""Wall time for one photo, from the first byte sent to the last received."""

DECODER = Path(decoder.__file__).resolve()
_HEIF_BRANDS = frozenset((b"heic", b"heix", b"heim", b"heis", b"mif1"))

log = structlog.get_logger()


class Decoder:
    """A small pool of decoding processes, started when first needed. Thread-safe.

    As many photos are opened at once as there are workers; further callers wait.
    """

    def __init__(
        self,
        *,
        max_bytes: int,
        max_pixels: int,
        workers: int = 2,
        timeout_s: float = TIMEOUT_S,
        cpu_s_per_hour: float = math.inf,
    ) -> None:
        self._max_bytes = max_bytes
        self._max_pixels = max_pixels
        self._closed = False
        self._cpu = CpuBudget(cpu_s_per_hour)
        if not sandbox.supported():
            log.warning("photos_opened_without_walls", because="this kernel gives no seccomp")
        # A decoding process ends with the thread that started it, so that is a thread that stays.
        self._starter = ThreadPoolExecutor(1, "decoder-starter")
        self._workers = [_Worker(max_pixels, timeout_s, self._starter) for _ in range(workers)]
        # Last in, first out: one visitor at a time needs only one process.
        self._idle: queue.LifoQueue[_Worker] = queue.LifoQueue()
        for worker in self._workers:
            self._idle.put(worker)

    def decode(self, data: FileData, owner: str = "") -> NDArray[np.uint8]:
        """The photo as uint8 [H, W, 3] in sRGB, upright, the longer side at most `LONG_SIDE`.

        Transparent pixels become white. Nothing but pixels survives. owner: whose processor time
        it takes.

        Raises:
            BadPhoto: code "empty", "too_large_file", "not_a_photo", "too_many_pixels",
                "too_many_scans", "animated", "unreadable" or "timeout".
            Busy: the owner has spent `cpu_s_per_hour`, or the server is shutting down.
        """
        if not data:
            raise _refusal("empty")
        if len(data) > self._max_bytes:
            raise _refusal("too_large_file", megabytes=self._max_bytes / 1e6)
        name = sniff(data)
        if name is None:
            raise _refusal("not_a_photo")
        self._cpu.require(owner)
        worker = self._idle.get()
        try:
            if self._closed:
                raise Busy("errors.stopping")
            return worker.decode(data, name)
        except _Refused as refused:
            most = decoder.most_pixels(self._max_pixels, name)
            raise _refusal(refused.code, megapixels=most / 1e6) from None
        finally:
            self._cpu.spend(owner, worker.cpu_s)
            self._idle.put(worker)

    def close(self) -> None:
        """End every process, also one at work; the photo it was opening is refused."""
        self._closed = True
        for worker in self._workers:
            worker.kill()
        self._starter.shutdown(wait=False)

    def __enter__(self) -> Decoder:
        return self

    def __exit__(self, *problem: object) -> None:
        self.close()


def sniff(data: FileData) -> str | None:
    """Pillow's name for the format the first bytes announce; None if it is not one of ours."""
    if data[:3] == b"\xff\xd8\xff":
        return "JPEG"
    if data[:8] == b"\x89PNG\r\n\x1a\n":
        return "PNG"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WEBP"
    if data[4:8] == b"ftyp" and bytes(data[8:12]) in _HEIF_BRANDS:
        return "HEIF"
    return None


_CODES = {
    decoder.TOO_MANY_PIXELS: "too_many_pixels",
    decoder.TOO_MANY_SCANS: "too_many_scans",
    decoder.ANIMATED: "animated",
    decoder.UNREADABLE: "unreadable",
}


def _refusal(code: str, **numbers: float) -> BadPhoto:
    return BadPhoto(f"verdict.{code}", **numbers)


class _Refused(Exception):
    """A worker did not open the photo; `code` is one that `Decoder.decode` names."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class _Worker:
    """One decoding process, started when needed and replaced after it died.

    Used by one thread at a time, except `kill`. Whatever the process answers is not trusted:
    it may have been taken over by the photo it opened. `cpu_s` is what the last photo took of the
    processor; that is the kernel's word.
    """

    cpu_s = 0.0

    def __init__(self, max_pixels: int, timeout_s: float, starter: ThreadPoolExecutor) -> None:
        self._max_pixels = max_pixels
        self._timeout_s = timeout_s
        self._starter = starter
        self._process: subprocess.Popen[bytes] | None = None

    def decode(self, data: FileData, name: str) -> NDArray[np.uint8]:
        """The pixels of a file of the format `name`; raises `_Refused`."""
        self.cpu_s = 0.0
        process = self._running()
        started = time.monotonic()
        expired = threading.Event()

        def expire() -> None:
            expired.set()
            _kill(process)

        watchdog = threading.Timer(self._timeout_s, expire)
        watchdog.start()
        try:
            _send(process, data, name)
            code, pixels = _receive(process)
            self.cpu_s = _ended(process)
        except (OSError, EOFError, ValueError):  # it died, or answered nonsense
            self.kill()
            self.cpu_s = min(time.monotonic() - started, decoder.CPU_SECONDS)
            overdue = expired.is_set() or process.returncode == decoder.OUT_OF_TIME
            raise _Refused("timeout" if overdue else "unreadable") from None
        finally:
            watchdog.cancel()
        if code in _CODES:
            raise _Refused(_CODES[code])
        return pixels

    def kill(self) -> None:
        if self._process is not None:
            _kill(self._process)

    def _running(self) -> subprocess.Popen[bytes]:
        process = self._process
        if process is None or process.poll() is not None or _has_more_to_say(process):
            self.kill()
            try:
                process = self._starter.submit(_start, self._max_pixels).result()
            except RuntimeError:  # `Decoder.close` was quicker
                raise Busy("errors.stopping") from None
            self._process = process
        return process


def _start(max_pixels: int) -> subprocess.Popen[bytes]:
    """A decoding process: no environment, no descriptor but its pipes, a group of its own."""
    return subprocess.Popen(
        [sys.executable, "-I", str(DECODER), str(max_pixels), str(LONG_SIDE), str(os.getpid())],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        bufsize=0,
        env={"MALLOC_ARENA_MAX": "1"},
        cwd="/",
        start_new_session=True,  # so that the fork at work can be killed with it
    )


def _kill(process: subprocess.Popen[bytes]) -> None:
    """End a process and its fork; harmless when it has ended already."""
    with suppress(ProcessLookupError):  # another thread was quicker
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _has_more_to_say(process: subprocess.Popen[bytes]) -> bool:
    """Bytes after the last reply: somebody wants to answer for the next visitor's photo."""
    assert process.stdout is not None
    assert process.stderr is not None
    return bool(select.select([process.stdout, process.stderr], [], [], 0)[0])


def _send(process: subprocess.Popen[bytes], data: FileData, name: str) -> None:
    """Send one file; raises OSError if the process died."""
    assert process.stdin is not None
    _write(process.stdin.fileno(), decoder.REQUEST.pack(name.encode(), len(data)))
    _write(process.stdin.fileno(), data)


def _receive(process: subprocess.Popen[bytes]) -> tuple[str, NDArray[np.uint8]]:
    """One answer: "ok" and a picture, or a key of `_CODES` and an empty one.

    Raises:
        OSError, EOFError: the process died.
        ValueError: the answer is not one that a healthy process gives.
    """
    assert process.stdout is not None
    source = process.stdout.fileno()
    code, width, height = decoder.REPLY.unpack(_read(source, decoder.REPLY.size))
    code = code.rstrip(b"\0").decode()
    if code in _CODES:
        return code, np.empty((0, 0, 3), np.uint8)
    if code != "ok" or not (0 < max(width, height) <= LONG_SIDE and min(width, height) > 0):
        raise ValueError("the decoder's answer makes no sense")
    pixels = _read(source, width * height * 3)
    return code, np.frombuffer(pixels, np.uint8).reshape(height, width, 3)


def _ended(process: subprocess.Popen[bytes]) -> float:
    """Wait until the fork has ended: one that answers and stays would read the next visitor's photo
    from the same pipe. Returns the processor time that it took, s.

    Raises:
        OSError, EOFError: the process died.
        ValueError: somebody but the first process said so.
    """
    assert process.stderr is not None
    said, took_ms = decoder.ENDED.unpack(_read(process.stderr.fileno(), decoder.ENDED.size))
    if said != b".":
        raise ValueError("something but the first process said that the fork has ended")
    return took_ms / 1000


def _write(sink: int, data: FileData) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(sink, view) :]


def _read(source: int, length: int) -> bytearray:
    """Exactly `length` bytes, or EOFError."""
    data = bytearray(length)
    view = memoryview(data)
    while view:
        count = os.readv(source, [view])
        if count == 0:
            raise EOFError
        view = view[count:]
    return data
