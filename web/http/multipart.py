"""Files out of a multipart body, one by one as they arrive, in RAM only.

Starlette's own parser spools larger files to the disk in the clear and hands them out when the
whole body is there. This one never writes, and yields each file as soon as its last byte has
arrived, so that the first photo is judged while the second is still on its way.
"""

from __future__ import annotations

import mmap
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from dataclasses import field as kept
from typing import TYPE_CHECKING

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from errors import BadPhoto
from pipeline.photos.record import FileData

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

_MAX_HEADER_BYTES = 8192


@dataclass(frozen=True)
class IncomingFile:
    """One file of the body, and the form's field that it came in.

    data: cut one byte after the cap, so that whoever checks sizes sees it. Its memory is its own
    and goes back to the system with it: large files that wait between the arrays of others would
    leave holes there.
    """

    field: str
    name: str
    data: FileData = kept(repr=False)


async def files_in(
    body: AsyncIterator[bytes],
    content_type: str,
    begins: Callable[[str], Awaitable[None]] | None = None,
    *,
    max_file_bytes: int,
    max_body_bytes: int,
) -> AsyncIterator[IncomingFile]:
    """Yield the files of a multipart body; other fields are ignored.

    begins: told of each file's field once that has begun; the body is read on when it returns.

    Raises:
        BadPhoto: not multipart, or damaged; with code "too_much" when the body is larger than
            `max_body_bytes`.
    """
    kind, options = parse_options_header(content_type)
    boundary = options.get(b"boundary")
    if kind != b"multipart/form-data" or not boundary or len(boundary) > 200:
        raise BadPhoto("upload.damaged")
    collector = _Collector(max_file_bytes + 1)
    received = 0
    try:
        parser = MultipartParser(boundary, collector.callbacks())
        async for chunk in body:
            received += len(chunk)
            if received > max_body_bytes:
                raise BadPhoto("upload.too_much")
            parser.write(chunk)
            while collector.finished:
                yield collector.finished.popleft()
            if begins is not None and collector.begun is not None:
                field, collector.begun = collector.begun, None
                await begins(field)
        parser.finalize()
    except FormParserError:
        raise BadPhoto("upload.damaged") from None


class _Collector:
    """Gathers parts from the parser's callbacks, keeping at most `keep_bytes` of each."""

    def __init__(self, keep_bytes: int) -> None:
        self.finished: deque[IncomingFile] = deque()
        self.begun: str | None = None
        self._keep_bytes = keep_bytes
        self._header = bytearray()
        self._value = bytearray()
        self._disposition = b""
        self._field = ""
        self._name: str | None = None
        self._pages: mmap.mmap | None = None

    def callbacks(self) -> MultipartCallbacks:
        return {
            "on_part_begin": self._begin,
            "on_header_field": self._header_field,
            "on_header_value": self._header_value,
            "on_header_end": self._header_end,
            "on_headers_finished": self._headers_finished,
            "on_part_data": self._part_data,
            "on_part_end": self._part_end,
        }

    def _begin(self) -> None:
        self._disposition = b""
        self._name = None

    def _header_field(self, chunk: bytes, start: int, end: int) -> None:
        self._grow(self._header, chunk[start:end])

    def _header_value(self, chunk: bytes, start: int, end: int) -> None:
        self._grow(self._value, chunk[start:end])

    @staticmethod
    def _grow(buffer: bytearray, more: bytes) -> None:
        if len(buffer) + len(more) > _MAX_HEADER_BYTES:
            raise BadPhoto("upload.damaged")
        buffer += more

    def _header_end(self) -> None:
        if self._header.lower() == b"content-disposition":
            self._disposition = bytes(self._value)
        self._header.clear()
        self._value.clear()

    def _headers_finished(self) -> None:
        _, options = parse_options_header(self._disposition)
        self._field = options.get(b"name", b"").decode("utf-8", "replace")
        name = options.get(b"filename")
        if name is not None:
            self._name = name.decode("utf-8", "replace")
            self.begun = self._field
            # Only pages that were written to take memory.
            self._pages = mmap.mmap(-1, self._keep_bytes, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)

    def _part_data(self, chunk: bytes, start: int, end: int) -> None:
        if self._pages is not None:
            room = self._keep_bytes - self._pages.tell()
            self._pages.write(memoryview(chunk)[start : min(end, start + room)])

    def _part_end(self) -> None:
        if self._name is not None and self._pages is not None:
            self.begun = None  # a file so small came in one piece
            data = memoryview(self._pages)[: self._pages.tell()]
            self.finished.append(IncomingFile(self._field, self._name, data))
            self._pages = None
