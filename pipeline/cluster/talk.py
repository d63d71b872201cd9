"""What front and worker say to each other during one job, under a key that only they have.

    key of a direction = HKDF-SHA256(job's key, info = "likeness/talk/v1" | from whom | job)
    part 0             = AES-256-GCM(key, nonce = number of the message, JSON (deflated),
                                     aad = SHA-256 of each further part)
    further parts      = files, encrypted under the session's data key already

So nothing can be read, changed, left out, repeated, put in another order or into another job.
"""

from __future__ import annotations

import hashlib
import json
import threading
import zlib
from collections.abc import Sequence
from typing import Any, Literal

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from errors import TamperedError
from privacy.stream import associated_data

Side = Literal["front", "worker"]

MOST_BYTES = 16 << 20
"""Of what is said in one message, without files."""


class Talk:
    """One side of a job's talk. Thread-safe."""

    def __init__(self, key: bytes, job: str, side: Side) -> None:
        """key: 32 random bytes, of this job alone."""
        other: Side = "worker" if side == "front" else "front"
        self._to, self._from = _cipher(key, job, side), _cipher(key, job, other)
        self._said = self._heard = 0
        self._lock = threading.Lock()

    def say(self, what: dict[str, Any], files: Sequence[bytes] = ()) -> tuple[bytes, ...]:
        """The parts of the next frame; they have to be sent in the order of these calls."""
        with self._lock:
            number, self._said = self._said, self._said + 1
        packed = zlib.compress(json.dumps(what).encode())
        sealed = self._to.encrypt(_nonce(number), packed, _digests(files))
        return (sealed, *files)

    def hear(self, parts: Sequence[bytes]) -> tuple[dict[str, Any], tuple[bytes, ...]]:
        """What the other side said next, and the files that came along.

        Raises:
            TamperedError: it is not what they said next.
        """
        if not parts:
            raise TamperedError
        sealed, files = parts[0], tuple(parts[1:])
        with self._lock:
            try:
                packed = self._from.decrypt(_nonce(self._heard), sealed, _digests(files))
                unpacking = zlib.decompressobj()
                what = unpacking.decompress(packed, MOST_BYTES)
            except (InvalidTag, zlib.error):
                raise TamperedError from None
            self._heard += 1
        try:
            said = json.loads(what if unpacking.eof else b"")
        except (ValueError, RecursionError):
            raise TamperedError from None
        if not isinstance(said, dict):
            raise TamperedError
        return said, files


def signed(challenge: bytes, public: bytes, facts: bytes) -> bytes:
    """What a worker signs: that this key is its own, now."""
    return associated_data("likeness/worker/v1", challenge.hex(), public.hex(), facts.decode())


def released(line: bytes) -> bytes:
    """What is signed when nothing of a job is held any more."""
    return associated_data("likeness/released/v1", line.decode())


def job_info(job: str) -> bytes:
    """What an envelope is bound to, beside the key of one worker."""
    return associated_data("likeness/job/v1", job)


def _cipher(key: bytes, job: str, side: Side) -> AESGCM:
    info = associated_data("likeness/talk/v1", side, job)
    return AESGCM(HKDF(SHA256(), 32, salt=None, info=info).derive(key))


def _nonce(number: int) -> bytes:
    return number.to_bytes(12, "big")


def _digests(files: Sequence[bytes]) -> bytes:
    return b"".join(hashlib.sha256(file).digest() for file in files)
