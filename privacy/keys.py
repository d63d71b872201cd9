"""Who holds what: the server's master key M, the visitor's ticket with S, the session's data key.

    KEK = HKDF-SHA256(M || S, salt = session id, info = "likeness/kek/v1")
    stored: AES-256-GCM(KEK, data key), and SHA-256(HKDF(S, info = "likeness/verifier/v1"))
    for a share the same once more, with a secret and an id of its own, under "likeness/share/…"
    for a hand-in a key of its own, wrapped under M and no S, under "likeness/hand-in/…"
    in the log of receipts: SHA-256(r) of r = HKDF(S, info = "likeness/receipt/v1")

Disk and M without S open nothing but a hand-in that waits, nor do disk and S without M. A lost
ticket is lost data.

Python cannot wipe bytes for certain: keys are kept out of reprs, pickles and logs and live briefly,
but no zeroisation is promised. Whoever can read this process's memory can read the keys in it.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
import re
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, NoReturn, Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from errors import BadSettings, UnknownSession
from privacy.stream import KEY_BYTES, associated_data

ID_BYTES = 16
_NONCE_BYTES = 12
_BASE64URL = "[A-Za-z0-9_-]"
_SESSION_ID = re.compile(f"{_BASE64URL}{{22}}")
_TICKET = re.compile(rf"({_BASE64URL}{{22}})\.({_BASE64URL}{{43}})")


class Secret:
    """32 bytes that no repr, pickle or copy gives away; only `reveal` does."""

    __slots__ = ("_value",)

    def __init__(self, value: bytes) -> None:
        if len(value) != KEY_BYTES:
            raise ValueError("a key has 32 bytes")
        self._value = bytes(value)

    def reveal(self) -> bytes:
        """The bytes. Pass them straight to a cipher; keep them in no variable."""
        return self._value

    def __repr__(self) -> str:
        return f"{type(self).__name__}(…)"

    def __reduce__(self) -> NoReturn:
        raise TypeError(f"{type(self).__name__} does not leave this process")


class DataKey(Secret):
    """The key of one session's files; outside RAM it exists only wrapped."""

    __slots__ = ()

    @classmethod
    def random(cls) -> DataKey:
        return cls(os.urandom(KEY_BYTES))


class MasterKey(Secret):
    """The server's half of every session's key."""

    __slots__ = ()

    @classmethod
    def ram(cls) -> MasterKey:
        """A new key that was never on a disk: after a restart nothing stored can be read."""
        return cls(os.urandom(KEY_BYTES))

    @classmethod
    def from_file(cls, path: Path, scratch: Path) -> MasterKey:
        """The 32 raw bytes of a key file, such as a systemd credential or a secret on tmpfs.

        Made with `head -c 32 /dev/urandom > key; chmod 400 key`. No text form is read: a file of
        any other length is a mistake.

        Raises:
            BadSettings: one sentence: missing, readable by others, not ours, inside the scratch
                folder (itself or what it links to), or not 32 bytes.
        """
        _refuse_inside(path, scratch)
        try:
            # Non-blocking, so that a pipe in its place cannot hang the start.
            descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as problem:
            reason = (problem.strerror or "unknown error").lower()
            raise _bad_key_file(path, f"cannot be read ({reason})") from None
        try:
            _refuse_badly_kept(path, os.fstat(descriptor))
            return cls(os.read(descriptor, KEY_BYTES))
        finally:
            os.close(descriptor)

    def signature(self, text: str) -> str:
        """What only this server can write under a text, in 43 characters."""
        key = _derive(self.reveal(), info=b"likeness/signature/v1")
        return _encode(hmac.digest(key, text.encode("utf-8", "replace"), "sha256"))

    @property
    def fingerprint(self) -> str:
        """Names the key without telling it: which sessions were made under which master key."""
        return _derive(self.reveal(), info=b"likeness/master-fingerprint/v1").hex()


@dataclass(frozen=True, slots=True)
class _Bearer:
    """An id and a secret, which only somebody outside holds.

    Both kinds have the same form; `use` keeps apart all that is derived from them, so neither works
    as the other.
    """

    use: ClassVar[str]

    id: str = field(repr=False)
    secret: bytes = field(repr=False)

    @classmethod
    def random(cls) -> Self:
        return cls(_encode(os.urandom(ID_BYTES)), os.urandom(KEY_BYTES))

    @classmethod
    def parse(cls, text: str | None) -> Self:
        """Read the text form strictly: one spelling per ticket.

        Raises:
            UnknownSession: it is not a ticket.
        """
        return cls(*_id_and_secret(text))

    def text(self) -> str:
        """`<id>.<base64url of the secret>`: the value of the cookie and of the link."""
        return f"{self.id}.{_encode(self.secret)}"

    def verifier(self) -> bytes:
        """What the server keeps to recognise the secret; it leads neither to it nor to the KEK."""
        info = f"{self.use}/verifier/v1".encode()
        return hashlib.sha256(_derive(self.secret, info=info)).digest()

    def __reduce__(self) -> NoReturn:
        raise TypeError("a ticket does not leave this process")


class Ticket(_Bearer):
    """What only the visitor holds: the session id and the secret S."""

    __slots__ = ()
    use = "likeness"

    @property
    def session_id(self) -> str:
        return self.id

    def receipt(self) -> bytes:
        """r: what tells the visitor's own lines in the log of receipts. It opens nothing."""
        return _derive(self.secret, info=b"likeness/receipt/v1")


class ShareTicket(_Bearer):
    """What a guest holds: the id of a share and a secret. It is no `Ticket`, opens no session."""

    __slots__ = ()
    use = "likeness/share"

    @property
    def share_id(self) -> str:
        return self.id


class HandInSeal(_Bearer):
    """Of a hand-in: an id and no secret, since it goes when nobody is there. M alone unwraps it."""

    __slots__ = ()
    use = "likeness/hand-in"

    def __init__(self, hand_in_id: str) -> None:
        super().__init__(hand_in_id, b"")


@dataclass(frozen=True, slots=True)
class Session:
    """An opened session: the capability for everything that is done with its files.

    Whoever holds one can read and write them until the session is erased.
    """

    id: str = field(repr=False)
    data_key: DataKey


def is_session_id(name: str) -> bool:
    """Whether a name has the form of a session id; says nothing about its existence."""
    return _SESSION_ID.fullmatch(name) is not None


def wrap(data_key: DataKey, master_key: MasterKey, ticket: _Bearer) -> bytes:
    """The data key sealed under M and S, bound to the ticket's id: nonce | ciphertext | tag."""
    nonce = os.urandom(_NONCE_BYTES)
    cipher = _key_encryption_cipher(master_key, ticket)
    return nonce + cipher.encrypt(nonce, data_key.reveal(), _wrap_aad(ticket))


def unwrap(wrapped: bytes, master_key: MasterKey, ticket: _Bearer) -> DataKey:
    """Open what `wrap` made.

    Raises:
        UnknownSession: another M, S, id or kind of ticket, or the bytes were changed.
    """
    nonce, sealed = wrapped[:_NONCE_BYTES], wrapped[_NONCE_BYTES:]
    cipher = _key_encryption_cipher(master_key, ticket)
    try:
        return DataKey(cipher.decrypt(nonce, sealed, _wrap_aad(ticket)))
    except (InvalidTag, ValueError):
        raise UnknownSession from None


def _key_encryption_cipher(master_key: MasterKey, ticket: _Bearer) -> AESGCM:
    info = f"{ticket.use}/kek/v1".encode()
    return AESGCM(_derive(master_key.reveal() + ticket.secret, ticket.id.encode(), info))


def _wrap_aad(ticket: _Bearer) -> bytes:
    return associated_data(f"{ticket.use}/wrap/v1", ticket.id)


def _id_and_secret(text: str | None) -> tuple[str, bytes]:
    match = _TICKET.fullmatch(text or "")
    if match is None:
        raise UnknownSession
    secret = _decode(match[2])
    if _encode(_decode(match[1])) != match[1] or _encode(secret) != match[2]:
        raise UnknownSession  # unused trailing bits set: a second spelling of the same bytes
    return match[1], secret


def _derive(material: bytes, salt: bytes | None = None, info: bytes = b"") -> bytes:
    return HKDF(SHA256(), KEY_BYTES, salt=salt, info=info).derive(material)


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _decode(text: str) -> bytes:
    try:
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except binascii.Error:
        raise UnknownSession from None


def _refuse_inside(path: Path, scratch: Path) -> None:
    folder = os.path.realpath(scratch)
    itself = os.path.join(os.path.realpath(path.parent), path.name)
    for place in (itself, os.path.realpath(path)):
        if Path(place).is_relative_to(folder):
            raise _bad_key_file(
                path, "lies inside the scratch folder; a copy of the volume would hold both"
            )


def _refuse_badly_kept(path: Path, found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise _bad_key_file(path, "is not a plain file")
    if found.st_uid not in (os.geteuid(), 0):
        raise _bad_key_file(path, "belongs to another user; make it yours or root's")
    if found.st_mode & 0o077:
        raise _bad_key_file(path, "can be read by others; chmod 400 it")
    if found.st_size != KEY_BYTES:
        raise _bad_key_file(
            path,
            f"has {found.st_size} bytes, but must be {KEY_BYTES} raw bytes; "
            "make it with head -c 32 /dev/urandom",
        )


def _bad_key_file(path: Path, mistake: str) -> BadSettings:
    return BadSettings(f"LIKENESS_MASTER_KEY: the key file {path} {mistake}.")
