"""A worker process as somebody reaches it: frames there and back, in order, and its end."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from pipeline import memory
from pipeline.cluster.frames import Frame, Pipe

_ONE_POOL = ("/usr/bin/env", *(f"{name}={value}" for name, value in memory.NO_OTHER_POOLS.items()))

ROOT = Path(__file__).resolve().parents[2]


class LinkLost(Exception):
    """The worker is gone, or cannot be reached."""


class Link(Protocol):
    """One worker process; when it is gone, so is the link."""

    @property
    def name(self) -> str:
        """Of the worker, unlike any other's."""

    def send(self, frame: Frame) -> None:
        """Send a frame.

        Raises:
            LinkLost
        """

    def receive(self, timeout_s: float) -> Frame | None:
        """Return the next frame, None when none comes in time.

        Raises:
            LinkLost
        """

    def kill(self) -> None:
        """End the worker process at once, and with it all that it holds. Never raises."""


class Child:
    """A worker process of this process, on this machine."""

    def __init__(
        self, name: str, environment: Mapping[str, str] | None = None, *, photo_only: bool = False
    ) -> None:
        """
        Args:
            environment: of the process; None is this one's.
            photo_only: it only makes portraits of photos.
        """
        self.name = name
        ours, theirs = socket.socketpair()
        arguments = ["--photo-only"] if photo_only else []
        with theirs:
            self._process = subprocess.Popen(
                [*_ONE_POOL, sys.executable, "-m", "pipeline.cluster.worker", *arguments],
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                cwd=ROOT,
                env=environment,
                start_new_session=True,
            )
        self._pipe = Pipe(ours.detach())
        self._reading = threading.Lock()

    @property
    def pid(self) -> int:
        """The process's number."""
        return self._process.pid

    def send(self, frame: Frame) -> None:
        """See `Link`."""
        try:
            self._pipe.send_frame(frame)
        except (OSError, ValueError):
            raise LinkLost from None

    def receive(self, timeout_s: float) -> Frame | None:
        """See `Link`."""
        try:
            with self._reading:
                return self._pipe.receive_frame(timeout_s)
        except (EOFError, OSError, ValueError):
            raise LinkLost from None

    def kill(self) -> None:
        """See `Link`; returns when the process is gone."""
        with suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGKILL)
        self._process.wait()

    def close(self) -> None:
        """End the process and the pipe."""
        self.kill()
        self._pipe.close()
