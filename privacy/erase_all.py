"""Erase every session of a scratch folder without reading its database.

For a database that is damaged, so that nobody can say what is due: `python -m privacy.erase_all
scratch`. Refuses while a server holds the folder. The log of receipts gets no line for these
sessions: it can only show that they were begun, and whoever runs this writes down why.

Does not protect old disk blocks: they hold ciphertext and wrapped keys, which open nothing without
the visitors' secrets.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from errors import BadSettings
from privacy import scratch
from privacy.keys import is_session_id
from privacy.scratch import DATABASE, VAULT

_DATABASE_FILES = (DATABASE, f"{DATABASE}-journal", f"{DATABASE}-wal", f"{DATABASE}-shm")


def erase_all(folder: Path) -> int:
    """Destroy the database, and with it the wrapped keys, then all sessions; how many there were.

    Raises:
        BadSettings: a server uses the folder, or it cannot be used.
        OSError: something could not be removed; running it again goes on.
    """
    if not folder.is_dir():
        raise BadSettings(f"LIKENESS_SCRATCH: there is no folder {folder}.")
    with scratch.hold(folder):
        for name in _DATABASE_FILES:
            _shred(folder / name)
        vault = folder / VAULT
        ids = [name for name in os.listdir(vault) if is_session_id(name)] if vault.is_dir() else []
        for session_id in ids:
            scratch.remove(vault / session_id)
        for path in (vault, folder):
            if path.is_dir():
                with scratch.open_folder(path) as descriptor:
                    os.fsync(descriptor)
        return len(ids)


def _shred(path: Path) -> None:
    """Overwrite a file with zeros, then remove it; a link is removed, not followed."""
    if path.is_file() and not path.is_symlink():
        with path.open("r+b") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(0)
            for start in range(0, size, 1 << 20):
                file.write(bytes(min(1 << 20, size - start)))
            file.flush()
            os.fsync(file.fileno())
    scratch.remove(path)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run from the command line; returns the exit code."""
    parser = argparse.ArgumentParser("python -m privacy.erase_all", description="Erase everything.")
    parser.add_argument("scratch", type=Path, help="the folder that LIKENESS_SCRATCH names")
    folder = parser.parse_args(arguments).scratch
    try:
        count = erase_all(folder)
    except (BadSettings, OSError) as why:
        print(why if isinstance(why, BadSettings) else f"Not everything is erased: {why}.")
        return 2
    print(f"Erased: the database and {count} session(s). Nothing of them can be opened any more.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
