"""The log of receipts on the disk: appended to, never rewritten; one writer.

    LIKENESS_RECEIPTS/
        log-000000000.jsonl    the lines; a file is named by the number of its first line
        log-000011873.jsonl    the next one, whose first `prev` is the hash of the last line above
        checkpoint             the signed head of the chain, renewed once a day: copy it off the box
        log.pub                the public key
        signing.key            the private key, mode 0600; made at the first start

Bytes are on the disk before `append` returns, or the file is as it was. A machine that stops in
the middle of a line leaves a line without an end: the next start cuts it, says so in its own log
and in the next line here. A whole line that is not ours stops the start.

Knows nothing of sessions. Does not protect against somebody who may write to this folder, nor
against the holder of the key: that is what checkpoints kept elsewhere are for.
"""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from errors import BadSettings, TamperedError
from privacy import scratch
from privacy.receipt_index import ReceiptIndex
from privacy.receipt_lines import (
    BadLine,
    Head,
    Line,
    VerifierKey,
    hash_of,
    read,
    write,
    write_checkpoint,
)

CHECKPOINT = "checkpoint"
FILE_BYTES = 5_000_000
"""A file that has grown to this is followed by a new one."""

KEY_FILE, _PUBLIC_KEY = "signing.key", "log.pub"
_SETTING = "LIKENESS_RECEIPTS"
_KEY_BYTES = 32

log = structlog.get_logger()


class ReceiptLog:
    """The log in a folder, held by this process until `close`. Thread-safe."""

    def __init__(self, folder: Path, app: str) -> None:
        """Open the log, or begin one.

        Args:
            app: the version of the app, for new lines.

        Raises:
            BadSettings: the folder cannot be used or is another server's; the key is missing,
                badly kept or not the one of these lines.
        """
        self._folder, self._app = folder.resolve(), app
        self._lock = threading.Lock()
        self._head, self._cut = Head(), 0
        self._descriptor, self._length = -1, 0
        self._index: ReceiptIndex | None = None
        with ExitStack() as undo:
            self._hold = undo.enter_context(scratch.hold(self._folder, _SETTING))
            try:
                self._key = self._load_key()
                self.key = VerifierKey.of(self._key)
                self._open_last()
            except OSError as problem:
                reason = (problem.strerror or "unknown error").lower()
                raise BadSettings(f"{_SETTING}: {folder} cannot be used ({reason}).") from None
            undo.pop_all()

    @property
    def size(self) -> int:
        """The number of lines."""
        return self._head.size

    def append(self, events: Sequence[Mapping[str, Any]]) -> None:
        """Sign and write events, all or none, durably.

        Raises:
            OSError: they could not be written; the log is as it was.
        """
        with self._lock:
            if self._length >= FILE_BYTES:
                self._begin_file()
            head, lines = self._head, b""
            for event in (*self._openers(), *events):
                line = write(event, head, self._app, self._key)
                head, lines = head.after(line), lines + line + b"\n"
            self._write(lines)
            self._head, self._cut = head, 0
            if self._index is not None:
                file = files_of(self._folder)[-1]
                self._index.add(_number(file), self._length - len(lines), lines)

    def lines(self) -> Iterator[bytes]:
        """Every whole line from the first on, without its end."""
        for chunk in self.chunks():
            yield from chunk.splitlines()

    def chunks(self) -> Iterator[bytes]:
        """The bytes of the log, a file at a time."""
        with self._lock:
            files, length = files_of(self._folder), self._length
        for file in files:
            yield file.read_bytes()[: length if file == files[-1] else None]

    def mentions(self, words: str) -> list[Line]:
        """The lines in which `words` (a hash or an id, in hex) stand, oldest first.

        The first call reads the whole log, later ones only these lines.

        Raises:
            TamperedError: one of them is not what was written.
        """
        with self._lock:
            if self._index is None:
                self._index = self._indexed()
            found = self._index.find(words)
        try:
            lines = [read(self._line_at(file, at), self.key) for file, at in found]
        except (BadLine, OSError):
            raise TamperedError from None
        return [line for line in lines if words in (line.get("id"), line.get("receipt"))]

    def _indexed(self) -> ReceiptIndex:
        """Where all lines of the log stand. Under the lock."""
        index, files = ReceiptIndex(), files_of(self._folder)
        for file in files:
            data = file.read_bytes()[: self._length if file == files[-1] else None]
            index.add(_number(file), 0, data)
        return index

    def _line_at(self, file: int, at: int) -> bytes:
        with (self._folder / _name(file)).open("rb") as opened:
            opened.seek(at)
            return opened.readline().removesuffix(b"\n")

    def checkpoint(self, day: str) -> None:
        """Renew the checkpoint file if it is of another day (ISO) and there is a line to sign.

        Raises:
            OSError: it could not be written; the earlier one is intact.
        """
        with self._lock:
            if self.size == 0 or f"\n{day}\n" in (self.latest_checkpoint() or ""):
                return
            note = write_checkpoint(self._head, day, self._key)
            with scratch.open_folder(self._folder) as folder:
                scratch.replace(folder, CHECKPOINT, note.encode())

    def latest_checkpoint(self) -> str | None:
        with suppress(OSError):
            return (self._folder / CHECKPOINT).read_text()
        return None

    def close(self) -> None:
        if self._index is not None:
            self._index.close()
        os.close(self._descriptor)
        self._hold.release()

    def _openers(self) -> Iterator[Mapping[str, Any]]:
        """What has to be said before anything else."""
        if self._length == 0:
            yield {"event": "log", "key": self.key.public.hex()}
        if self._cut:
            yield {"event": "repaired", "cut": self._cut}

    def _write(self, data: bytes) -> None:
        # Whatever an earlier attempt left behind the last whole line goes first.
        os.ftruncate(self._descriptor, self._length)
        try:
            rest = memoryview(data)
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]
            os.fsync(self._descriptor)
        except OSError:
            with suppress(OSError):
                os.ftruncate(self._descriptor, self._length)
            raise
        self._length += len(data)

    def _open_last(self) -> None:
        """Find the head of the chain, cutting a line that has no end."""
        before: bytes | None = None
        files = files_of(self._folder)
        for file in files[-2:]:
            data = file.read_bytes()
            whole = data[: data.rfind(b"\n") + 1]
            if file == files[-1]:
                self._cut = len(data) - len(whole)
            before = whole.splitlines()[-1] if whole else before
        if before is not None:
            self._head = self._head_at(before)
        if not files:
            self._begin_file()
            return
        self._descriptor, self._length = self._open_file(files[-1]), len(whole)
        if self._cut:
            os.ftruncate(self._descriptor, self._length)
            os.fsync(self._descriptor)
            log.warning("receipt_log_cut", bytes=self._cut)

    def _head_at(self, raw: bytes) -> Head:
        try:
            return Head(int(read(raw, self.key)["seq"]) + 1, hash_of(raw))
        except BadLine as why:
            raise BadSettings(
                f"{_SETTING}: the last line of the log in {self._folder} {why}. Move the folder "
                "away to begin a new log, and keep it for whoever audits this server."
            ) from None

    def _begin_file(self) -> None:
        """Go on in a new file, named by the number of its first line."""
        descriptor = self._open_file(self._folder / _name(self._head.size))
        with scratch.open_folder(self._folder) as folder:
            os.fsync(folder)
        if self._descriptor >= 0:
            os.close(self._descriptor)
        self._descriptor, self._length = descriptor, 0

    @staticmethod
    def _open_file(path: Path) -> int:
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        return os.open(path, flags, 0o600)

    def _load_key(self) -> Ed25519PrivateKey:
        """The signing key, made if this is the first start."""
        with scratch.open_folder(self._folder) as folder:
            if not os.path.lexists(self._folder / KEY_FILE):
                if any(file.stat().st_size for file in files_of(self._folder)):
                    raise BadSettings(
                        f"{_SETTING}: the signing key of the log in {self._folder} is missing. "
                        "Put it back, or move the folder away to begin a new log."
                    )
                made = Ed25519PrivateKey.generate()
                # Under its name only when whole: a start that dies here can be repeated.
                scratch.replace(folder, KEY_FILE, made.private_bytes_raw())
            key = Ed25519PrivateKey.from_private_bytes(self._read_key(folder))
            public = f"{VerifierKey.of(key).text}\n".encode()
            if not os.path.lexists(self._folder / _PUBLIC_KEY):
                scratch.write_new(folder, {_PUBLIC_KEY: public})
        return key

    def _read_key(self, folder: int) -> bytes:
        found = os.stat(KEY_FILE, dir_fd=folder, follow_symlinks=False)
        if found.st_mode & 0o077 or found.st_uid != os.geteuid() or stat.S_ISLNK(found.st_mode):
            raise BadSettings(
                f"{_SETTING}: the signing key {self._folder / KEY_FILE} can be read by others; "
                "make it yours alone with chmod 600."
            )
        seed = scratch.read(folder, KEY_FILE, _KEY_BYTES)
        if seed is None:
            raise BadSettings(
                f"{_SETTING}: the signing key {self._folder / KEY_FILE} is damaged. "
                "Put it back, or move the folder away to begin a new log."
            )
        return seed


def _name(number: int) -> str:
    """Of the file whose first line has this number."""
    return f"log-{number:09d}.jsonl"


def _number(file: Path) -> int:
    return int(file.stem.removeprefix("log-"))


def files_of(folder: Path) -> list[Path]:
    """The files of a log in the order of their lines."""
    return sorted(folder.glob("log-*.jsonl"))
