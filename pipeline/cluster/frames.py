"""Frames between front and worker, and how they pass through a pipe.

    a line of JSON: some words and how many parts follow | part | part | …
    of a frame: its kind and its job

Whatever carries a frame can read its kind and the random number of its job. Parts are keys, and
ciphertext.
"""

from __future__ import annotations

import json
import os
import socket
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Literal, cast, get_args

Kind = Literal["hello", "key", "job", "talk", "over"]
"""hello: front → worker, [challenge]. key: the answer, [public key, facts, certificate, signature].
job: front → worker, [envelope, what to do, files …]. talk: either way, [what is said, files …].
over: worker → front, nothing of the job is held any more, [line, certificate, signature]."""

MOST_PARTS, MOST_HEAD, MOST_BYTES = 4096, 1024, 1 << 30
"""How many parts, and bytes of the line and of each part."""

Head = list[str]


@dataclass(frozen=True)
class Frame:
    """One message. job: the job's random number as hex, empty before there is one."""

    kind: Kind
    job: str = ""
    parts: tuple[bytes, ...] = ()

    @property
    def size(self) -> int:
        """Bytes of its parts."""
        return sum(map(len, self.parts))

    def head(self) -> Head:
        """What stands before the parts."""
        return [self.kind, self.job]

    @classmethod
    def of(cls, head: Sequence[object], parts: Sequence[bytes]) -> Frame:
        """The frame with this head.

        Raises:
            ValueError: it is the head of something else.
        """
        if len(head) != 2 or head[0] not in get_args(Kind):
            raise ValueError("no frame")
        kind, job = head
        if not isinstance(job, str) or len(job) > 64:
            raise ValueError("no frame")
        return cls(cast("Kind", kind), job, tuple(parts))


class Pipe:
    """Frames through one end of a socket pair. Any thread may send; one receives."""

    def __init__(self, descriptor: int) -> None:
        """descriptor: of the socket; belongs to this from now on."""
        self._connection: Connection = Connection(descriptor)
        self._sending = threading.Lock()

    def send(self, head: Head, parts: Sequence[bytes] = ()) -> None:
        """Send a line and its parts, whole.

        Raises:
            OSError: nobody listens any more.
        """
        with self._sending:
            self._connection.send_bytes(json.dumps([*head, len(parts)]).encode())
            for part in parts:
                self._connection.send_bytes(part)

    def receive(self, timeout_s: float | None = None) -> tuple[Head, tuple[bytes, ...]] | None:
        """The next line and its parts; None when none begins within the time.

        Raises:
            EOFError, OSError: the other end is gone. ValueError: what came is something else.
        """
        if timeout_s is not None and not self._connection.poll(timeout_s):
            return None
        line = json.loads(self._connection.recv_bytes(MOST_HEAD))
        if not isinstance(line, list) or not line or not isinstance(line[-1], int):
            raise ValueError("no head")
        *head, count = line
        if not 0 <= count <= MOST_PARTS or not all(isinstance(one, str) for one in head):
            raise ValueError("no head")
        return head, tuple(self._connection.recv_bytes(MOST_BYTES) for _ in range(count))

    def send_frame(self, frame: Frame) -> None:
        """`send` a frame."""
        self.send(frame.head(), frame.parts)

    def receive_frame(self, timeout_s: float | None = None) -> Frame | None:
        """`receive` a frame."""
        came = self.receive(timeout_s)
        return None if came is None else Frame.of(*came)

    def shut(self) -> None:
        """End the talk: whoever receives, on either side, hears of it."""
        with suppress(OSError), socket.socket(fileno=os.dup(self._connection.fileno())) as same:
            same.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Close this end."""
        with suppress(OSError):
            self._connection.close()
