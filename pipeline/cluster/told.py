"""What a job says of itself, as JSON: progress, files, what it measured, how it ended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from pydantic import TypeAdapter

from errors import BadOrder, BaseUnavailable, DiskFull, GpuFailed, LikenessError, Stopped
from messages import Message
from pipeline.orders import PhotoReport, Progress, Report
from pipeline.portraits.style import Style
from privacy.sealed import Sealed

_REPORTED = ("base", "adapter", "choice", "seconds", "headshots", "likeness", "again")
_MEASURED = ("seconds_per_portrait", "seconds_per_step", "steps_down")


def progress_to_json(progress: Progress) -> dict[str, Any]:
    """Return what `progress_from_json` reads."""
    message = progress.message.to_json() if progress.message else None
    return {name: value for name, value in vars(progress).items() if name != "message"} | {
        "message": message
    }


def progress_from_json(row: dict[str, Any]) -> Progress:
    """Return the progress."""
    message = Message.from_json(row["message"]) if row["message"] else None
    return Progress(**row | {"message": message})


def report_to_json(report: Report) -> dict[str, Any]:
    """Return what `report_from_json` reads: all but plans and memory, which say something only on
    the machine that they were measured on."""
    ways = {name: _photo(getattr(report, name)) for name in ("photo", "dressed")}
    numbers = {name: getattr(report, name) for name in (*_REPORTED, *_MEASURED)}
    return numbers | ways | {"ways": report.ways}


def report_from_json(row: dict[str, Any]) -> Report:
    """Return the report."""
    ways = {name: PhotoReport(**row[name]) if row[name] else None for name in ("photo", "dressed")}
    return Report(**row | ways | {"ways": tuple(row["ways"])})


def files_to_json(files: Sequence[Sealed]) -> list[list[str | int]]:
    """Return what `files_from_json` reads, beside their ciphertexts."""
    return [[file.kind, file.name, file.size] for file in files]


def files_from_json(rows: Sequence[Any], ciphertexts: Sequence[bytes]) -> list[Sealed]:
    """Return the files.

    Raises:
        ValueError: there are more of the one than of the other.
    """
    pairs = zip(rows, ciphertexts, strict=True)
    return [Sealed(kind, name, size, data) for (kind, name, size), data in pairs]


def looks_to_json(looks: Mapping[str, Style]) -> dict[str, Any]:
    """Return what `looks_from_json` reads."""
    return {key: asdict(style) for key, style in looks.items()}


def looks_from_json(rows: dict[str, Any]) -> dict[str, Style]:
    """Return the looks."""
    return _LOOKS.validate_python(rows)


_LOOKS = TypeAdapter(dict[str, Style])


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
        told = Message.from_json(row["message"])
        return BadOrder(told.key, **told.values)
    return RuntimeError(f"a worker's job broke: {str(name)[:80]}")


_PLAIN: dict[str, type[DiskFull] | type[GpuFailed] | type[Stopped]] = {
    "DiskFull": DiskFull,
    "GpuFailed": GpuFailed,
    "Stopped": Stopped,
}


def _photo(report: PhotoReport | None) -> dict[str, Any] | None:
    return asdict(report) if report else None
