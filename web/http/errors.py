"""The outermost layer: language, headers of every response, last resort for what went wrong.

This is the one place of the web layer that catches everything. A visitor gets a plain sentence and
a random reference number; the log gets the same number, the kind of the error and where in the
code it happened, and nothing that a visitor sent.
"""

from __future__ import annotations

import math
import secrets
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from errors import (
    BadOrder,
    BadPhoto,
    BaseUnavailable,
    Busy,
    DiskFull,
    ErasureLate,
    LikenessError,
    NotAdmitted,
    SigningFailed,
    Stopped,
    TamperedError,
    UnknownSession,
)
from settings import Settings
from web import pages
from web.brand.kit import Brand, brand, branded
from web.http.headers import policy
from words import language, preferred, say, speaking, tell

log = structlog.get_logger()

STATUS: Mapping[type[LikenessError], int] = {
    UnknownSession: 404,
    BadPhoto: 415,
    BadOrder: 400,
    NotAdmitted: 403,
    Busy: 429,
    DiskFull: 507,
    ErasureLate: 503,
    BaseUnavailable: 503,
    SigningFailed: 503,
    Stopped: 409,
    TamperedError: 500,
}


class Edge:
    """ASGI middleware around everything else."""

    def __init__(self, app: ASGIApp, settings: Settings, brand: Brand) -> None:
        self._app = app
        self._settings = settings
        self._brand = brand

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if scope["method"] == "HEAD":
            scope, send = {**scope, "method": "GET"}, _without_body(send)
        with answering(HTTPConnection(scope), self._brand):
            await self._answer(scope, receive, send)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        spoken, started = language(), False

        async def send_guarded(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                ours = policy(self._settings, scope["path"], spoken, message["status"])
                _replace(MutableHeaders(scope=message), ours)
            await send(message)

        try:
            await self._app(scope, receive, send_guarded)
        except Exception as error:  # the edge
            # A response that had begun ends here without its last chunk: the server then closes
            # the connection, and the browser knows that the download is not complete.
            if started and isinstance(error.__cause__, LikenessError | HTTPException):
                log.info("answer_broken_off", error=type(error.__cause__).__name__)
                return
            reference = note(error)
            if not started:
                sentence = say("errors.unexpected", reference=reference)
                answer = refusal(HTTPConnection(scope), 500, sentence)
                await answer(scope, receive, send_guarded)


def _without_body(send: Send) -> Send:
    """A `send` that ends an answer after its head: what HEAD asks for, of every route alike."""
    ended = False

    async def head(message: Message) -> None:
        nonlocal ended
        if message["type"] == "http.response.body":
            if not ended:
                ended = True
                await send({"type": "http.response.body", "body": b"", "more_body": False})
        else:
            await send(message)

    return head


@contextmanager
def answering(request: HTTPConnection, kit: Brand) -> Iterator[None]:
    """Answer a browser in the block: in a company's name, and in the language that it asks for."""
    with branded(kit), speaking(language_of(request)):
        yield


def language_of(request: HTTPConnection) -> str:
    """The language in which a browser wants to be answered, of those offered."""
    return preferred(request.headers.get("accept-language", ""), brand().languages)


def _replace(headers: MutableHeaders, ours: Mapping[str, str]) -> None:
    # Gradio reflects any Origin with credentials; none of that leaves this process.
    for name in [name for name in headers if name.lower().startswith("access-control-")]:
        del headers[name]
    for name, value in ours.items():
        headers[name] = value


def note(error: Exception) -> str:
    """Log what nobody expected, without content; the reference number to tell the visitor."""
    reference = secrets.token_hex(4)
    # Frames without source lines or values: the message of an exception may hold what was sent.
    frames = traceback.extract_tb(error.__traceback__)[-6:]
    where = [f"{frame.filename.rsplit('/', 2)[-1]}:{frame.lineno}" for frame in frames]
    log.error("unexpected", reference=reference, error=type(error).__name__, where=where)
    return reference


def not_found(request: Request) -> Response:
    """The one 404: unknown, foreign, expired, erased and never existing all look the same."""
    if wants_page(request):
        return pages.page("nothing.html", status=404)
    return refusal(request, 404, say("errors.nothing_here"))


def wants_page(request: HTTPConnection) -> bool:
    """Whether a person will look at the answer, rather than a script: browsers say so when they
    follow a link or send a form."""
    return "text/html" in request.headers.get("accept", "")


def refusal(
    request: HTTPConnection, status: int, sentence: str, *, for_operator: bool = False
) -> Response:
    """Why something was not done: a page for a person, `{"sentence": ...}` for a script.

    for_operator: a page also says what may be set up wrongly.
    """
    if wants_page(request):
        return pages.page(
            "refused.html", status=status, sentence=sentence, for_operator=for_operator
        )
    return JSONResponse({"sentence": sentence}, status_code=status)


def handle_errors(app: FastAPI) -> None:
    """Register how errors become answers."""

    @app.exception_handler(LikenessError)
    def known(request: Request, error: LikenessError) -> Response:
        if isinstance(error, UnknownSession):
            return not_found(request)
        answer = refusal(request, status_of(error), tell(error.message))
        answer.headers.update(when_again(error))
        return answer

    @app.exception_handler(RequestValidationError)
    def invalid(request: Request, error: RequestValidationError) -> Response:
        if any(problem["loc"][0] == "path" for problem in error.errors()):
            return not_found(request)
        return refusal(request, 400, say("errors.not_understood"))

    @app.exception_handler(HTTPException)
    def http(request: Request, error: HTTPException) -> Response:
        if error.status_code == 404:
            return not_found(request)
        return refusal(request, error.status_code, say("errors.not_understood"))


def when_again(error: LikenessError) -> dict[str, str]:
    """Headers that tell a script or a proxy when trying again helps."""
    return {"retry-after": f"{max(1, math.ceil(error.wait_s))}"} if isinstance(error, Busy) else {}


def status_of(error: LikenessError) -> int:
    """The HTTP status of an error with a sentence."""
    if isinstance(error, BadPhoto) and error.code == "too_much":
        return 413
    return STATUS.get(type(error), 400)
