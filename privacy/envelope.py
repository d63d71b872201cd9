"""Secrets for one receiver: HPKE (RFC 9180) to an X25519 key that lives for one message.

    envelope = HPKE seal(DHKEM(X25519), HKDF-SHA256, AES-256-GCM; info = what it is for)

A `Receiver` makes its key when it is asked for it and opens one envelope, in time by its own steady
clock, or none; so nothing that was recorded can be opened later, and a wrong date changes nothing.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

from errors import TamperedError

SUITE = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)

OPEN_WITHIN_S = 60.0
"""Longest from a key's making to its use."""


def seal(public: bytes, plaintext: bytes, info: bytes) -> bytes:
    """Encrypt for the holder of an X25519 key (32 bytes), bound to `info`.

    Raises:
        TamperedError: no such key.
    """
    try:
        return SUITE.encrypt(plaintext, X25519PublicKey.from_public_bytes(public), info)
    except ValueError:
        raise TamperedError from None


class Receiver:
    """Whoever an envelope is for. Thread-safe."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now, self._lock = now, threading.Lock()
        self._key: tuple[X25519PrivateKey, float] | None = None

    def public(self) -> bytes:
        """A new key's public half, 32 bytes; what came before it opens nothing any more."""
        key = X25519PrivateKey.generate()
        with self._lock:
            self._key = key, self._now()
        return key.public_key().public_bytes_raw()

    def open(self, envelope: bytes, info: bytes) -> bytes:
        """Open what `seal` made for the last `public`; the key is gone then, whatever comes.

        Raises:
            TamperedError: another key or `info`, changed bytes, or too late.
        """
        with self._lock:
            known, self._key = self._key, None
        if known is None or self._now() - known[1] > OPEN_WITHIN_S:
            raise TamperedError
        try:
            return SUITE.decrypt(envelope, known[0], info)
        except (InvalidTag, ValueError):
            raise TamperedError from None
