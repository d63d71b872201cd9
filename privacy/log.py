"""One log for the whole process: event, job number, duration. Never names, paths, ids or prompts.

Of a base that cannot be used it says what the operator has to repair.

Everything that goes through `logging` (uvicorn, APScheduler, Gradio) is cut to warnings of the
logger's name: their messages may hold addresses, file names or tracebacks with values.
"""

from __future__ import annotations

import logging
import sys

import structlog


def configure(level: str) -> None:
    """Send structlog events to stderr as one line each, and silence what third parties say.

    Args:
        level: "debug", "info", "warning" or "error".
    """
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.KeyValueRenderer(key_order=["timestamp", "level", "event"]),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level.upper())),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )
    quiet = logging.StreamHandler(sys.stderr)
    quiet.setFormatter(_NameOnly())
    logging.basicConfig(level=logging.WARNING, handlers=[quiet], force=True)


class _NameOnly(logging.Formatter):
    """A third party's warning as its logger's name and, for an exception, its type."""

    def format(self, record: logging.LogRecord) -> str:
        kind = record.exc_info[0] if record.exc_info else None
        what = f" {kind.__name__}" if kind else ""
        return f"{record.levelname.lower()} from {record.name}{what}"
