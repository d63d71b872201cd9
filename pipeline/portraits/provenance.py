"""Content Credentials (C2PA 2): a signed statement, inside a file, of how the picture was made.

The statement is one action ("created", with IPTC's digital source type) and the hash of everything
else in the file. No name, no time, no thumbnail, no earlier picture.

The same file and key give the same bytes, so that a ZIP that was broken off can be gone on with.
That is why it is written here: c2pa-python salts boxes at random. The tests read with its reader.

    c2pa ─ manifest ─┬─ assertions ─┬─ c2pa.actions.v2
                     │              └─ c2pa.hash.data      of the file without the manifest;
                     │                                     c2pa.hash.bmff.v3 in an MP4
                     ├─ c2pa.claim.v2                      names the assertions by their hashes
                     └─ c2pa.signature                     COSE, over the claim

Source: C2PA Technical Specification 2.2, sections 8 to 15 and A.3; JUMBF is ISO/IEC 19566-5.
"""

from __future__ import annotations

import struct
import uuid
import zlib
from collections.abc import Callable
from functools import partial
from hashlib import sha256
from typing import Protocol

from pipeline.portraits import bmff, gif
from pipeline.portraits.bmff import Binding

_VOCABULARY = "http://cv.iptc.org/newscodes/digitalsourcetype/"
SOURCE_TYPES = {
    "painted": f"{_VOCABULARY}trainedAlgorithmicMedia",
    "photo": f"{_VOCABULARY}composite",
    "dressed": f"{_VOCABULARY}compositeWithTrainedAlgorithmicMedia",
}
"""By the way of a portrait: made by a trained model; a real photograph before a wall that no camera
took, so not `compositeCapture`; a photograph with parts that a trained model made."""

HEADER_END = 8 + 25
"""Bytes of a PNG's signature and IHDR chunk."""

_SIGNATURE_BYTES = 64
_BOX_KIND = bytes.fromhex("00110010800000aa00389b71")  # the rest of each UUID, after four letters


class Signs(Protocol):
    """What signs: its certificates, DER, its own first, and ES256 as COSE wants it, 64 bytes."""

    @property
    def chain(self) -> tuple[bytes, ...]:
        """The certificates."""

    def sign(self, data: bytes) -> bytes:
        """The signature over these data."""


def signed(file: bytes, source_type: str, signer: Signs) -> bytes:
    """The same PNG, JPEG, WebP, GIF or MP4 with a manifest; pixels and other marks stay.

    Args:
        file: as an encoder wrote it, without a manifest. source_type: a URI of `SOURCE_TYPES`.
    """
    start, wrapped = _place(file)
    name = f"urn:c2pa:{uuid.UUID(bytes=sha256(file).digest()[:16], version=4)}"
    manifest = partial(_manifest, name, source_type, signer.chain)
    if bmff.is_mp4(file):
        return file + wrapped(manifest(bmff.binding(file), signer.sign))
    length = 0
    # The manifest tells its own length, and takes more bytes for a larger number.
    while length != (needed := len(wrapped(manifest(_hole(start, length, bytes(32)), _unsigned)))):
        length = needed
    before, after = file[:start], file[start:]
    if file.startswith(b"RIFF"):
        after = bytes(length % 2)  # chunks begin at even places; this byte is not the manifest's
        riff_bytes = len(before) - 8 + length + len(after)
        before = b"RIFF" + struct.pack("<I", riff_bytes) + before[8:]
    digest = sha256(before + after).digest()
    return before + wrapped(manifest(_hole(start, length, digest), signer.sign)) + after


def _hole(start: int, length: int, digest: bytes) -> Binding:
    """What binds a manifest to all of a file but so many bytes from `start`, where it stands
    itself. digest: SHA-256 of the rest."""
    return "c2pa.hash.data", {
        "exclusions": [{"start": start, "length": length}],
        "name": "jumbf manifest",
        "alg": "sha256",
        "hash": digest,
        "pad": b"",
    }


def _manifest(
    name: str,
    source_type: str,
    chain: tuple[bytes, ...],
    binding: Binding,
    sign: Callable[[bytes], bytes],
) -> bytes:
    """The JUMBF box. binding: what says of which file it is."""
    action = {"action": "c2pa.created", "digitalSourceType": source_type}
    assertions = {
        label: _box("cbor", label, _content(content))
        for label, content in (
            ("c2pa.actions.v2", {"actions": [action]}),
            binding,
        )
    }
    claim = _cbor(
        {
            "instanceID": f"xmp:iid:{name.removeprefix('urn:c2pa:')}",
            "claim_generator_info": {"name": "Likeness"},
            "signature": f"self#jumbf=/c2pa/{name}/c2pa.signature",
            "created_assertions": [
                {
                    "url": f"self#jumbf=c2pa.assertions/{label}",
                    "hash": sha256(box[8:]).digest(),  # without the box's length and type
                }
                for label, box in assertions.items()
            ],
            "alg": "sha256",
        }
    )
    protected = _cbor({1: -7, 33: list(chain)})  # ES256; x5chain
    signature = sign(to_be_signed(protected, claim))
    cose = b"\xd2" + _cbor([protected, {}, None, signature])  # tag 18: COSE_Sign1
    parts = (
        _box("c2as", "c2pa.assertions", b"".join(assertions.values())),
        _box("c2cl", "c2pa.claim.v2", _sized(b"cbor", claim)),
        _box("c2cs", "c2pa.signature", _sized(b"cbor", cose)),
    )
    return _box("c2pa", "c2pa", _box("c2ma", name, b"".join(parts)))


def to_be_signed(protected: object, claim: bytes) -> bytes:
    """What a COSE signature is over (RFC 9052, 4.4)."""
    return _cbor(["Signature1", protected, b"", claim])


def _unsigned(_: bytes) -> bytes:
    return bytes(_SIGNATURE_BYTES)


def _place(file: bytes) -> tuple[int, Callable[[bytes], bytes]]:
    """Where a manifest goes in this file, and what puts it into this format's wrapping."""
    if file.startswith(b"\x89PNG"):
        return HEADER_END, _png_chunk
    if file.startswith(b"RIFF"):
        return len(file), _webp_chunk
    if file.startswith(b"GIF89a"):
        return gif.header_end(file), gif.manifest_block
    if bmff.is_mp4(file):
        return len(file), bmff.manifest_box
    return 4 + struct.unpack(">H", file[4:6])[0], _jpeg_segment  # behind JFIF's own segment


def _png_chunk(manifest: bytes) -> bytes:
    body = b"caBX" + manifest
    return struct.pack(">I", len(manifest)) + body + struct.pack(">I", zlib.crc32(body))


def _webp_chunk(manifest: bytes) -> bytes:
    return b"C2PA" + struct.pack("<I", len(manifest)) + manifest


def _jpeg_segment(manifest: bytes) -> bytes:
    """APP11. One holds 64 KB; `signing` takes no chain that long."""
    content = b"JP" + struct.pack(">HI", 1, 1) + manifest
    return b"\xff\xeb" + struct.pack(">H", len(content) + 2) + content


def _box(kind: str, label: str, content: bytes) -> bytes:
    told = kind.encode() + _BOX_KIND + b"\x03" + label.encode() + b"\0"  # 3: may be referred to
    return _sized(b"jumb", _sized(b"jumd", told) + content)


def _content(value: object) -> bytes:
    return _sized(b"cbor", _cbor(value))


def _sized(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", 8 + len(content)) + kind + content


def _cbor(value: object) -> bytes:
    """RFC 8949, as far as it is needed here: shortest numbers, definite lengths."""
    match value:
        case None:
            return b"\xf6"
        case int():
            return _head(0, value) if value >= 0 else _head(1, -1 - value)
        case bytes():
            return _head(2, len(value)) + value
        case str():
            return _head(3, len(value.encode())) + value.encode()
        case list():
            return _head(4, len(value)) + b"".join(map(_cbor, value))
        case dict():
            pairs = (_cbor(key) + _cbor(content) for key, content in value.items())
            return _head(5, len(value)) + b"".join(pairs)
    raise TypeError(type(value).__name__)


def _head(major: int, number: int) -> bytes:
    if number < 24:
        return bytes([major << 5 | number])
    power = next(p for p in range(4) if number < 1 << (8 << p))
    return bytes([major << 5 | 24 + power]) + number.to_bytes(1 << power, "big")
