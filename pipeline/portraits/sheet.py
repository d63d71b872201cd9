"""The sheet of a session: what is known of each portrait, kept beside them in the vault.

Portraits of either way come together here, a few in one commit, and are visible once they are kept.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.imaging import png_of
from pipeline.orders import Way
from pipeline.portraits.score import PortraitRecord
from privacy import kinds
from privacy.sealed import File, Files
from privacy.sessions import Session

PORTRAITS, KEPT = "portraits", "kept"
"""The sheets of a session: of what jobs made, and of what was kept in the editor. Two, so that a
running job and a visitor who keeps a portrait do not write into one file."""

KEPT_TOGETHER = 4
"""Portraits in one commit of the vault: each costs several waits for the disk."""


class Sheet:
    """Gives portraits their names and keeps them with what is known of them."""

    def __init__(self, vault: Files, session: Session, way: Way, earlier: int | None) -> None:
        """Read what was made before.

        way: in which this sheet's portraits are made. earlier: how many records are of earlier
        orders; None: all that there are.
        """
        self._vault, self._session, self._way = vault, session, way
        self._records = _rows(vault, session, PORTRAITS)
        self._earlier = len(self._records) if earlier is None else earlier
        self._waiting: list[File] = []

    @property
    def made(self) -> list[PortraitRecord]:
        """The order's records in this way, in the order of making."""
        return [record for record in self._records[self._earlier :] if record.way == self._way]

    @property
    def next_id(self) -> str:
        """The name of the portrait that is added next."""
        return f"portrait-{len(self._records) + 1:03d}"

    def add(self, record: PortraitRecord, image: NDArray[np.uint8]) -> None:
        """Take a portrait, uint8 RGB [H, W, 3]; it is kept together with the next ones."""
        self._records.append(record)
        self._waiting.append((kinds.PORTRAIT, record.id, png_of(image)))
        if len(self._waiting) == KEPT_TOGETHER:
            self.keep()

    def keep(self) -> None:
        """Put what waits into the vault, together with what is known of all so far.

        Raises:
            DiskFull: no room. UnknownSession: the session was erased.
        """
        files = [*self._waiting]
        self._waiting.clear()
        if files:
            self._vault.put_all(self._session, [*files, sheet_file(self._records)])


def load_sheet(vault: Files, session: Session) -> list[PortraitRecord]:
    """What is known of each portrait made so far, in the order they were made, then those kept."""
    return [*_rows(vault, session, PORTRAITS), *_rows(vault, session, KEPT)]


def count_made(vault: Files, session: Session) -> int:
    """How many portraits jobs have made for a session."""
    return len(_rows(vault, session, PORTRAITS))


def load_kept(vault: Files, session: Session) -> list[PortraitRecord]:
    """What is known of the portraits that were kept in the editor, in that order."""
    return _rows(vault, session, KEPT)


def is_kept(portrait_id: str) -> bool:
    """Tell whether a portrait was kept in the editor."""
    return portrait_id.startswith(f"{KEPT}-")


def sheet_file(records: Sequence[PortraitRecord], name: str = PORTRAITS) -> File:
    """One of the files that `load_sheet` reads."""
    rows = [asdict(record) for record in records]
    return kinds.SHEET, name, json.dumps(rows).encode()


def _rows(vault: Files, session: Session, name: str) -> list[PortraitRecord]:
    try:
        rows: list[dict[str, Any]] = json.loads(vault.open(session, kinds.SHEET, name))
    except KeyError:
        return []
    return [PortraitRecord.from_row(row) for row in rows]
