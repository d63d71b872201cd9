"""Carries frames between Ray and one worker process of its machine. It is what runs as a Ray actor.

It sees ciphertext and the random numbers of jobs. When it is asked to, or hears nothing of the
front for half a minute, it ends the worker process at once, which is how everything of a job is
forgotten, says so under the machine's signature, and starts a new one. Imports no Ray: only `agent`
does.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import settings as configuration
from pipeline.cluster.cluster_file import ClusterFile
from pipeline.cluster.frames import Frame, Head
from pipeline.cluster.lines import sign_line
from pipeline.cluster.link import Child, LinkLost

UNHEARD_S = 30.0
"""How long a worker process outlives the last word of the front."""

SHORT_S, MOST_PAUSE_S = 5.0, 60.0
"""A worker process that ends sooner is started again after a pause, longer each time."""

TOGETHER = 64
"""Frames in one answer at most."""

Carried = tuple[str, Head, tuple[bytes, ...]]
"""The name of a worker process; "frame" or "gone" and the head of a frame; the frame's parts."""


class Carrier:
    """One worker process after the other, each with a name of its own. Thread-safe."""

    def __init__(
        self,
        name: str,
        photo_only: bool = False,
        start: Callable[[str, bool], Child] | None = None,
    ) -> None:
        """
        Args:
            name: of this carrier; worker processes are called name.1, name.2 and so on.
            photo_only: whether its workers only make portraits of photos.
        """
        self._name, self._photo_only = name, photo_only
        self._start = start or (lambda worker, photo: Child(worker, photo_only=photo))
        self._signer = ClusterFile.read(Path(configuration.load().cluster)).signer
        self._number, self._job, self._closed = 0, "", False
        self._out: queue.Queue[Carried] = queue.Queue()
        self._heard_at = time.monotonic()
        self._child = self._next()
        threading.Thread(target=self._read, name="read", daemon=True).start()
        threading.Thread(target=self._watch, name="watch", daemon=True).start()

    def worker(self) -> str:
        """The name of the worker process that there is now."""
        return self._child.name

    def take(self, timeout_s: float) -> list[Carried]:
        """What the worker processes sent, none if nothing came in time. Whoever calls this is the
        front, and lives."""
        self._heard_at = time.monotonic()
        taken: list[Carried] = []
        with suppress(queue.Empty):
            taken.append(self._out.get(timeout=timeout_s))
            while len(taken) < TOGETHER:
                taken.append(self._out.get_nowait())
        self._heard_at = time.monotonic()
        return taken

    def give(self, worker: str, head: Head, parts: list[bytes]) -> None:
        """Hand a frame to that worker process, if it is still there."""
        child, frame = self._child, Frame.of(head, parts)
        if child.name == worker:
            if frame.kind == "job":
                self._job = frame.job
            with suppress(LinkLost):
                child.send(frame)

    def kill(self, worker: str) -> None:
        """End that worker process, if it is still there; it is gone when this returns."""
        child = self._child
        if child.name == worker:
            child.kill()

    def close(self) -> None:
        """End the worker process, and start none any more."""
        self._closed = True
        self._child.kill()

    def _next(self) -> Child:
        self._number += 1
        return self._start(f"{self._name}.{self._number}", self._photo_only)

    def _read(self) -> None:
        began, short = time.monotonic(), 0
        while True:
            child = self._child
            try:
                frame = child.receive(3600.0)
            except LinkLost:
                child.close()
                said = {"event": "ended", "job": self._job, "worker": child.name}
                self._out.put((child.name, ["gone"], sign_line(self._signer, **said)))
                if self._closed:
                    return
                short = short + 1 if time.monotonic() - began < SHORT_S else 0
                time.sleep(min(2.0**short - 1.0, MOST_PAUSE_S))  # one that cannot start, say
                began = time.monotonic()
                self._job, self._child = "", self._next()
                continue
            if frame is not None:
                self._out.put((child.name, ["frame", *frame.head()], frame.parts))

    def _watch(self) -> None:
        """End a worker that has something of a job when nobody asks for it any more."""
        while not self._closed:
            time.sleep(1.0)
            if self._job and time.monotonic() - self._heard_at > UNHEARD_S:
                self._child.kill()
                self._heard_at = time.monotonic()
