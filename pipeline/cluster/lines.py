"""What machines signed: that nothing of a job is held there any more. One JSON line each.

    {"certificate": PEM}                             once for each machine's certificate
    {"time": hour, "machine": name, "line": what was signed, "signature": hex, "by": its SHA-256}

Kept beside the log of receipts, in `workers.jsonl`; holds no session, no name and no address.

    python -m pipeline.cluster.lines FILE authority.pem      an auditor's check, without a server
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from errors import TamperedError
from pipeline.cluster.identity import Authority, Signer
from pipeline.cluster.talk import released

FILE = "workers.jsonl"


@dataclass(frozen=True)
class SignedLine:
    """A line that a machine signed, and its certificate (PEM)."""

    machine: str
    line: bytes
    certificate: bytes
    signature: bytes


KeepLine = Callable[[SignedLine], None]


def sign_line(signer: Signer, **said: str) -> tuple[bytes, bytes, bytes]:
    """The parts of a frame that `read_line` reads."""
    line = json.dumps(said).encode()
    return line, signer.certificate, signer.sign(released(line))


def read_line(authority: Authority, parts: Sequence[bytes]) -> SignedLine:
    """What a machine signed.

    Raises:
        TamperedError: no machine of the cluster did.
    """
    if len(parts) != 3:
        raise TamperedError
    line, certificate, signature = parts
    machine = authority.verify(certificate, signature, released(line))
    return SignedLine(machine, line, certificate, signature)


class Lines:
    """Appends to the file. Thread-safe."""

    def __init__(self, path: Path) -> None:
        self._path, self._lock = path, threading.Lock()
        self._known = {_digest(row["certificate"]) for row in _rows(path) if "certificate" in row}

    def keep(self, signed: SignedLine) -> None:
        """Append what a machine signed, durably.

        Raises:
            OSError: it cannot be written.
        """
        certificate = signed.certificate.decode()
        by, rows = _digest(certificate), list[dict[str, Any]]()
        with self._lock:
            if by not in self._known:
                rows.append({"certificate": certificate})
            hour = datetime.now(UTC).strftime("%Y-%m-%dT%H:00Z")
            said = {"time": hour, "machine": signed.machine, "line": signed.line.decode()}
            rows.append(said | {"signature": signed.signature.hex(), "by": by})
            opened = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
            with os.fdopen(opened, "ab") as file:
                file.writelines(json.dumps(row).encode() + b"\n" for row in rows)
                file.flush()
                os.fsync(file.fileno())
            self._known.add(by)


def verify(path: Path, authority: Authority) -> int:
    """How many signed lines there are, all of them right.

    Raises:
        TamperedError: one is not what a machine of the cluster signed. ValueError: no such file.
    """
    certificates, count = dict[str, str](), 0
    for row in _rows(path):
        if "certificate" in row:
            certificates[_digest(row["certificate"])] = row["certificate"]
            continue
        certificate = certificates.get(row["by"])
        if certificate is None:
            raise TamperedError
        parts = row["line"].encode(), certificate.encode(), bytes.fromhex(row["signature"])
        if read_line(authority, parts).machine != row["machine"]:
            raise TamperedError
        count += 1
    return count


def main(arguments: list[str]) -> int:
    """Check a file; returns the exit code."""
    if len(arguments) != 2:
        print("Usage: python -m pipeline.cluster.lines workers.jsonl authority.pem")
        return 2
    path, authority = map(Path, arguments)
    try:
        count = verify(path, Authority(authority.read_bytes()))
    except (TamperedError, ValueError, KeyError, OSError) as why:
        print(f"NOT as the machines signed it ({type(why).__name__}).")
        return 1
    print(f"{count} lines, each signed by a machine of this cluster.")
    return 0


def _rows(path: Path) -> list[dict[str, Any]]:
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text().splitlines()]


def _digest(certificate: str) -> str:
    return hashlib.sha256(certificate.encode()).hexdigest()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
