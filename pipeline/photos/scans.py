"""How many scans a JPEG announces: markers are counted, nothing is decoded.

Each scan goes over the whole picture, however few bytes it has, so a small file with thousands of
them would take minutes to open. Imports nothing of the project, because the decoding process loads
it.
"""

from __future__ import annotations

import re

MOST = 100
"""Scans of a photo that is opened. Cameras write one, programs for progressive files about ten."""

_MARKER = re.compile(rb"\xff[^\x00\xff]")
_SCAN, _END = 0xDA, 0xD9
_WITHOUT_LENGTH = frozenset((0x01, *range(0xD0, 0xD9)))
"""Markers that stand alone: TEM, restarts, SOI."""


def scans_of(data: bytes) -> int:
    """The scans of a JPEG up to its end; for other bytes some number.

    What only looks like a scan, in a preview or after the end, does not count.
    """
    count, at = 0, 0
    while found := _MARKER.search(data, at):
        marker, at = data[found.end() - 1], found.end()
        if marker == _END:
            break
        count += marker == _SCAN
        if marker not in _WITHOUT_LENGTH:
            at += int.from_bytes(data[at : at + 2], "big")
    return count
