"""What a job says of itself, as JSON: progress, files, what it measured, how it ended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from pydantic import TypeAdapter

from errors import (
    BadOrder,
    BaseUnavailable,
    DiskFull,
    GpuFailed,
    LikenessError,
    Stopped,
    TamperedError,
)
from messages import Message
from pipeline.orders import PhotoReport, Progress, Report
from pipeline.portraits.style import Style
from privacy.sealed import Sealed

_REPORTED = ("base", "adapter", "choice", "seconds", "headshots", "likeness", "again")
_MEASURED = ("seconds_per_portrait", "seconds_per_step", "steps_down")

_PROGRESS, _REPORT = TypeAdapter(Progress), TypeAdapter(Report)
_MESSAGE = TypeAdapter(Message)
_ROWS = TypeAdapter(list[tuple[str, str, int]])
_GONE = TypeAdapter(list[tuple[str, str | None]])
_LOOKS = TypeAdapter(dict[str, Style])


@dataclass(frozen=True)
class Made:
    """What a job wants kept, and deleted: kinds, and names or None for all of a kind."""

    put: list[Sealed]
    gone: list[tuple[str, str | None]]


def heard(said: Mapping[str, Any], files: Sequence[bytes]) -> Progress | Made | Report | Exception:
    """What a worker said of its job; of a job that failed, the error.

    Raises:
        TamperedError: no worker says such a thing.
    """
    try:
        if said["is"] == "progress":
            return progress_from_json(said["progress"])
        if said["is"] == "files":
            put = files_from_json(said["put"], files)
            return Made(put, _GONE.validate_python(said["gone"]))
        if "error" in said:
            return error_from_json(said["error"])
        return report_from_json(said["report"])
    except (AttributeError, KeyError, TypeError, ValueError):
        raise TamperedError from None


def progress_to_json(progress: Progress) -> dict[str, Any]:
    """Return what `progress_from_json` reads."""
    message = progress.message.to_json() if progress.message else None
    return {name: value for name, value in vars(progress).items() if name != "message"} | {
        "message": message
    }


def progress_from_json(row: dict[str, Any]) -> Progress:
    """Return the progress."""
    return _PROGRESS.validate_python(row)


def report_to_json(report: Report) -> dict[str, Any]:
    """Return what `report_from_json` reads: all but plans and memory, which say something only on
    the machine that they were measured on."""
    ways = {name: _photo(getattr(report, name)) for name in ("photo", "dressed")}
    numbers = {name: getattr(report, name) for name in (*_REPORTED, *_MEASURED)}
    return numbers | ways | {"ways": report.ways}


def report_from_json(row: dict[str, Any]) -> Report:
    """Return the report."""
    return _REPORT.validate_python(row)


def files_to_json(files: Sequence[Sealed]) -> list[list[str | int]]:
    """Return what `files_from_json` reads, beside their ciphertexts."""
    return [[file.kind, file.name, file.size] for file in files]


def files_from_json(rows: Sequence[Any], ciphertexts: Sequence[bytes]) -> list[Sealed]:
    """Return the files.

    Raises:
        ValueError: there are more of the one than of the other.
    """
    pairs = zip(_ROWS.validate_python(rows), ciphertexts, strict=True)
    return [Sealed(kind, name, size, data) for (kind, name, size), data in pairs]


def looks_to_json(looks: Mapping[str, Style]) -> dict[str, Any]:
    """Return what `looks_from_json` reads."""
    return {key: asdict(style) for key, style in looks.items()}


def looks_from_json(rows: dict[str, Any]) -> dict[str, Style]:
    """Return the looks."""
    return _LOOKS.validate_python(rows)


def error_to_json(error: BaseException) -> dict[str, Any]:
    """Return what `error_from_json` reads; of a bug nothing but its name."""
    if isinstance(error, BaseUnavailable):
        return {"name": "BaseUnavailable", "sentence": error.sentence}
    if isinstance(error, LikenessError):
        return {"name": type(error).__name__, "message": error.message.to_json()}
    return {"name": type(error).__name__}


def error_from_json(row: dict[str, Any]) -> Exception:
    """Return the error; RuntimeError for a bug."""
    name = row["name"]
    if name == "BaseUnavailable":
        return BaseUnavailable(str(row["sentence"]))
    if name in _PLAIN:
        return _PLAIN[name]()
    if name == "BadOrder":
        told = _MESSAGE.validate_python(row["message"])
        return BadOrder(told.key, **told.values)
    return RuntimeError(f"a worker's job broke: {str(name)[:80]}")


_PLAIN: dict[str, type[DiskFull] | type[GpuFailed] | type[Stopped]] = {
    "DiskFull": DiskFull,
    "GpuFailed": GpuFailed,
    "Stopped": Stopped,
}


def _photo(report: PhotoReport | None) -> dict[str, Any] | None:
    return asdict(report) if report else None
