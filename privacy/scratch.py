"""The scratch folder: held by one server at a time, and the file operations that survive a crash.

Files are addressed by an open folder and a bare name, so that a folder swapped for a symlink is
refused and never followed. Knows nothing of keys or sessions: the bytes it gets are ciphertext.

Does not protect against another process of the same user that ignores the lock, and does not
overwrite what it unlinks: that is what the keys are for.
"""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import stat
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from types import TracebackType

import structlog

from errors import BadSettings, DiskFull

DATABASE, VAULT = "likeness.db", "vault"
"""What lies in it: the database, and a folder with a folder for each session."""

_FULL = (errno.ENOSPC, errno.EDQUOT)
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_REMOVE_ATTEMPTS = 20
_WRITABLE_BY_OTHERS = stat.S_IWGRP | stat.S_IWOTH

log = structlog.get_logger()


class Hold:
    """A scratch folder held by this process, until `release` or the end of the process."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor: int | None = descriptor

    def release(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def __enter__(self) -> Hold:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release()


def hold(scratch: Path, setting: str = "LIKENESS_SCRATCH") -> Hold:
    """Create the scratch folder if missing and lock it, so that no second server sweeps its files.

    The log of receipts holds its folder in the same way; `setting` is who names the folder.

    The lock is the kernel's (flock on `.lock`): it ends with the process, however that ends. A
    child made by a bare fork would share it; the project starts its children with exec.

    Raises:
        BadSettings: another process holds it, or it cannot be used.
    """
    scratch = scratch.resolve()
    make_folder(scratch, setting)
    if stat.S_IMODE(scratch.stat().st_mode) & _WRITABLE_BY_OTHERS:
        log.warning(
            "folder_open_to_others",
            setting=setting,
            hint="Other users of this machine can remove or swap what is in it: chmod 700.",
        )
    try:
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(scratch / ".lock", flags, 0o600)
    except OSError as problem:
        raise BadSettings(f"{setting}: {scratch} {_reason(problem)}.") from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise BadSettings(
            f"{setting}: another server is using {scratch}; "
            "stop that one, or give this one a folder of its own."
        ) from None
    return Hold(descriptor)


def make_folder(path: Path, setting: str = "LIKENESS_SCRATCH") -> None:
    """Create a folder that only we can enter, whatever the umask.

    One that exists is used as it is: somebody may point us at a folder of theirs by mistake, and
    what we put in it is private by itself.

    Raises:
        BadSettings: it cannot be made or opened, or a link or a file stands in its place.
    """
    try:
        if not os.path.lexists(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            os.mkdir(path, mode=0o700)
            os.chmod(path, 0o700)
        with open_folder(path):
            pass
    except OSError as problem:
        raise BadSettings(f"{setting}: {path} {_reason(problem)}.") from None


def make_subfolder(parent: Path, name: str) -> None:
    """Create an empty folder for one session, durably.

    Raises:
        FileExistsError: something has that name.
        DiskFull: no room.
    """
    with open_folder(parent) as folder, disk_full():
        os.mkdir(name, mode=0o700, dir_fd=folder)
        os.chmod(name, 0o700, dir_fd=folder)
        os.fsync(folder)


@contextmanager
def open_folder(path: str | Path) -> Iterator[int]:
    """The descriptor of a folder; OSError when it is missing, a link or not a folder."""
    descriptor = os.open(path, _FOLDER)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@contextmanager
def disk_full() -> Iterator[None]:
    """Turn "no space left" and "quota exceeded" into DiskFull."""
    try:
        yield
    except OSError as problem:
        if problem.errno in _FULL:
            raise DiskFull from None
        raise


def write_new(folder: int, files: Mapping[str, bytes]) -> None:
    """Write new files, mode 0600, and flush them and their names to the disk.

    All are written before the first is flushed: the disk then has them in one go.

    Raises:
        FileExistsError: something, be it a link, has that name.
        DiskFull: no room. What was written so far stays for the caller to unlink.
    """
    with disk_full(), ExitStack() as closing:
        descriptors = []
        for name, data in files.items():
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            descriptors.append(os.open(name, flags, 0o600, dir_fd=folder))
            closing.callback(os.close, descriptors[-1])
            os.fchmod(descriptors[-1], 0o600)
            rest = memoryview(data)
            while rest:
                rest = rest[os.write(descriptors[-1], rest) :]
        for descriptor in (*descriptors, folder):
            os.fsync(descriptor)


def replace(folder: int, name: str, data: bytes) -> None:
    """Write a file under a name that it gets only when whole, in place of an earlier one.

    Raises:
        DiskFull: no room; the earlier one is intact.
    """
    part = f"{name}.part"
    unlink(folder, part)
    write_new(folder, {part: data})
    with disk_full():
        os.rename(part, name, src_dir_fd=folder, dst_dir_fd=folder)
        os.fsync(folder)


def read(folder: int, name: str, size: int) -> bytes | None:
    """The whole file, or None when it is not a plain file of exactly `size` bytes.

    The size is checked before reading, so that a swapped-in giant cannot fill the memory.

    Raises:
        OSError: missing, or a link.
    """
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    descriptor = os.open(name, flags, dir_fd=folder)
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode) or found.st_size != size:
            return None
        data = os.read(descriptor, size)
        return data if len(data) == size else None
    finally:
        os.close(descriptor)


def unlink(folder: int, name: str) -> None:
    """Remove a name from a folder; no matter if it is gone already."""
    with suppress(FileNotFoundError):
        os.unlink(name, dir_fd=folder)


def remove(path: Path) -> None:
    """Remove a file, a link (not what it points to) or a whole folder; fine if it is gone.

    A writer that lost the race may add one more file between our listing and our rmdir, and
    another thread may be removing the same folder: both end within a few attempts.

    Raises:
        OSError: it could not be removed.
    """
    for _ in range(_REMOVE_ATTEMPTS):
        try:
            if not stat.S_ISDIR(os.lstat(path).st_mode):
                os.unlink(path)
            else:
                shutil.rmtree(path)  # descriptor-based: does not follow links
        except FileNotFoundError:
            pass
        except OSError as problem:
            if problem.errno != errno.ENOTEMPTY:
                raise
        if not os.path.lexists(path):
            return
    raise OSError(errno.ENOTEMPTY, os.strerror(errno.ENOTEMPTY))


def _reason(problem: OSError) -> str:
    """The operating system's own words, to follow a path in a sentence."""
    return f"cannot be used ({(problem.strerror or 'unknown error').lower()})"
