"""The files of a session, each encrypted before it touches the disk: SCRATCH/vault/<id>/<file id>.

A file exists when its row does. Writing makes the bytes durable first and the row last, deleting
removes the row first and the bytes last; so a crash leaves at most bytes without a row, which open
nothing to anybody and which `reconcile` unlinks. Names and kinds live in the rows (`file_rows`) and
in the associated data of the encryption, never in a path: file ids are random.

Knows nothing of tickets and deadlines, only whether a session's row is live.

Does not protect: the size and time of each file; a file put back by somebody who can write to the
disk in an older version of itself; single files deleted before their session, whose key lives on
until the session ends.
"""

from __future__ import annotations

import errno
import os
import re
import secrets
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import structlog

from errors import TamperedError, UnknownSession
from privacy import scratch, stream
from privacy.database import Database
from privacy.file_rows import Entry, FileRows
from privacy.keys import Session, is_session_id
from privacy.sealed import File, Sealed, seal, unseal

__all__ = ["File", "Reconciled", "Vault"]

_WORD = re.compile(r"[a-z0-9-]{1,64}")
# What the system answers when a link, pipe, socket or folder stands where ours should be.
_NOT_OURS = (errno.ELOOP, errno.ENOTDIR, errno.ENXIO, errno.EISDIR)

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Reconciled:
    """What `reconcile` removed (`files`, `rows`) and what it left because it is not ours."""

    files: int = 0
    rows: int = 0
    strangers: int = 0


Entries = list[Entry]  # inside the class, the method `list` hides the type
Ids = list[str]


class Vault:
    """Encrypted files by session, kind and name. Thread-safe."""

    def __init__(
        self, root: Path, database: Database, now: Callable[[], float] = time.time
    ) -> None:
        """
        Args:
            root: the folder of the sessions' folders, SCRATCH/vault; made if missing.
            now: the time that `Entry.created` gets.
        """
        scratch.make_folder(root)
        self._root, self._database = root, database
        self._rows = FileRows(database, now)
        self._in_flight: set[str] = set()  # files whose rows come next; guarded by the lock

    def put(self, session: Session, kind: str, name: str, data: bytes) -> None:
        """Encrypt and keep `data`, atomically in place of an earlier version.

        Raises:
            UnknownSession: the session was erased, even while this ran; nothing is left behind.
            DiskFull: no room; the earlier version is intact.
            ValueError: `kind` or `name` is not one to 64 of a-z, 0-9 and hyphen.
        """
        self.put_all(session, [(kind, name, data)])

    def put_all(self, session: Session, files: Sequence[File]) -> None:
        """Encrypt and keep several files: all of them or, after any failure, none.

        One synced commit for all, so files that belong together are also written faster together.

        Raises:
            UnknownSession, DiskFull, ValueError: as in `put`.
        """
        for kind, name, _ in files:
            _require_words(kind, name)
        self._rows.require_live(session.id)
        self.put_sealed(session, [seal(session, *file) for file in files])

    def put_sealed(self, session: Session, files: Sequence[Sealed]) -> None:
        """Keep files that were encrypted elsewhere: all of them or, after any failure, none.

        Raises:
            UnknownSession, DiskFull, ValueError: as in `put`.
            TamperedError: one is not as long as it says.
        """
        for file in files:
            _require_words(file.kind, file.name)
            file.require_whole()
        ids = [secrets.token_hex(16) for _ in files]
        with self._folder(session) as folder, self._announced(ids), ExitStack() as undo:
            for file_id in ids:
                undo.callback(scratch.unlink, folder, file_id)
            scratch.write_new(
                folder, {i: file.ciphertext for i, file in zip(ids, files, strict=True)}
            )
            with self._database.transaction():
                # Erasing takes the same lock, so a session that is live here stays so until the
                # rows are in; one that is not gets nothing.
                self._rows.require_live(session.id)
                replaced = [
                    self._rows.insert(session.id, file.kind, file.name, file_id, file.size)
                    for file_id, file in zip(ids, files, strict=True)
                ]
            undo.pop_all()
            for file_id in filter(None, replaced):
                scratch.unlink(folder, file_id)

    def open(self, session: Session, kind: str, name: str) -> bytes:
        """Read and decrypt one file, wholly verified.

        Raises:
            KeyError: there is no such file.
            UnknownSession: the session was erased.
            TamperedError: the file is not what was written, or is missing.
            ValueError: as in `put`.
        """
        return unseal(session, self.sealed(session, kind, name))

    def sealed(self, session: Session, kind: str, name: str) -> Sealed:
        """Read one file as it is, encrypted; it may not be what was written.

        Raises:
            KeyError, UnknownSession, TamperedError, ValueError: as in `open`.
        """
        _require_words(kind, name)
        looked_up = None
        while (found := self._rows.find(session.id, kind, name)) != looked_up:
            looked_up = found  # a second look: it may have been replaced between row and file
            file_id, size = found
            sealed = self._read(session, file_id, stream.sealed_size(size))
            if sealed is not None:
                return Sealed(kind, name, size, sealed)
        raise TamperedError

    def delete(self, session: Session, kind: str, name: str | None = None) -> int:
        """Delete one file, or every file of a kind; how many there were.

        Raises:
            UnknownSession: the session was erased, and the files with it.
            ValueError: as in `put`.
        """
        _require_words(kind, kind if name is None else name)
        with self._folder(session) as folder:
            with self._database.transaction():
                self._rows.require_live(session.id)
                doomed = self._rows.delete(session.id, kind, name)
            for file_id in doomed:
                scratch.unlink(folder, file_id)
            os.fsync(folder)
        return len(doomed)

    def list(self, session: Session, kind: str | None = None) -> Entries:
        """The files of a session, or those of a kind, in order of creation.

        Raises:
            UnknownSession: the session was erased.
        """
        with self._database.lock:
            self._rows.require_live(session.id)
            return self._rows.entries(session.id, kind)

    def add_session(self, session_id: str) -> None:
        """Make the empty folder of a new session. Only `Sessions.create` calls this."""
        scratch.make_subfolder(self._root, session_id)

    def remove_sessions(self, session_ids: Iterable[str]) -> Ids:
        """Unlink the folders of sessions and all they hold, durably; the ids that are now gone."""
        gone = []
        for session_id in filter(is_session_id, session_ids):
            try:
                scratch.remove(self._root / session_id)
            except OSError as problem:
                log.error("folder_not_removed", error=type(problem).__name__, errno=problem.errno)
            else:
                gone.append(session_id)
        with scratch.open_folder(self._root) as folder:
            os.fsync(folder)
        return gone

    def drop_without(self, kind: str, reason: str) -> int:
        """Delete the files of a kind in every session that has none of the kind `reason`, for which
        they were kept; how many there were. No session's key is needed to delete.

        Raises:
            OSError: one could not be unlinked; the next `reconcile` does it.
        """
        doomed = self._rows.without(kind, reason)
        with self._database.transaction():
            for session_id, _ in doomed:
                self._rows.delete(session_id, kind)
        for session_id, file_id in doomed:
            scratch.remove(self._root / session_id / file_id)
        return len(doomed)

    def reconcile(self) -> Reconciled:
        """Make disk and database agree: unlink what has no row, drop rows without a file.

        Names in the vault's folder that cannot be session ids are counted and left alone.
        """
        files = rows = strangers = 0
        known = {session_id for (session_id,) in self._database.rows("SELECT id FROM sessions")}
        for session_id in sorted(known.union(os.listdir(self._root))):
            if not is_session_id(session_id):
                strangers += 1
                continue
            with self._database.transaction():
                unlinked, dropped = self._reconcile_session(session_id)
            files, rows = files + unlinked, rows + dropped
        return Reconciled(files, rows, strangers)

    def _reconcile_session(self, session_id: str) -> tuple[int, int]:
        """Files unlinked and rows dropped in one session. The caller holds the lock."""
        path = self._root / session_id
        states = self._database.rows("SELECT state FROM sessions WHERE id = ?", (session_id,))
        if not states:
            scratch.remove(path)
            return 1, 0
        if states != [("live",)]:
            return 0, 0  # being erased: its files go anyway, perhaps at this moment
        rows = self._database.rows("SELECT file_id FROM files WHERE session_id = ?", (session_id,))
        expected = {file_id for (file_id,) in rows}
        present = set(os.listdir(path)) if path.is_dir() and not path.is_symlink() else set()
        orphans = present - expected - self._in_flight
        for name in orphans:
            scratch.remove(path / name)
        for file_id in expected - present:
            self._database.change("DELETE FROM files WHERE file_id = ?", (file_id,))
        return len(orphans), len(expected - present)

    def _read(self, session: Session, file_id: str, size: int) -> bytes | None:
        """The ciphertext, or None when there is no plain file of that size."""
        try:
            with scratch.open_folder(self._home(session)) as folder:
                return scratch.read(folder, file_id, size)
        except FileNotFoundError:
            return None
        except OSError as problem:
            if problem.errno in _NOT_OURS:
                return None
            raise

    def _home(self, session: Session) -> str:
        # pathlib's own joining takes a tenth of the time that opening a small file does.
        return os.path.join(self._root, session.id)

    @contextmanager
    def _folder(self, session: Session) -> Iterator[int]:
        """The open folder of a session. It goes missing only when the session is erased."""
        try:
            with scratch.open_folder(self._home(session)) as folder:
                yield folder
        except FileNotFoundError:
            raise UnknownSession from None
        except OSError as problem:
            if problem.errno in _NOT_OURS:
                raise TamperedError from None
            raise

    @contextmanager
    def _announced(self, ids: Iterable[str]) -> Iterator[None]:
        """Tell `reconcile` that files without rows belong to a running `put_all`."""
        announced = set(ids)
        with self._database.lock:
            self._in_flight |= announced
        try:
            yield
        finally:
            with self._database.lock:
                self._in_flight -= announced


def _require_words(*words: str) -> None:
    for word in words:
        if not _WORD.fullmatch(word):
            raise ValueError("kinds and names are 1 to 64 of a-z, 0-9 and hyphen")
