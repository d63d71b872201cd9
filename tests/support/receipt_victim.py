"""victim.py on a store with a log of receipts: killed at every step of an erasure, log and all."""

from __future__ import annotations

from pathlib import Path

from tests.support import victim
from tests.support.logged import Logged


def open_logged(folder: Path) -> Logged:
    return Logged(folder)


if __name__ == "__main__":
    victim.open_store = open_logged
    victim.main()
