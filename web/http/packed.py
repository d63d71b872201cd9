"""Files that are the same for everybody: each is read and packed once, then kept in memory.

A visit of the studio asks for a hundred. Packed anew each time, as Gradio does it, one costs the
server 5 to 10 ms of the processor, and 2 so.
"""

from __future__ import annotations

import gzip
import mimetypes
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import brotli
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from web.http.ranges import tag

_PACKERS: Mapping[str, Callable[[bytes], bytes]] = {
    "br": lambda data: brotli.compress(data, quality=5),
    # What browsers ask for where there is no TLS.
    "gzip": lambda data: gzip.compress(data, compresslevel=6, mtime=0),
}
_WORTH_IT = 0.9
"""Packed to more than this share of its size, a file goes out as it is: pictures, fonts."""


class Packed:
    """ASGI application to be mounted: the files that lie in a folder when the server starts.

    What a browser names is looked up among their names; it never becomes a path.
    instead: by name, what is served in place of a file.
    """

    def __init__(self, folder: Path, instead: Mapping[str, bytes] | None = None) -> None:
        self._instead = instead or {}
        self._paths = {
            path.relative_to(folder).as_posix(): path
            for path in folder.rglob("*")
            if path.is_file()
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] != "GET":  # HEAD arrives here as GET
            raise HTTPException(405)
        name = scope["path"].removeprefix(f"{scope['root_path']}/")
        path = self._paths.get(name)
        if path is None:
            raise HTTPException(404)
        asked = Headers(scope=scope)
        accepted = _accepted(asked.get("accept-encoding", ""))
        held = _held(path, path.stat().st_mtime_ns, accepted, self._instead.get(name))
        about = {"etag": held.etag, "vary": "Accept-Encoding"}
        if held.etag in asked.get("if-none-match", ""):
            await Response(status_code=304, headers=about)(scope, receive, send)
            return
        if held.encoding:
            about["content-encoding"] = held.encoding
        kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
        await Response(held.data, headers=about, media_type=kind)(scope, receive, send)


class _Held(NamedTuple):
    """A file as it goes out. encoding: how it is packed, empty for not."""

    data: bytes
    encoding: str
    etag: str


def _accepted(header: str) -> str:
    """The best way of packing that a browser takes, empty for none."""
    offered = {part.strip() for part in header.lower().split(",")}  # q=0 is no such name
    return next((name for name in _PACKERS if name in offered), "")


@lru_cache(maxsize=2048)
def _held(path: Path, changed: int, encoding: str, instead: bytes | None) -> _Held:
    """A file, packed where that is worth it; one that `changed` meanwhile is read anew."""
    data = path.read_bytes() if instead is None else instead
    packed = _PACKERS[encoding](data) if encoding else data
    if len(packed) > _WORTH_IT * len(data):
        packed, encoding = data, ""
    return _Held(packed, encoding, tag(packed))
