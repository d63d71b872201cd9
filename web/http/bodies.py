"""How much of a request's body is read, and for how long: an ASGI layer before any session.

Everything but an upload is small. It is read here, up to 16 KB, and handed on whole, so that no
route ever waits for a body or holds a large one. Gradio's events (256 KB) and uploads are read
later, by whoever knows the visitor's session, and so is a picture for `/check`, once it has a place
(`heavy`); here they get a deadline only. What an upload may hold in memory is counted in
`web/uploads`.
"""

from __future__ import annotations

import asyncio
import time

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from web.http.errors import refusal
from web.http.firewall import API, replay
from words import say

MAX_BODY_BYTES = 16 * 1024
DEADLINE_S = 10.0
CHECK_DEADLINE_S = 60.0
# An upload may wait a minute in all, and a second more for each KB that came: a phone in a train
# gets through, a connection that only holds its place does not.
_PATIENCE_S, _SLOWEST_BYTES_PER_S = 60.0, 1024

_UPLOAD = f"{API}/upload"
_EVENT = f"{API}/queue/join"
_CHECK = "/check"
_FORMS_WITH_FILES = {"/receipt", "/receipt/likeness-receipt.json"}


class _Refused(Exception):
    """The body is not read any further."""

    def __init__(self, status: int, key: str) -> None:
        self.status, self.key = status, key


class Bodies:
    """ASGI middleware between the edge and the firewall."""

    def __init__(self, app: ASGIApp, deadline_s: float = DEADLINE_S) -> None:
        self._app = app
        self._deadline_s = deadline_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] in ("GET", "HEAD"):
            await self._app(scope, receive, send)
            return
        request = Request(scope, receive)
        try:
            if scope["path"] == _UPLOAD:
                receive = _patient(receive)
            elif scope["path"] == _EVENT:
                receive = _hurried(receive, self._deadline_s)
            elif scope["path"] == _CHECK:
                receive = _hurried(receive, CHECK_DEADLINE_S)
            else:
                receive = replay(await self._read(request), receive)
            await self._app(scope, receive, send)
        except _Refused as why:
            # What is still to come of the body is not waited for.
            answer = refusal(request, why.status, say(why.key))
            answer.headers["connection"] = "close"
            await answer(scope, request.receive, send)

    async def _read(self, request: Request) -> bytes:
        """A small body, whole; what there is of it when the client leaves."""
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        # A file in a form would be spooled to the disk, in the clear.
        if kind == "multipart/form-data" and request.scope["path"] not in _FORMS_WITH_FILES:
            raise _Refused(415, "errors.not_understood")
        length = request.headers.get("content-length", "0")
        if not length.isascii() or not length.isdigit() or int(length[:9]) > MAX_BODY_BYTES:
            raise _Refused(413, "errors.too_large")
        receive, body = _hurried(request.receive, self._deadline_s), bytearray()
        more = True
        while more:
            message = await receive()
            body += message.get("body", b"")
            if len(body) > MAX_BODY_BYTES:
                raise _Refused(413, "errors.too_large")
            more = message.get("more_body", False)
        return bytes(body)


def _hurried(receive: Receive, deadline_s: float) -> Receive:
    """A `receive` that must have given everything before the deadline, from its first call on."""
    ends: float | None = None
    done = False

    async def hurried() -> Message:
        nonlocal ends, done
        if done:  # from now on it only waits for the client to leave
            return await receive()
        ends = ends or time.monotonic() + deadline_s
        try:
            message = await asyncio.wait_for(receive(), ends - time.monotonic())
        except TimeoutError:
            raise _Refused(408, "errors.too_slow") from None
        done = not message.get("more_body", False)
        return message

    return hurried


def _patient(receive: Receive) -> Receive:
    """A `receive` for uploads; one that hardly moves ends as if the client had left.

    Only waiting for the client counts, not the time in which the server is busy with other photos.
    """
    waited, received, done = 0.0, 0, False

    async def patient() -> Message:
        nonlocal waited, received, done
        if done:
            return await receive()
        since = time.monotonic()
        patience = _PATIENCE_S + received / _SLOWEST_BYTES_PER_S - waited
        try:
            message = await asyncio.wait_for(receive(), patience)
        except TimeoutError:
            done = True
            return {"type": "http.disconnect"}
        waited += time.monotonic() - since
        received += len(message.get("body", b""))
        done = not message.get("more_body", False)
        return message

    return patient
