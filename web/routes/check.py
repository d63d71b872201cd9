"""The page /check: what a picture says of how it was made. For anybody, without a session.

The file is in memory while it is read. Nothing of it is kept, and nothing about it is logged.
"""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect

from errors import BadPhoto
from pipeline.portraits.credentials import marks_of
from settings import Settings
from web import pages
from web.http.dependencies import Parts
from web.http.errors import status_of
from web.http.limits import RateLimiter, address_of
from web.http.multipart import files_in
from web.units import MB, TEN_MINUTES_S
from words import say, tell

_CHECKS_PER_ADDRESS = 300
_AROUND_BYTES = 16_384
"""Of a form, beside the file in it."""


def router(settings: Settings) -> APIRouter:
    routes = APIRouter()
    checks = RateLimiter(_CHECKS_PER_ADDRESS, TEN_MINUTES_S)
    most = settings.max_photo_mb * MB

    @routes.get("/check")
    def ask() -> Response:
        return pages.page("check.html", marks=None, problem="")

    @routes.post("/check")
    async def check(request: Request, services: Parts) -> Response:
        """The same page, with what was found in the first file of the form."""
        checks.count(address_of(request))
        try:
            file = await _file(request, most)
            marks = await run_in_threadpool(marks_of, file, services.signer.own)
        except BadPhoto as why:
            too_much = why.code == "too_much"
            problem = say("check.too_large", mb=settings.max_photo_mb) if too_much else ""
            told = problem or tell(why.message)
            return pages.page("check.html", status=status_of(why), marks=None, problem=told)
        except ClientDisconnect:
            return Response(status_code=400)  # which nobody reads
        return pages.page("check.html", marks=marks, problem="")

    return routes


async def _file(request: Request, most: int) -> bytes:
    """The first file of the body.

    Raises:
        BadPhoto: none, no form, or more than `most` bytes. ClientDisconnect: it never came whole.
    """
    kind = request.headers.get("content-type", "")
    parts = files_in(
        request.stream(), kind, max_file_bytes=most, max_body_bytes=most + _AROUND_BYTES
    )
    files = [file.data async for file in parts]
    if not files:
        raise BadPhoto("check.unreadable")
    if len(files[0]) > most:
        raise BadPhoto("upload.too_much")
    return bytes(files[0])
