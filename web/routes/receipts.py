"""Receipts for visitors, and the log for auditors. Nothing here needs a session: it is erased.

What finds a visitor's lines is r. It comes in the body of a POST, never in an address, so that no
history and no server's log keeps it; or follows from the ticket in their private link or cookie.
No session is looked up: for a session id this page has the same sentence as for nonsense.
"""

from __future__ import annotations

import json
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import PlainTextResponse, StreamingResponse
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import Request as RawRequest
from starlette.types import Message

from errors import UnknownSession
from privacy.keys import Ticket
from privacy.receipt_lines import COUNTED, Line
from privacy.receipts import Receipt, Receipts
from web import pages
from web.http.cookies import R_TEXT
from web.http.dependencies import Parts, TicketText
from web.http.errors import not_found
from web.http.limits import RateLimiter, address_of
from web.units import TEN_MINUTES_S
from words import count, say

FILE_NAME = "likeness-receipt.json"
_MAX_BODY_BYTES = 16_384
_LOOKUPS_PER_ADDRESS = 300


def router() -> APIRouter:
    routes = APIRouter()
    lookups = RateLimiter(_LOOKUPS_PER_ADDRESS, TEN_MINUTES_S)

    def found_by(r: bytes | None, request: Request, services: Parts) -> dict[str, Any] | None:
        lookups.count(address_of(request))
        return shown(services.sessions.receipts, r)

    @routes.get("/receipt")
    def ask(ticket: TicketText) -> Response:
        return pages.page("receipt.html", receipt=None, missed=False, own=_r_of(ticket or ""))

    @routes.post("/receipt")
    async def look_up(request: Request, services: Parts, ticket: TicketText) -> Response:
        """The lines of whoever holds r, as a page."""
        fields = await _fields(request)
        text = (ticket or "") if fields.get("own") else await _text(fields)
        # Reading the log takes a moment; other visitors do not wait for it.
        receipt = await run_in_threadpool(found_by, _r_of(text), request, services)
        missed = receipt is None
        return pages.page(
            "receipt.html",
            status=404 if missed else 200,
            receipt=receipt,
            missed=missed,
            own=_r_of(ticket or ""),
        )

    @routes.post(f"/receipt/{FILE_NAME}")
    async def save(request: Request, services: Parts) -> Response:
        """The receipt as a file, for whoever holds r."""
        r = _r_of(await _text(await _fields(request)))
        receipt = await run_in_threadpool(found_by, r, request, services)
        if receipt is None:
            return not_found(request)
        return Response(
            json.dumps(receipt["file"], indent=2) + "\n",
            media_type="application/json",
            headers={"content-disposition": f'attachment; filename="{FILE_NAME}"'},
        )

    @routes.get("/receipts/log")
    def whole_log(request: Request, services: Parts) -> Response:
        """Every line. Nothing in it is personal."""
        lookups.count(address_of(request))
        log = services.sessions.receipts.log
        name = {"content-disposition": 'attachment; filename="likeness-log.jsonl"'}
        chunks = log.chunks() if log else iter(())
        return StreamingResponse(chunks, media_type="application/jsonl", headers=name)

    @routes.get("/receipts/checkpoint")
    def checkpoint(request: Request, services: Parts) -> Response:
        """The latest signed head of the log: worth keeping on another machine."""
        log = services.sessions.receipts.log
        note = log.latest_checkpoint() if log else None
        return PlainTextResponse(note) if note else not_found(request)

    @routes.get("/receipts/key")
    def key(services: Parts) -> Response:
        return PlainTextResponse(public_key(services.sessions.receipts) + "\n")

    return routes


def public_key(receipts: Receipts) -> str:
    return receipts.log.key.text if receipts.log else ""


def shown(receipts: Receipts, r: bytes | None) -> dict[str, Any] | None:
    """A receipt as the pages show it; None when the log has nothing for this r."""
    if r is None:
        return None
    found = receipts.find(r)
    if not found.lines and not found.waiting:
        return None
    return {
        "r": r.hex(),
        "hash": found.hash,
        "sentences": [_sentence(line) for line in found.lines],
        "erased": any(line["event"] == "erased" for line in found.lines),
        "waiting": found.waiting,
        "file": _file(found, r, public_key(receipts)),
    }


def _sentence(line: Line) -> str:
    """A line of the log in words."""
    when = say("receipt.hour", time=_words(line["time"]))
    if line["event"] == "opened":
        return say("receipt.opened", when=when, latest=_words(line["erase_by"]))
    if line["event"] == "handed":
        return say(
            f"receipt.handed.{line['outcome']}",
            when=when,
            way=say(f"receipt.way.{line['channel']}"),
            things=count("receipt.count.portraits", line["portraits"]),
        )
    things = ", ".join(count(f"receipt.count.{name}", line[name]) for name in COUNTED if line[name])
    return say(
        "receipt.erased",
        when=when,
        why=say(f"receipt.why.{line['reason']}"),
        things=things or say("receipt.count.none"),
    )


def _words(time: str) -> str:
    return time.replace("T", " ").replace("Z", " UTC")


def _file(found: Receipt, r: bytes, key: str) -> dict[str, Any]:
    """What the visitor keeps: everything that a check needs, and how to do it."""
    last: Line = found.lines[-1] if found.lines else {}
    return {
        "what": say("receipt.file.what"),
        "r": r.hex(),
        "hash": found.hash,
        "log_id": last.get("id"),
        "event": last.get("event"),
        "time": last.get("time"),
        "reason": last.get("reason"),
        "signature": last.get("sig"),
        # Byte for byte as it stands in the log.
        "line": json.dumps(last, separators=(",", ":")) if last else None,
        "public_key": key,
        "how_to_check": say("receipt.file.check", file=FILE_NAME),
    }


def _r_of(text: str) -> bytes | None:
    """r out of whatever somebody may have kept: itself, the file, the private link."""
    text = text.strip()
    if text.startswith("{"):
        try:
            text = str(json.loads(text)["r"])
        except (ValueError, KeyError, TypeError, RecursionError):
            return None
    if R_TEXT.fullmatch(text.lower()):
        return bytes.fromhex(text)
    try:
        return Ticket.parse(text.rpartition("#")[2]).receipt()
    except UnknownSession:
        return None


async def _fields(request: Request) -> FormData:
    """The fields of a small form, read in RAM; none when it is too large or damaged."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > _MAX_BODY_BYTES:
            return FormData()

    async def receive() -> Message:
        return {"type": "http.request", "body": bytes(body), "more_body": False}

    try:
        return await RawRequest(request.scope, receive).form(max_files=1, max_fields=4)
    except HTTPException:
        return FormData()


async def _text(fields: FormData) -> str:
    """What was pasted, or else what was uploaded."""
    pasted = fields.get("receipt")
    if isinstance(pasted, str) and pasted.strip():
        return pasted
    file = fields.get("file")
    return (await file.read()).decode("utf-8", "replace") if isinstance(file, UploadFile) else ""
