"""The token that opens the admin page, in a file that only its owner can read (`LIKENESS_ADMIN`).

In memory there is its hash alone, and texts are compared by their hashes, in constant time.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import secrets
from pathlib import Path

from errors import BadSettings
from privacy.private_toml import private_bytes

LEAST = 32
"""Characters of a token."""

_SETTING = "LIKENESS_ADMIN"
_TOKEN = re.compile(rb"[\x21-\x7e]+")


class Token:
    """A token that was read from its file."""

    def __init__(self, file: Path) -> None:
        """
        Raises:
            BadSettings: the file cannot be read, can be read by others, or holds no token.
        """
        text = private_bytes(_SETTING, file).strip()
        if len(text) < LEAST or not _TOKEN.fullmatch(text):
            raise BadSettings(
                f"{_SETTING}: the file {file} does not hold one token of at least {LEAST} letters, "
                "digits or signs; python -m web.admin --new-token FILE makes one."
            )
        self._hash = _hash(text)

    def is_(self, text: str) -> bool:
        """Whether a text is the token."""
        return hmac.compare_digest(self._hash, _hash(text.encode("utf-8", "replace")))


def make(file: Path) -> None:
    """Write a new token into a new file that only its owner can read.

    Raises:
        BadSettings: there is a file already, or it cannot be written.
    """
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "w") as out:
            out.write(f"{secrets.token_urlsafe(LEAST)}\n")
    except OSError as problem:
        reason = (problem.strerror or "unknown").lower()
        raise BadSettings(f"The token cannot be written to {file} ({reason}).") from None


def _hash(text: bytes) -> bytes:
    return hashlib.sha256(text).digest()
