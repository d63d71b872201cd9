"""Few at once of what takes long: an ASGI layer before any route, and so before any thread.

Every route and every look into the vault runs in one of forty threads that all visitors share. What
takes long, or can be asked for in masses, gets a few of them by kind: the rest stays for pages that
ask how things are. Sessions take turns; one that asks for more than a page ever does is told to
wait, and so is whoever waited too long. Waiting here costs no thread.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from errors import Busy, UnknownSession
from web.http.cookies import cookie_name, guest_ticket_of
from web.http.errors import refusal
from web.http.limits import ConcurrencyLimiter, address_of
from web.http.turns import Turns
from web.services import Services
from words import say

RETRY_S = 10
"""Seconds after which whoever was refused may ask again."""


@dataclass(frozen=True)
class Kind:
    """Requests that take long in one way.

    places: how many are worked on at once, for everybody. each: how many of one visitor are under
    way at once, waiting ones too. wait_s: how long one waits for its place.
    """

    paths: str
    places: int
    each: int
    wait_s: float = 30.0


VISITORS = (
    Kind("GET /portrait/[^/]+/download", places=3, each=24),
    Kind("GET /portraits\\.zip", places=2, each=3),
    Kind("GET /portrait/[^/]+/moving/(preview|still)", places=1, each=4),
    # What comes after the first frames has turns of its own.
    Kind("(GET|POST) /portrait/[^/]+/(clip|moving/shared)", places=2, each=4),
    Kind("(GET|POST) /session/hand-in", places=2, each=6),
    # A page shows hundreds, and asks for all that can be seen at once.
    Kind("GET /portrait/[^/]+", places=4, each=250, wait_s=60.0),
    # The editor has limits of its own, but waits in a thread.
    Kind("(GET|POST) /studio-(portrait|photos|figure/.*|frames/.*|wall/.*\\.jpg)", 6, 12),
    Kind("POST /photos/samples", places=8, each=1),
    # These wait until a job has ended; and who wants to be forgotten has patience.
    Kind("POST /session/delete(-model)?", places=4, each=4, wait_s=120.0),
)
GUESTS = (Kind("GET /shared/portrait/[^/]+(/moving)?", places=2, each=100),)
ANYBODY = (
    Kind("(GET /goodbye|POST /receipt.*|GET /receipts/log)", places=2, each=200),
    # A body is read only from its place on, so these hold two files in memory.
    Kind("POST /check", places=2, each=20),
)


class _Line:
    """The places of one kind and who waits for them; `who` tells visitors apart."""

    def __init__(self, kind: Kind, who: Callable[[Request], str]) -> None:
        self.fits = re.compile(kind.paths).fullmatch
        self.who, self.each = who, ConcurrencyLimiter(kind.each)
        self._turns, self._wait_s = Turns(kind.places), kind.wait_s

    async def place(self, who: str) -> Callable[[], None]:
        """Wait for a place; what gives it back, however often it is called.

        Raises:
            TimeoutError: there was none in time.
        """
        async with asyncio.timeout(self._wait_s):
            await self._turns.take(who)
        held = True

        def give_back() -> None:
            nonlocal held
            if held:
                held = False
                self._turns.give_back()

        return give_back


class Heavy:
    """ASGI middleware between the firewall and the routes."""

    def __init__(self, app: ASGIApp, services: Services) -> None:
        self._app = app
        sessions, settings = services.sessions, services.settings

        def visitor(request: Request) -> str:
            return sessions.open(request.cookies.get(cookie_name(settings))).id

        def guest(request: Request) -> str:
            return sessions.shares.open(guest_ticket_of(request, settings)).share_id

        kinds = ((VISITORS, visitor), (GUESTS, guest), (ANYBODY, address_of))
        self._lines = [_Line(kind, who) for of, who in kinds for kind in of]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        line = self._line(scope)
        if line is None:
            await self._app(scope, receive, send)
            return
        request = Request(scope, receive)
        try:
            who = await run_in_threadpool(line.who, request)
        except UnknownSession:
            await self._app(scope, receive, send)  # which says so
            return
        with ExitStack() as held:
            try:
                held.enter_context(line.each.hold(who))
                give_back = await line.place(who)
            except Busy:
                await _refuse(request, send, 429, "errors.too_often")
                return
            except TimeoutError:
                await _refuse(request, send, 503, "errors.crowded")
                return
            held.callback(give_back)
            await self._app(scope, receive, _then(give_back, send))

    def _line(self, scope: Scope) -> _Line | None:
        if scope["type"] != "http":
            return None
        asked = f"{scope['method']} {scope['path']}"
        return next((line for line in self._lines if line.fits(asked)), None)


def _then(give_back: Callable[[], None], send: Send) -> Send:
    """A `send` that gives the place back when the work is done: a slow client holds none."""

    async def sending(message: Message) -> None:
        give_back()
        await send(message)

    return sending


async def _refuse(request: Request, send: Send, status: int, key: str) -> None:
    answer = refusal(request, status, say(key))
    answer.headers["retry-after"] = str(RETRY_S)
    await answer(request.scope, request.receive, send)
