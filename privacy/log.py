"""One log for the whole process: event, job number, duration. Never names, paths, ids or prompts.

Of a base that cannot be used it says what the operator has to repair.

Everything that goes through `logging` (uvicorn, APScheduler, Gradio) is cut to warnings of the
logger's name: their messages may hold addresses, file names or tracebacks with values.

A warning or an error that says the same again within a minute is counted instead of written; the
next one after that minute says how many there were (`repeated`). Nobody can fill a disk with them.
"""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable

import structlog
from structlog.typing import EventDict

_WINDOW_S = 60.0
_REMEMBERED = 500  # different lines; beyond that the oldest is forgotten
_LOUD = ("warning", "error", "critical")

_said: Counter[tuple[str, str]] = Counter()
_saying = threading.Lock()


def warnings() -> dict[tuple[str, str], int]:
    """Level and event of each warning and error that was said since the start → how often.

    An event is a word of our code, such as `sweep_failed`; what was said beside it is not kept.
    """
    with _saying:
        return dict(_said)


def configure(level: str) -> None:
    """Send structlog events to stderr as one line each, and silence what third parties say.

    Args:
        level: "debug", "info", "warning" or "error".
    """
    repeats = Repeats()

    def count(_: object, __: str, event: EventDict) -> EventDict:
        if event["level"] not in _LOUD:
            return event
        with _saying:
            _said[event["level"], event["event"]] += 1
        times = repeats.count(repr(event))
        if times is None:
            raise structlog.DropEvent
        return {**event, "repeated": times} if times else event

    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            count,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.KeyValueRenderer(key_order=["timestamp", "level", "event"]),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level.upper())),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )
    quiet = logging.StreamHandler(sys.stderr)
    quiet.setFormatter(_NameOnly())
    quiet.addFilter(_Counted())
    logging.basicConfig(level=logging.WARNING, handlers=[quiet], force=True)


class Repeats:
    """Counts lines that come again within a minute of their first. Thread-safe."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._lock = threading.Lock()
        self._lines: dict[str, tuple[float, int]] = {}

    def count(self, line: str) -> int | None:
        """None when the line is not to be written, else how often it was left out before."""
        with self._lock:
            now = self._now()
            since, times = self._lines.get(line, (-_WINDOW_S, 0))
            if now - since < _WINDOW_S:
                self._lines[line] = since, times + 1
                return None
            self._lines.pop(line, None)
            if len(self._lines) >= _REMEMBERED:
                del self._lines[next(iter(self._lines))]
            self._lines[line] = now, 0
            return times


class _Counted(logging.Filter):
    """Lets a third party's line through once a minute, with how often it came meanwhile."""

    def __init__(self) -> None:
        super().__init__()
        self._repeats = Repeats()

    def filter(self, record: logging.LogRecord) -> bool:
        times = self._repeats.count(_NameOnly.line(record))
        record.repeated = times or 0
        return times is not None


class _NameOnly(logging.Formatter):
    """A third party's warning as its logger's name and, for an exception, its type."""

    def format(self, record: logging.LogRecord) -> str:
        times = getattr(record, "repeated", 0)
        return self.line(record) + (f" repeated={times}" if times else "")

    @staticmethod
    def line(record: logging.LogRecord) -> str:
        """What is said of a record, without how often."""
        kind = record.exc_info[0] if record.exc_info else None
        what = f" {kind.__name__}" if kind else ""
        return f"{record.levelname.lower()} from {record.name}{what}"
