"""Where in the log of receipts a session's lines stand, so that nobody has to read it through.

Kept in RAM, made from the files themselves, and never believed: whoever follows it reads the line
and checks it. 16 hex digits of an id or a hash, the file, and the place in it; nothing else.
"""

from __future__ import annotations

import re
import sqlite3

_MARK = re.compile(rb'"(?:id|receipt)":"([0-9a-f]{16})')
_DIGITS = 16
_SIGNED = 1 << 63


class ReceiptIndex:
    """Marks by which lines are found. Not thread-safe: the log has a lock."""

    def __init__(self) -> None:
        self._database = sqlite3.connect(":memory:", check_same_thread=False)
        self._database.execute("CREATE TABLE lines (mark INTEGER, file INTEGER, at INTEGER)")
        self._database.execute("CREATE INDEX marks ON lines (mark)")

    def add(self, file: int, at: int, lines: bytes) -> None:
        """Whole lines that stand in a file from a place on. file: the number in its name."""
        rows = []
        for line in lines.splitlines(keepends=True):
            rows += [(_number(mark), file, at) for mark in _MARK.findall(line)]
            at += len(line)
        self._database.executemany("INSERT INTO lines VALUES (?, ?, ?)", rows)

    def find(self, words: str) -> list[tuple[int, int]]:
        """File and place of each line in which an id or a hash may stand, oldest first."""
        sought = (_number(words[:_DIGITS].encode()),)
        rows = "SELECT file, at FROM lines WHERE mark = ? ORDER BY file, at"
        return list(self._database.execute(rows, sought))

    def close(self) -> None:
        self._database.close()


def _number(mark: bytes) -> int:
    """16 hex digits as SQLite keeps 64 bits."""
    return int(mark, 16) - _SIGNED
