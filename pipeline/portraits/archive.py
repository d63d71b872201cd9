"""What leaves the vault for the person: one portrait, or many as a ZIP.

Images are decrypted and finished (`finish`) in RAM, one at a time. Nothing here writes to a disk.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from pipeline.portraits.export import SUFFIXES, Finish, bytes_more, finish
from pipeline.portraits.score import PortraitRecord
from privacy import kinds

if TYPE_CHECKING:
    from pipeline.portraits.mattes import Mattes
    from privacy.sessions import Session
    from privacy.vault import Vault

# ZIP cannot tell times before 1980 and needs one; a fixed one tells nothing about the person.
_ZIP_TIME = (1980, 1, 1, 0, 0, 0)


_PLAIN_ZIP_BYTES = 1 << 31  # a longer one may need fields that depend on its length


def one(
    vault: Vault,
    session: Session,
    record: PortraitRecord,
    how: Finish,
    mattes: Mattes | None = None,
) -> bytes:
    """One portrait as the person asked for it.

    mattes: for what `finish` needs masks for.

    Raises:
        KeyError: it is not in the vault. UnknownSession: the session was erased.
    """
    png = vault.open(session, kinds.PORTRAIT, record.id)
    masks = mattes.of(session, record) if mattes else None
    return finish(png, how, record.face, record.way, masks)


def file_name(place: int, record: PortraitRecord, how: Finish | None = None) -> str:
    """The name in a ZIP or an output folder: a person's, place by likeness, then the style, or as
    `how.names` has them."""
    how = how or Finish()
    folder = "doubtful/" if record.doubtful else ""
    return f"{folder}{named(f'{place:03d}', record, how)}"


def named(number: str, record: PortraitRecord, how: Finish) -> str:
    """The name of one file."""
    person = f"{how.name}-" if how.name else ""
    stem = how.names.format(number=number, look=record.style)
    return f"{person}{stem}.{SUFFIXES[how.format]}"


def archive(
    vault: Vault,
    session: Session,
    records: Sequence[PortraitRecord],
    how: Finish,
    mattes: Mattes | None = None,
) -> Iterator[bytes]:
    """A ZIP of the portraits in the given order, a chunk per portrait as it is made.

    Stored, not deflated: pictures are compressed already.

    Raises:
        UnknownSession, KeyError: the session was erased while it was read.
    """
    outbox = _Outbox()
    with zipfile.ZipFile(outbox, "w", zipfile.ZIP_STORED) as bundle:
        for place, record in enumerate(records, start=1):
            bundle.writestr(_entry(place, record, how), one(vault, session, record, how, mattes))
            yield outbox.take()
    yield outbox.take()


def length(stored: Mapping[str, int], records: Sequence[PortraitRecord], how: Finish) -> int | None:
    """How many bytes `archive` will give; None where only making the portraits tells.

    Args:
        stored: bytes of each portrait in the vault, by its id.
    """
    total = 0
    outbox = _Outbox()
    # What a ZIP adds depends on the names alone, so it is that of empty files.
    with zipfile.ZipFile(outbox, "w", zipfile.ZIP_STORED) as bundle:
        for place, record in enumerate(records, start=1):
            more = bytes_more(how, record.way)
            if more is None or record.id not in stored:
                return None
            total += stored[record.id] + more
            bundle.writestr(_entry(place, record, how), b"")
    total += len(outbox.take())
    return total if total < _PLAIN_ZIP_BYTES else None


def _entry(place: int, record: PortraitRecord, how: Finish) -> zipfile.ZipInfo:
    return zipfile.ZipInfo(file_name(place, record, how), _ZIP_TIME)


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
