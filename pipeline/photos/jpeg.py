"""Whether a JPEG is whole, which Pillow does not say: it fills what is missing with grey.

Two things show it. `walk` follows the markers: compressed data hold none but restarts in their
order, so bytes that something else wrote over them nearly always betray themselves. And a whole
file's pixels are complete with its last compressed byte, neither before nor after: `load` feeds the
decoder accordingly. A missing end marker alone harms nothing and is put there.

Part of the decoding process; imports nothing of the project.
"""

from __future__ import annotations

import io
import math
import random
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain

from PIL import Image, ImageFile

from pipeline.photos.scans import MOST

_MARKER = re.compile(rb"\xff\xff*([^\x00\xff])")
_END = b"\xff\xd9"
_FRAMES = frozenset((0xC0, 0xC1, 0xC2))
"""Sequential and progressive with Huffman codes. What else there is no phone writes."""

_BETWEEN_SCANS = frozenset((0xC4, 0xDA, 0xDB, 0xDC, 0xDD, 0xFE, *range(0xE0, 0xF0)))

_SLACK = 8
"""Bytes after the last pixel that are let pass: some cameras write a few before the end marker."""

_ONES = b"\xff\x00" * 7
"""Ones are no Huffman code: they let the decoder look ahead, and bring hardly a block of pixels."""

_FILLER = bytes(random.Random(7).randrange(255) for _ in range(96))
"""Bytes that change a picture whose compressed data ended too early."""

COMPARED_PIXELS = 24_000_000
"""Pictures of several scans are decoded twice up to here, to compare; larger ones take too long."""


class Broken(ValueError):
    """Part of the picture is missing or overwritten."""


@dataclass
class Stream:
    """What the markers of a file's first picture say.

    end: where the data of its last scan end. sampling: horizontal and vertical, by component.
    unfinished: components and coefficients of which a progressive file has not given every bit.
    """

    end: int = 0
    scans: int = 0
    size: tuple[int, int] = (0, 0)
    sampling: dict[int, tuple[int, int]] = field(default_factory=dict)
    at_once: bool = False
    progressive: bool = False
    restart_every: int = 0
    unfinished: set[tuple[int, int]] = field(default_factory=set)


def load(image: ImageFile.ImageFile, data: bytes, least: tuple[int, int]) -> None:
    """What `image.load()` does, for a JPEG opened from `data`; scaled while decoding.

    least: width and height that must be left, of 1/2, 1/4 or 1/8.

    Raises:
        Broken: see `walk`; or the compressed data end before the picture does, or long after it.
        OSError: the decoder cannot read the file.
    """
    stream = walk(data)
    image.draft(None, least)
    if stream.at_once:
        _load_watched(image, data, stream.end)
        return
    _load(image, iter((data[: stream.end] + _END,)))
    if image.width * image.height <= COMPARED_PIXELS:
        other = Image.open(io.BytesIO(data), formats=("JPEG",))
        assert isinstance(other, ImageFile.ImageFile)
        other.draft(None, least)
        _load(other, iter((data[: stream.end] + _FILLER + _END,)))
        if other.tobytes() != image.tobytes():
            raise Broken


def walk(data: bytes) -> Stream:
    """Follow the markers of a JPEG up to the end of its last scan.

    Raises:
        Broken: a marker where none can be, restarts out of order, scans that are missing, or
            far more than anybody needs.
    """
    stream, at = Stream(), 2
    while found := _next(stream, data, at):
        code, at = found[1][0], found.end()
        if code == 0xD9 and stream.scans:
            break
        if stream.scans and code not in _BETWEEN_SCANS:
            raise Broken
        if code == 0x01 or 0xD0 <= code <= 0xD9:
            continue
        body = data[at + 2 : at + _number(data, at)]
        at += 2 + len(body)
        if code in _FRAMES:
            _frame(stream, body, progressive=code == 0xC2)
        elif code == 0xDD:
            stream.restart_every = _number(body, 0)
        elif code == 0xDA:
            restarts = _scan(stream, body)
            at = stream.end = _end_of_scan(data, at, restarts)
    if stream.unfinished:
        raise Broken
    return stream


def _next(stream: Stream, data: bytes, at: int) -> re.Match[bytes] | None:
    """The marker at `at`, before the first scan also one behind padding; None at the file's end."""
    found = _MARKER.match(data, at) if stream.scans else _MARKER.search(data, at)
    if found is None and not (stream.scans and len(data) - at <= 1):
        raise Broken
    return found


def _frame(stream: Stream, body: bytes, *, progressive: bool) -> None:
    """SOF: size and components."""
    stream.size = (_number(body, 3), _number(body, 1))
    stream.sampling = {
        body[i]: (body[i + 1] >> 4, body[i + 1] & 15) for i in range(6, len(body), 3)
    }
    stream.progressive = progressive
    if not all(h and v for h, v in stream.sampling.values()):
        raise Broken
    if progressive:
        stream.unfinished = {(name, k) for name in stream.sampling for k in range(64)}


def _scan(stream: Stream, body: bytes) -> int:
    """SOS: note what the scan brings; returns how many restarts it must hold."""
    count = body[0] if body else 0
    names = [body[i] for i in range(1, min(2 * count, len(body)), 2)]
    if not names or len(body) != 4 + 2 * count or any(n not in stream.sampling for n in names):
        raise Broken
    first, last, last_bit = body[-3], body[-2], body[-1] & 15
    stream.scans += 1
    if stream.scans > MOST:
        raise Broken
    stream.at_once = (
        stream.scans == 1 and not stream.progressive and len(names) == len(stream.sampling)
    )
    if stream.progressive:
        brought = {(name, k) for name in names for k in range(first, last + 1)}
        stream.unfinished = (
            stream.unfinished - brought if not last_bit else stream.unfinished | brought
        )
    if not stream.restart_every:
        return 0
    return math.ceil(_units(stream, names) / stream.restart_every) - 1


def _units(stream: Stream, names: list[int]) -> int:
    """How many units a scan of these components codes: blocks of one, or groups of several."""
    most = [max(sampling[axis] for sampling in stream.sampling.values()) for axis in (0, 1)]
    units = 1
    for axis in (0, 1):
        side = stream.size[axis]
        if len(names) == 1:
            side = math.ceil(side * stream.sampling[names[0]][axis] / most[axis])
            units *= math.ceil(side / 8)
        else:
            units *= math.ceil(side / (8 * most[axis]))
    return units


def _end_of_scan(data: bytes, at: int, restarts: int) -> int:
    """Where the compressed data from `at` end, which must hold so many restarts, in their order."""
    seen, end = 0, len(data)
    for found in _MARKER.finditer(data, at):
        if not 0xD0 <= found[1][0] <= 0xD7:
            end = found.start()
            break
        if found[1][0] & 7 != seen & 7:
            raise Broken
        seen += 1
    if seen not in (restarts, restarts + bool(restarts)):  # some end with one more
        raise Broken
    return end - (end == len(data) and data[-1] == _END[0])


def _number(data: bytes, at: int) -> int:
    """A big-endian number of 16 bits."""
    if at + 2 > len(data):
        raise Broken
    return int.from_bytes(data[at : at + 2], "big")


def _load_watched(image: ImageFile.ImageFile, data: bytes, end: int) -> None:
    """Decode, and see that the picture is complete with the last bytes of the data."""
    most = max(0, end - _SLACK)
    last = iter((data[most:end] + _ONES,))
    _load(image, chain((data[:most],), last))  # OSError, should both not be enough
    if next(last, None) is not None:
        raise Broken


def _load(image: ImageFile.ImageFile, parts: Iterator[bytes]) -> None:
    """`image.load()`, of these bytes one part after the other."""
    vars(image)["load_read"] = lambda _: next(parts, b"")
    image.load()
