"""What leaves the vault for the person: one portrait in a size, or all of them as a ZIP.

Images are decrypted and scaled in RAM, one at a time. Nothing here writes to a disk.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from PIL import Image

from errors import BadOrder
from pipeline.select import PortraitRecord

if TYPE_CHECKING:
    from privacy.sessions import Session
    from privacy.vault import Vault

SIZES: dict[str, int | None] = {"original": None, "800": 800, "400": 400}
# ZIP cannot tell times before 1980 and needs one; a fixed one tells nothing about the person.
_ZIP_TIME = (1980, 1, 1, 0, 0, 0)


def render(png: bytes, size: str) -> bytes:
    """A stored portrait as PNG whose long side is `size` pixels ("original" leaves it alone).

    Raises:
        BadOrder: an unknown size.
    """
    if size not in SIZES:
        raise BadOrder(f"Sizes are {', '.join(SIZES)}.")
    pixels = SIZES[size]
    if pixels is None:
        return png
    with Image.open(io.BytesIO(png), formats=("PNG",)) as image:
        if max(image.size) == pixels:
            return png
        scale = pixels / max(image.size)
        target = (round(image.width * scale), round(image.height * scale))
        buffer = io.BytesIO()
        image.resize(target, Image.Resampling.LANCZOS).save(buffer, "PNG", compress_level=3)
    return buffer.getvalue()


def file_name(place: int, record: PortraitRecord) -> str:
    """The name in a ZIP or an output folder: place by likeness, then the style."""
    folder = "doubtful/" if record.doubtful else ""
    return f"{folder}{place:03d}-{record.style}.png"


def archive(
    vault: Vault, session: Session, records: Sequence[PortraitRecord], size: str = "original"
) -> Iterator[bytes]:
    """A ZIP of the portraits in the given order, a chunk per portrait as it is made.

    Stored, not deflated: PNG is compressed already.

    Raises:
        BadOrder: an unknown size (before the first chunk).
        UnknownSession, KeyError: the session was erased while it was read.
    """
    if size not in SIZES:
        raise BadOrder(f"Sizes are {', '.join(SIZES)}.")
    return _chunks(vault, session, records, size)


def _chunks(
    vault: Vault, session: Session, records: Sequence[PortraitRecord], size: str
) -> Iterator[bytes]:
    outbox = _Outbox()
    with zipfile.ZipFile(outbox, "w", zipfile.ZIP_STORED) as bundle:
        for place, record in enumerate(records, start=1):
            png = vault.open(session, "portrait", record.id)
            entry = zipfile.ZipInfo(file_name(place, record), _ZIP_TIME)
            bundle.writestr(entry, render(png, size))
            yield outbox.take()
    yield outbox.take()


class _Outbox(io.RawIOBase):
    """A write-only, unseekable stream that hands out what was written since the last `take`."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        part = bytes(data)  # type: ignore[call-overload]
        self._parts.append(part)
        return len(part)

    def take(self) -> bytes:
        data = b"".join(self._parts)
        self._parts.clear()
        return data
