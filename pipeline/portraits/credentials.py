"""Reads what a file says of how it was made: the marks that `provenance` and `export` write.

A stranger's file is hostile. Nothing of it is decoded or unpacked: its parts are walked by their
lengths, and a signed statement is read only in the form in which `provenance` writes it, up to
64 KB and eight levels deep. Whoever else signed it, and whether rightly, other readers tell.

Source: as `provenance`; PNG (W3C), JPEG (ITU-T T.81, annex B), WebP (RFC 9649), XMP part 3.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from itertools import islice
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, cast

from cryptography.exceptions import InvalidSignature

from errors import BadPhoto
from pipeline.orders import Way
from pipeline.portraits.provenance import SOURCE_TYPES, signed, to_be_signed

if TYPE_CHECKING:
    from pipeline.portraits.signing import Signer

Seal = Literal["intact", "changed", "foreign", "none"]
Field = Way | Literal["other", "none"]

_MOST_PARTS = 50_000
_MOST_BYTES = 1 << 16
"""Of a statement or a field: as much as one segment of a JPEG holds."""
_DEEPEST = 8

_ANY = re.compile(b"")
_HOLDS: dict[bytes, tuple[Literal["c2pa", "xmp"], re.Pattern[bytes]]] = {
    b"caBX": ("c2pa", _ANY),
    b"C2PA": ("c2pa", _ANY),
    b"\xeb": ("c2pa", re.compile(rb"JP.{6}(?=.{4}jumb.{4}jumdc2pa)", re.DOTALL)),
    b"iTXt": ("xmp", re.compile(rb"XML:com\.adobe\.xmp\0\0")),  # one that is not compressed
    b"XMP ": ("xmp", _ANY),
    b"\xe1": ("xmp", re.compile(rb"http://ns\.adobe\.com/xap/1\.0/\0")),
}
"""The parts of a file that hold a mark, by their names, and how their content begins."""

_SOURCE_TYPE = re.compile(rb"http://cv\.iptc\.org/newscodes/digitalsourcetype/\w{1,64}")
_WAYS = {source_type: cast(Way, way) for way, source_type in SOURCE_TYPES.items()}


@dataclass(frozen=True)
class Marks:
    """What a file carries.

    seal: of the signed statement. "intact": signed here, and of exactly this file; "changed":
    signed here, of a file that was another; "foreign": not signed by the key of this server.
    way: what the statement says, if it was signed here. field: what IPTC's field says, which
    anybody can write.
    """

    seal: Seal
    way: Way | None
    field: Field


class _Part(NamedTuple):
    """A part of a file: its name in this format, and its place with and without its wrapping."""

    name: bytes
    start: int
    end: int
    inner: slice


@dataclass(frozen=True)
class _Statement:
    """What was signed, and what it takes to write it once more."""

    source_type: str
    chain: tuple[bytes, ...]
    signature: bytes

    def sign(self, _: bytes) -> bytes:
        """The signature that there is."""
        return self.signature


def marks_of(file: bytes, signer: Signer | None) -> Marks:
    """What a PNG, JPEG or WebP says of itself. signer: of this server, None if it has none.

    Raises:
        BadPhoto: it is none of these.
    """
    seal: Seal = "none"
    way: Way | None = None
    field: Field = "none"
    for part in islice(_parts(file), _MOST_PARTS):
        kind, beginning = _HOLDS.get(part.name, (None, _ANY))
        content = file[part.inner][: _MOST_BYTES + 1] if kind else b""
        if (begun := beginning.match(content)) is None:
            continue
        if kind == "c2pa" and seal == "none":
            seal, way = _verified(file, part, content[begun.end() :], signer)
        elif kind == "xmp" and field == "none":
            field = _field(content)
    return Marks(seal, way, field)


def _field(xmp: bytes) -> Field:
    found = _SOURCE_TYPE.search(xmp)
    return _WAYS.get(found[0].decode(), "other") if found else "none"


def _verified(
    file: bytes, part: _Part, manifest: bytes, signer: Signer | None
) -> tuple[Seal, Way | None]:
    try:
        statement = _statement(manifest, signer)
    except (ValueError, TypeError, LookupError, struct.error, InvalidSignature):
        return "foreign", None
    # What no signature covers has no room here: signing anew gives the file to the last byte.
    bare = file[: part.start] + file[part.end :]
    if file.startswith(b"RIFF"):
        bare = b"RIFF" + struct.pack("<I", part.start - 8) + file[8 : part.start]
    try:
        intact = signed(bare, statement.source_type, statement) == file
    except struct.error:  # there is hardly more than the statement
        intact = False
    return "intact" if intact else "changed", _WAYS.get(statement.source_type)


def _statement(manifest: bytes, signer: Signer | None) -> _Statement:
    """What the key of this server has signed.

    Raises:
        InvalidSignature: another key signed, or something was changed. ValueError, TypeError,
            LookupError, struct.error: not in the form in which `provenance` writes.
    """
    if signer is None:
        raise InvalidSignature
    (store,) = _inside(manifest).values()
    (content,) = _inside(store).values()
    boxes = _inside(content)
    claim = _cbor_of(boxes["c2pa.claim.v2"])
    protected, _, _, signature = _value(_cbor_of(boxes["c2pa.signature"]).removeprefix(b"\xd2"))
    signer.verify(signature, to_be_signed(protected, claim))
    # From here on it is what this server wrote, but for the assertions, which the claim names.
    named = {entry["url"]: entry["hash"] for entry in _value(claim)["created_assertions"]}
    actions = _inside(boxes["c2pa.assertions"])["c2pa.actions.v2"]
    if named["self#jumbf=c2pa.assertions/c2pa.actions.v2"] != sha256(actions).digest():
        raise InvalidSignature
    (action,) = _value(_cbor_of(actions))["actions"]
    chain = tuple(_value(protected)[33])
    return _Statement(action["digitalSourceType"], chain, signature)


def _inside(boxes: bytes) -> dict[str, bytes]:
    """The contents of the superboxes in a row of boxes, by their labels."""
    contents = [content for kind, content in _boxes(boxes) if kind == b"jumb"]
    return {_label(content): content for content in contents}


def _label(superbox: bytes) -> str:
    (_, description), *_ = _boxes(superbox)
    return description[17:].partition(b"\0")[0].decode()  # behind a UUID and a byte of switches


def _cbor_of(superbox: bytes) -> bytes:
    """The content of the last box, behind the description."""
    *_, (_, content) = _boxes(superbox)
    return content


def _boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = 0
    while at < len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        if length < 8 or at + length > len(data):
            raise ValueError
        yield kind, data[at + 8 : at + length]
        at += length


def _value(cbor: bytes) -> Any:
    return _read(cbor, 0, 0)[0]


def _read(data: bytes, at: int, depth: int) -> tuple[Any, int]:
    """A value of the kinds that `provenance` writes, and where it ends."""
    major, number = data[at] >> 5, data[at] & 31
    at += 1
    if number > 27 or depth > _DEEPEST:
        raise ValueError
    if number > 23 and major != 7:
        width = 1 << number - 24
        number = int.from_bytes(data[at : at + width])
        at += width
    if major in (2, 3):
        end = at + number
        if end > len(data):
            raise ValueError
        return data[at:end] if major == 2 else data[at:end].decode(), end
    if major in (4, 5):
        values = []
        for _ in range(number * (major - 3)):  # each takes a byte at least, so the end comes first
            value, at = _read(data, at, depth + 1)
            values.append(value)
        return values if major == 4 else dict(zip(values[::2], values[1::2], strict=True)), at
    plain = {0: number, 1: -1 - number, 7: None}
    return plain[major], at


def _parts(file: bytes) -> Iterator[_Part]:
    """The parts of a file in their order; one that is cut off or broken is the last.

    Raises:
        BadPhoto: not a PNG, JPEG or WebP.
    """
    if file.startswith(b"\x89PNG\r\n\x1a\n"):
        return _png(file)
    if file.startswith(b"\xff\xd8\xff"):
        return _jpeg(file)
    if file.startswith(b"RIFF") and file[8:12] == b"WEBP":
        return _webp(file)
    raise BadPhoto("check.unreadable")


def _png(file: bytes) -> Iterator[_Part]:
    at = 8
    while at + 8 <= len(file):
        length, name = struct.unpack_from(">I4s", file, at)
        end = at + 12 + length
        yield _Part(name, at, end, slice(at + 8, end - 4))
        at = end


def _webp(file: bytes) -> Iterator[_Part]:
    at = 12
    while at + 8 <= len(file):
        name, length = struct.unpack_from("<4sI", file, at)
        end = at + 8 + length
        yield _Part(name, at, end, slice(at + 8, end))
        at = end + length % 2


def _jpeg(file: bytes) -> Iterator[_Part]:
    """The segments before the pixels."""
    at = 2
    while at + 4 <= len(file):
        mark, name, length = struct.unpack_from(">B1sH", file, at)
        if mark != 0xFF or length < 2 or name == b"\xda":
            return
        end = at + 2 + length
        yield _Part(name, at, end, slice(at + 4, end))
        at = end
