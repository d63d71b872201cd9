"""One encrypted file of a session, as it lies in the vault and as it travels to another machine.

Nothing opens it on the way: whoever holds the session's data key does, and nobody else. It is bound
to its session, kind and name; in place of another file it does not open.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from errors import TamperedError
from privacy import stream
from privacy.file_rows import Entry
from privacy.keys import Session

File = tuple[str, str, bytes]
"""Kind, name and content of a file to be kept."""


@dataclass(frozen=True, slots=True)
class Sealed:
    """An encrypted file. size: of the plaintext, in bytes."""

    kind: str
    name: str
    size: int
    ciphertext: bytes = field(repr=False)

    def require_whole(self) -> None:
        """Raise TamperedError unless the ciphertext is as long as it says."""
        if len(self.ciphertext) != stream.sealed_size(self.size):
            raise TamperedError


Entries = list[Entry]  # inside the class, the method `list` hides the type


class Files(Protocol):
    """The files of sessions, wherever they are: `Vault` on the server's disk, `CarriedVault` in the
    RAM of another machine. What each call does and raises: see `Vault`."""

    def put(self, session: Session, kind: str, name: str, data: bytes) -> None:
        """Keep a file."""

    def put_all(self, session: Session, files: Sequence[File]) -> None:
        """Keep several files, all or none."""

    def open(self, session: Session, kind: str, name: str) -> bytes:
        """Return the content of a file."""

    def delete(self, session: Session, kind: str, name: str | None = None) -> int:
        """Delete one file, or every file of a kind; how many there were."""

    def list(self, session: Session, kind: str | None = None) -> Entries:
        """Return the files of a session, or those of a kind, in order of creation."""


def seal(session: Session, kind: str, name: str, data: bytes) -> Sealed:
    """Encrypt a file under the session's data key."""
    sealed = stream.encrypt(session.data_key.reveal(), data, _aad(session, kind, name))
    return Sealed(kind, name, len(data), sealed)


def unseal(session: Session, file: Sealed) -> bytes:
    """Open what `seal` made.

    Raises:
        TamperedError: another session, kind or name, or the bytes were changed.
    """
    file.require_whole()
    aad = _aad(session, file.kind, file.name)
    return stream.decrypt(session.data_key.reveal(), file.ciphertext, aad)


def _aad(session: Session, kind: str, name: str) -> bytes:
    return stream.associated_data("likeness/file/v1", session.id, kind, name)
