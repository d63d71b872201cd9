"""Downloads that go on where they were broken off: length, strong validator, one range (RFC 9110).

A range that is malformed, or asks for several pieces, is answered with the whole, as it allows.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass

from fastapi import Request, Response
from fastapi.responses import StreamingResponse

_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")


@dataclass(frozen=True)
class Part:
    """Bytes from `start` up to, and without, `stop` of `length`; all of them where nothing else was
    asked for. start == stop: what was asked for lies behind the end."""

    start: int
    stop: int
    length: int
    etag: str

    @property
    def status(self) -> int:
        if self.start == self.stop:
            return 416
        return 200 if self.stop - self.start == self.length else 206

    def headers(self) -> dict[str, str]:
        told = {"accept-ranges": "bytes", "etag": self.etag}
        if self.status == 416:
            return told | {"content-range": f"bytes */{self.length}"}
        told["content-length"] = str(self.stop - self.start)
        if self.status == 206:
            told["content-range"] = f"bytes {self.start}-{self.stop - 1}/{self.length}"
        return told


def tag(*what: object) -> str:
    """A strong validator of what a download is made from."""
    return f'"{hashlib.blake2b(repr(what).encode(), digest_size=16).hexdigest()}"'


def part_of(request: Request, length: int, etag: str) -> Part:
    """What of `length` bytes, more than 0, a request asks for."""
    whole = Part(0, length, length, etag)
    found = _RANGE.fullmatch(request.headers.get("range", "").strip())
    # Something else by now: it cannot be gone on with.
    if not found or request.headers.get("if-range", etag) != etag:
        return whole
    first, last = found[1], found[2]
    if not first:
        return Part(max(0, length - int(last)), length, length, etag) if last else whole
    if last and int(last) < int(first):
        return whole
    start = min(int(first), length)
    return Part(start, min(int(last) + 1, length) if last else length, length, etag)


def sent(request: Request, data: bytes, media_type: str, name: str) -> Response:
    """A download that is there whole. name: its `Content-Disposition`."""
    part = part_of(request, len(data), tag(data))
    told = part.headers() | {"content-disposition": name}
    return Response(data[part.start : part.stop], part.status, told, media_type)


def streamed(
    part: Part | str, pieces: AsyncIterator[bytes], media_type: str, name: str
) -> Response:
    """A download that is made while it is sent; its validator where its length is not known."""
    told = {"content-disposition": name}
    if isinstance(part, str):
        told |= {"accept-ranges": "bytes", "etag": part}
        return StreamingResponse(pieces, 200, told, media_type)
    told |= part.headers()
    if part.status == 416:
        return Response(status_code=416, headers=told)
    return StreamingResponse(_cut(part, pieces), part.status, told, media_type)


async def _cut(part: Part, pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    at = 0
    async for piece in pieces:
        before, at = at, at + len(piece)
        wanted = piece[max(0, part.start - before) : max(0, part.stop - before)]
        if wanted:
            yield wanted
        if at >= part.stop:
            return
