"""Names that Gradio's browser code believes to be uploaded files.

Gradio wants a path for each upload and later sends it back. Ours lead nowhere on this machine
(`gradio_guard.NOWHERE`) and are bound to one session by a keyed hash, so a name that was copied
from another visitor is as worthless as an invented one. Nothing is stored: the hash is the check.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets

from errors import UnknownSession
from web.gradio.guard import NOWHERE

_NAME = re.compile(re.escape(NOWHERE) + r"/([0-9a-f]{32})/([a-z]+-[0-9]{1,6})\.png")


class VirtualFiles:
    """Binds names to sessions with a key that lives as long as the process."""

    def __init__(self) -> None:
        self._key = secrets.token_bytes(32)

    def path(self, session_id: str, photo_id: str) -> str:
        """The name of one of this session's photos."""
        return f"{NOWHERE}/{self._seal('file', session_id, photo_id)}/{photo_id}.png"

    def photo_id(self, session_id: str, path: object) -> str:
        """The photo behind a name that a browser sent.

        Raises:
            UnknownSession: not a name that this session was given.
        """
        match = _NAME.fullmatch(path) if isinstance(path, str) else None
        if match is None or not hmac.compare_digest(
            match[1], self._seal("file", session_id, match[2])
        ):
            raise UnknownSession
        return match[2]

    def event_channel(self, session_id: str, session_hash: str) -> str:
        """The name of a page's event stream inside Gradio.

        A browser picks its `session_hash` with Math.random(). Gradio never sees it: it gets this
        instead, so that two visitors who send the same one can still not hear each other.
        """
        return self._seal("events", session_id, session_hash)

    def _seal(self, *parts: str) -> str:
        message = "\0".join(parts).encode("utf-8", "surrogatepass")
        return hmac.new(self._key, message, hashlib.sha256).hexdigest()[:32]
