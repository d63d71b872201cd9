"""Marks in an MP4: boxes behind all others, so that nothing in it moves.

Source: ISO/IEC 14496-12; C2PA Technical Specification 2.2, A.5 and 18.7; XMP part 3, MPEG-4.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from hashlib import sha256
from uuid import UUID

Binding = tuple[str, Mapping[str, object]]
"""Label and content of the assertion that binds a manifest to its file."""

C2PA = UUID("d8fec3d6-1b0e-483c-9297-5828877ec481").bytes
XMP = UUID("be7acfcb-97a9-42e8-9c71-999491e3afac").bytes

_NOT_COVERED = (b"ftyp", b"mfra")


def is_mp4(file: bytes) -> bool:
    """Whether these are the bytes of an MP4."""
    return file[4:8] == b"ftyp"


def boxes(file: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Kind, first byte and end of each outermost box; one that is cut off or broken is the last."""
    at = 0
    while at + 8 <= len(file):
        length, kind = struct.unpack_from(">I4s", file, at)
        if length == 1 and at + 16 <= len(file):
            (length,) = struct.unpack_from(">Q", file, at + 8)
        if length < 8 or at + length > len(file):
            return
        yield kind, at, at + length
        at += length


def with_xmp(file: bytes, packet: bytes) -> bytes:
    """The same MP4 with an XMP packet."""
    return file + _uuid_box(XMP, packet)


def manifest_box(manifest: bytes) -> bytes:
    """The box of a C2PA manifest, which has no Merkle tree."""
    return _uuid_box(C2PA, bytes(4) + b"manifest\0" + bytes(8) + manifest)


def binding(file: bytes) -> Binding:
    """What binds a manifest to an MP4 that has none yet. Of each box its place is covered, too."""
    digest = sha256()
    for kind, start, end in boxes(file):
        if kind not in _NOT_COVERED:
            digest.update(struct.pack(">Q", start) + file[start:end])
    own = {"xpath": "/uuid", "data": [{"offset": 8, "value": C2PA}]}
    others = [{"xpath": f"/{kind.decode()}"} for kind in _NOT_COVERED]
    return "c2pa.hash.bmff.v3", {
        "exclusions": [own, *others],
        "alg": "sha256",
        "hash": digest.digest(),
        "name": "jumbf manifest",
    }


def _uuid_box(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", 24 + len(content)) + b"uuid" + name + content
