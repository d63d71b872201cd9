"""What may pass to the application: an ASGI layer in front of our routes and of Gradio.

1. `Host` must be a name of this server, or an address (`hosts`). Anything but GET must come from a
   page of it (`Origin`). HEAD arrives here as GET.
2. Below `/studio/` everything is refused except the few routes that the page needs, and these
   need a session. Gradio has about seventy more: API info, monitoring, deep links, run history,
   a proxy, file reading. None of them can be reached.
3. What does pass to Gradio is cut to what is the visitor's own: every file named in an event must
   be theirs, no event may carry a URL, and event streams are renamed per session (`virtual`).
   Query strings go no further than here.

It knows nothing of what the page does. Denials look like the 404 of an unknown page.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode, urlsplit

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from errors import UnknownSession
from privacy.sessions import Session
from settings import Settings
from web.gradio.upload_names import VirtualFiles
from web.http import hosts
from web.http.cookies import cookie_name, is_ticket
from web.http.errors import not_found, refusal
from web.services import Services
from words import say

STUDIO = "/studio"
API = f"{STUDIO}/gradio_api"
_MAX_EVENT_BYTES = 256 * 1024
_MAX_HOST = 253 + len(":65535")  # DNS allows no longer name

_ASSET = re.compile(rf"{STUDIO}/(assets|static)(/[\w.-]+)+")
_HEARTBEAT = re.compile(rf"{API}/heartbeat/([\w-]{{1,64}})")
_CHANNEL = re.compile(r"[\w-]{1,64}")
_OPEN_TO_SESSIONS = {
    ("GET", f"{STUDIO}/"),
    ("GET", f"{STUDIO}/theme.css"),
    ("GET", f"{API}/upload_progress"),
    ("GET", f"{API}/queue/data"),
    ("POST", f"{API}/queue/join"),
    ("POST", f"{API}/upload"),
}
_URL = re.compile(r"\s*(https?|data|file|ftp|blob|javascript):", re.IGNORECASE)


class Firewall:
    """ASGI middleware between the edge and the routes."""

    def __init__(
        self, app: ASGIApp, services: Services, files: VirtualFiles, events: frozenset[int]
    ) -> None:
        self._app = app
        self._services = services
        self._files = files
        self._events = events

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        elif scope["type"] == "http":
            request = Request(scope, receive)
            answer = await self._refusal(request)
            if answer is not None:
                await answer(scope, receive, send)
            elif scope["path"].startswith(f"{STUDIO}/"):
                await self._studio(request, send)
            else:
                await self._app(scope, receive, send)
        # Anything else is a websocket: nothing here speaks it.

    async def _refusal(self, request: Request) -> Response | None:
        """Why this request stops here, None when it may go on."""
        settings = self._services.settings
        # A private link is made of it, and drawn as a code that holds only so much.
        if len(request.headers.get("host", "")) > _MAX_HOST:
            return refusal(request, 400, say("errors.not_understood"))
        if not hosts.is_ours(request.headers.get("host", ""), settings):
            return refusal(request, 421, say("errors.foreign_host"), for_operator=True)
        if request.method not in ("GET", "HEAD") and not from_our_page(request, settings):
            return refusal(request, 403, say("errors.foreign_origin"), for_operator=True)
        path = request.scope["path"]
        if path == STUDIO:
            return RedirectResponse(f"{STUDIO}/", 303)
        if path.startswith(f"{STUDIO}/") and not _allowed(request.method, path):
            return not_found(request)
        return None

    async def _studio(self, request: Request, send: Send) -> None:
        """Pass an allowed request on, cut to what is the visitor's own."""
        scope, receive = dict(request.scope), request.receive
        path = scope["path"]
        try:
            session = await self._session_of(request)
            channel = request.query_params.get("session_hash", "")
            scope["query_string"] = b""
            if path == f"{API}/queue/data":
                query = {"session_hash": self._channel(session, channel)}
                scope["query_string"] = urlencode(query).encode()
            elif beat := _HEARTBEAT.fullmatch(path):
                scope["path"] = f"{API}/heartbeat/{self._channel(session, beat[1])}"
                scope["raw_path"] = scope["path"].encode()
            elif path == f"{API}/queue/join":
                receive = replay(await self._own_event(request, session), receive)
                scope["headers"] = [
                    (name, value) for name, value in scope["headers"] if name != b"content-length"
                ]
        except UnknownSession:
            at_the_door = path == f"{STUDIO}/"
            answer = self._away(request) if at_the_door else not_found(request)
            await answer(request.scope, request.receive, send)
            return
        await self._app(scope, receive, send)

    def _away(self, request: Request) -> Response:
        """To the first page, which says why. That everything was erased is said to who had a
        session; who brings no cookie may have a browser that keeps none."""
        had_one = is_ticket(request.cookies.get(cookie_name(self._services.settings)))
        return RedirectResponse("/?ended=1" if had_one else "/?cookies=0", 303)

    async def _session_of(self, request: Request) -> Session:
        ticket = request.cookies.get(cookie_name(self._services.settings))
        return await run_in_threadpool(self._services.sessions.open, ticket)

    def _channel(self, session: Session, name: object) -> str:
        if not isinstance(name, str) or not _CHANNEL.fullmatch(name):
            raise UnknownSession
        return self._files.event_channel(session.id, name)

    async def _own_event(self, request: Request, session: Session) -> bytes:
        """The body of an event, rewritten for Gradio.

        Raises:
            UnknownSession: it is too long, no JSON, or names anything that is not this session's.
        """
        body = bytearray()
        async for chunk in request.stream():
            body += chunk
            if len(body) > _MAX_EVENT_BYTES:
                raise UnknownSession
        try:
            event = json.loads(body)
        except (ValueError, RecursionError):
            raise UnknownSession from None
        number = event.get("fn_index") if isinstance(event, dict) else None
        if type(number) is not int or number not in self._events:  # True would be 1
            raise UnknownSession
        for name, value in _leaves(event.get("data")):
            if name == "path":
                self._files.photo_id(session.id, value)
            elif isinstance(value, str) and _URL.match(value) and not self._own_url(name, value):
                raise UnknownSession
        return json.dumps(
            {
                "data": event.get("data"),
                "fn_index": event["fn_index"],
                "trigger_id": event.get("trigger_id"),
                "session_hash": self._channel(session, event.get("session_hash")),
            }
        ).encode()

    def _own_url(self, name: str, value: str) -> bool:
        """Gradio's page adds the address of an uploaded file. Its path is checked beside it."""
        return name == "url" and urlsplit(value).path.startswith(f"{API}/file=")


def from_our_page(request: Request, settings: Settings) -> bool:
    """Whether the request was made by a page of this server.

    Browsers send `Origin` with everything but GET and HEAD. A missing one, or the "null" of a
    sandboxed page, counts as foreign.
    """
    scheme, _, host = request.headers.get("origin", "").partition("://")
    return bool(host) and host == request.headers.get("host") and scheme in _schemes(settings)


def _schemes(settings: Settings) -> tuple[str, ...]:
    return ("https",) if settings.https else ("http",)


def _allowed(method: str, path: str) -> bool:
    if (method, path) in _OPEN_TO_SESSIONS:
        return True
    if method != "GET" or "/.." in path:
        return False
    is_file = path.startswith(f"{API}/file=")
    return is_file or bool(_ASSET.fullmatch(path) or _HEARTBEAT.fullmatch(path))


def _leaves(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Every value in nested JSON that is neither list nor object, with the name of its key.

    What stands under "path" comes out whole, so that nothing can hide in a list there.
    """
    waiting = [(name, value)]
    while waiting:
        name, value = waiting.pop()
        if isinstance(value, dict) and name != "path":
            waiting += [(str(key), item) for key, item in value.items()]
        elif isinstance(value, list) and name != "path":
            waiting += [(name, item) for item in value]
        else:
            yield name, value


def replay(body: bytes, afterwards: Receive) -> Receive:
    """A `receive` that hands out a body that was read before, then what comes afterwards."""
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> Message:
        return messages.pop() if messages else await afterwards()

    return receive
