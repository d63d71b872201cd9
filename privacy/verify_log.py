"""An auditor's check of a log of receipts. Needs no running server, no database and no secret:

    python -m privacy.verify_log LOG --key KEY [--checkpoint FILE]
                                 [--receipt FILE] [--live N] [--now ISO]

LOG is the folder of the log, or the one file that /receipts/log serves. KEY is the public key as
/privacy shows it, or a file with it. Get it, and checkpoints, on another day than the log: a key
that comes with the log proves only that the log agrees with itself.

Prints one sentence per finding; exit code 0 when nothing is wrong, 1 otherwise.

Does not see: lines cut off the end since the last checkpoint or receipt that somebody keeps;
whether bytes are really gone from a disk.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from privacy.receipt_lines import (
    BadLine,
    Head,
    Line,
    VerifierKey,
    epoch,
    read,
    read_checkpoint,
)
from privacy.receipt_log import files_of


@dataclass
class Audit:
    """What was found in a log. `problems` is empty when nothing is wrong."""

    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    hashes: list[str] = field(default_factory=list)
    open: dict[str, Line] = field(default_factory=dict)
    erased: dict[str, Line] = field(default_factory=dict)


def audit(data: bytes, key: VerifierKey, now: float) -> Audit:
    """Every check that the log alone allows.

    Args:
        data: the whole log.
        now: epoch seconds; what should have been erased by then must have been.
    """
    found = Audit()
    whole, newline, rest = data.rpartition(b"\n")
    if rest:
        found.problems.append("The log ends in the middle of a line.")
    head, latest = Head(), ""
    for number, raw in enumerate(whole.split(b"\n") if newline else ()):
        try:
            line = read(raw, key)
        except BadLine as why:
            found.problems.append(f"Line {number} {why}.")
            head = head.after(raw)
        else:
            found.problems += _order(number, line, head, latest)
            _follow(found, number, line, key)
            latest = max(latest, line.get("time", ""))
            head = Head(line["seq"], "").after(raw)
        found.hashes.append(head.last)
    for line in found.open.values():
        if epoch(line["erase_by"]) < now:
            found.problems.append(
                f"Session {line['id']} had to be erased by {line['erase_by']}, "
                "and no line says that it was."
            )
    return found


def _order(number: int, line: Line, head: Head, latest: str) -> Iterator[str]:
    """Where a line does not stand where it was signed to stand."""
    missing = line["seq"] - head.size
    if missing > 0:
        yield f"Before line {number}, {missing} line(s) are missing."
    elif missing < 0:
        yield f"Line {number} is out of order: it was written as line {line['seq']}."
    if line["prev"] != head.last:
        yield (
            f"Line {number} does not follow the line before it, "
            "which was changed, removed, moved or added."
        )
    if line.get("time", latest) < latest:
        yield f"Line {number} is dated {line['time']}, before the line above it."


def _follow(found: Audit, number: int, line: Line, key: VerifierKey) -> None:
    """What a line means for its session."""
    if line["event"] == "log" and line["key"] != key.public.hex():
        found.problems.append(f"Line {number} names another key than the one it is signed with.")
    elif line["event"] == "repaired":
        found.notes.append(
            f"Line {number}: the server stopped in the middle of a line; "
            f"{line['cut']} bytes without an end were cut at its next start."
        )
    elif line["event"] == "opened":
        if line["id"] in found.open or line["id"] in found.erased:
            found.problems.append(f"Line {number} opens session {line['id']} a second time.")
        found.open[line["id"]] = line
    elif line["event"] == "handed":
        if found.open.get(line["id"], {}).get("receipt") != line["receipt"]:
            found.problems.append(f"Line {number} hands in for a session that was not open.")
    elif line["event"] == "erased":
        opened = found.open.pop(line["id"], None)
        if opened is None or opened["receipt"] != line["receipt"]:
            found.problems.append(f"Line {number} erases a session that was not open.")
        elif line["time"] > opened["erase_by"]:
            late = (epoch(line["time"]) - epoch(opened["erase_by"])) / 3600
            found.notes.append(
                f"Line {number}: session {line['id']} was erased {late:.0f} hours late "
                "(a server that is switched off erases at its next start)."
            )
        found.erased[line["id"]] = line


def check_checkpoint(found: Audit, text: str, key: VerifierKey) -> None:
    """Add what a checkpoint that was kept elsewhere tells about the log."""
    try:
        head, day = read_checkpoint(text, key)
    except BadLine as why:
        found.problems.append(f"The checkpoint {why}.")
        return
    if head.size > len(found.hashes):
        found.problems.append(
            f"The checkpoint of {day} counts {head.size} lines, the log has {len(found.hashes)}: "
            "its end was cut off."
        )
    elif head.size < 1 or found.hashes[head.size - 1] != head.last:
        found.problems.append(
            f"The log is not the one of the checkpoint of {day}: it was rewritten since."
        )
    else:
        found.notes.append(f"The log still holds every line of the checkpoint of {day}.")


def check_receipt(found: Audit, text: str) -> None:
    """Add whether the log says what a visitor's receipt (the JSON file) says."""
    try:
        receipt = json.loads(text)
        mark = hashlib.sha256(bytes.fromhex(receipt["r"])).hexdigest()
        line = receipt["line"]
        wanted = hashlib.sha256(line.encode()).hexdigest()
    except (ValueError, KeyError, TypeError, AttributeError):
        found.problems.append("The receipt is not a receipt of this log.")
        return
    if wanted not in found.hashes or f'"receipt":"{mark}"' not in line:
        found.problems.append("The line of the receipt is not in the log.")
    else:
        found.notes.append("The line of the receipt is in the log, and r belongs to it.")


def main(arguments: Sequence[str] | None = None) -> int:
    options = _options(arguments)
    try:
        now = epoch(options.now) if options.now else time.time()
        key = VerifierKey.parse(_text_or_file(options.key))
        found = audit(_read(Path(options.log)), key, now)
        if options.checkpoint:
            check_checkpoint(found, Path(options.checkpoint).read_text(), key)
        if options.receipt:
            check_receipt(found, Path(options.receipt).read_text())
    except (OSError, ValueError) as why:
        reason = f"{why.filename}: {why.strerror}." if isinstance(why, OSError) else str(why)
        print(reason)
        return 1
    if options.live is not None and options.live != len(found.open):
        found.problems.append(
            f"{len(found.open)} session(s) are open in the log, but {options.live} on the server."
        )
    for finding in (*found.problems, *found.notes):
        print(finding)
    print(
        f"{len(found.hashes)} lines, {len(found.erased)} session(s) erased, "
        f"{len(found.open)} open: " + ("something is wrong." if found.problems else "all is well.")
    )
    return 1 if found.problems else 0


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m privacy.verify_log", description="Audit a log.")
    parser.add_argument("log", help="the folder of the log, or the file of /receipts/log")
    parser.add_argument("--key", required=True, help="the public key, or a file with it")
    parser.add_argument("--checkpoint", help="a checkpoint kept elsewhere")
    parser.add_argument("--receipt", help="a visitor's likeness-receipt.json")
    parser.add_argument("--live", type=int, help="sessions with photos on the server now")
    parser.add_argument("--now", help="ISO time to judge deadlines by; the present by default")
    return parser.parse_args(arguments)


def _text_or_file(key: str) -> str:
    return Path(key).read_text() if Path(key).is_file() else key


def _read(path: Path) -> bytes:
    if not path.is_dir():
        return path.read_bytes()
    files = files_of(path)
    if not files:
        raise ValueError(f"There is no log in {path}.")
    return b"".join(file.read_bytes() for file in files)


if __name__ == "__main__":
    sys.exit(main())
