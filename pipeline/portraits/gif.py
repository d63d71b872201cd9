"""Marks in a GIF: application extensions between its header and its first picture.

Source: GIF89a, 26; XMP part 3, GIF; C2PA Technical Specification 2.2, A.3.
"""

from __future__ import annotations

_SCREEN_END = 13
_SUB_BLOCK = 255
_MAGIC = b"\x01" + bytes(range(255, -1, -1)) + b"\0"
"""Where XMP stands unpacked, a reader that takes its letters for lengths still finds the end."""


def header_end(file: bytes) -> int:
    """Bytes of a GIF's header, with its palette."""
    flags = file[10]
    return _SCREEN_END + (3 << (flags & 7) + 1 if flags & 0x80 else 0)


def with_xmp(file: bytes, packet: bytes) -> bytes:
    """The same GIF with an XMP packet."""
    at = header_end(file)
    return file[:at] + b"\x21\xff\x0bXMP DataXMP" + packet + _MAGIC + file[at:]


def manifest_block(manifest: bytes) -> bytes:
    """The extension of a C2PA manifest."""
    starts = range(0, len(manifest), _SUB_BLOCK)
    parts = (manifest[start : start + _SUB_BLOCK] for start in starts)
    packed = b"".join(bytes([len(part)]) + part for part in parts)
    return b"\x21\xff\x0bC2PA_GIF\x01\0\0" + packed + b"\0"
