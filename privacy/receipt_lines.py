"""One line of the log of receipts: what may stand in it, how it is signed, how it follows another.

    {"v":1,"seq":7,"prev":"<SHA-256 of line 6>","event":"erased", … ,"sig":"<Ed25519>"}

Compact JSON in a fixed order of fields, ASCII, one spelling per line. The signature covers the line
without its `sig`; `prev` covers the whole line before it, so no line can be changed, dropped or
moved without breaking the next. `FIELDS` is all that may ever be said: a line with anything else,
be it a name, an address or a session id, is refused by whoever writes and by whoever reads.

Knows nothing of files, sessions or the database; an auditor can read it alone.

Does not protect against whoever holds the signing key: they can sign other lines. What they cannot
do unnoticed is rewrite lines of which somebody else holds a checkpoint or a receipt.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from privacy import kinds
from privacy.units import HOUR_S

VERSION = 1
BEGINNING = "0" * 64
"""`prev` of the very first line."""

COUNTED = {"photos": kinds.PHOTO, "adapters": kinds.ADAPTER, "portraits": kinds.PORTRAIT}
"""What is counted at an erasure, by the kind that the vault knows it under."""

_HASH, _NUMBER = "[0-9a-f]{64}", "0|[1-9][0-9]{0,8}"
_HOUR = r"\d{4}-\d\d-\d\dT\d\d:00Z"
_FRAME = {"v": str(VERSION), "seq": _NUMBER, "prev": _HASH, "event": "[a-z]+"}
_ABOUT = {"id": "[0-9a-f]{32}", "receipt": _HASH, "time": _HOUR}
_END = {"app": r"[0-9A-Za-z.+-]{1,32}", "sig": "[0-9a-f]{128}"}

FIELDS: Mapping[str, Mapping[str, str]] = {
    # The first line of every file.
    "log": _FRAME | {"key": _HASH} | _END,
    # The first photo was brought. `erase_by`: the latest hour at which everything is gone.
    "opened": _FRAME | _ABOUT | {"erase_by": _HOUR} | _END,
    # Key, files and rows are gone. Counts: what there was when the erasure began.
    "erased": _FRAME
    | _ABOUT
    | {"reason": "user|expired|aborted|undelivered"}
    | dict.fromkeys(COUNTED, _NUMBER)
    | _END,
    # Portraits were given to somebody whom the operator names, or were to be: `number` counts the
    # session's hand-ins. unconfirmed: tried, and nobody said that it arrived.
    "handed": _FRAME
    | _ABOUT
    | {"number": _NUMBER, "channel": "folder|webhook|mail", "portraits": "[123]"}
    | {"outcome": "delivered|withdrawn|unconfirmed|lost"}
    | _END,
    # The machine stopped in the middle of a line; so many bytes without an end were cut.
    "repaired": _FRAME | {"cut": _NUMBER} | _END,
}
"""Every event with its fields, in their order, and the form of each."""

_NUMBERS = {"v", "seq", "cut", "number", *COUNTED}
_SIGNED_AS = b"likeness/receipt-line/v1\n"
_ED25519 = b"\x01"  # the type of a signature in a C2SP signed note

Line = dict[str, Any]


class BadLine(ValueError):
    """Not a line of this log, or not signed by this key. The message is half a sentence."""


@dataclass(frozen=True, slots=True)
class Head:
    """Where the chain stands: the number of lines so far and the hash of the last."""

    size: int = 0
    last: str = BEGINNING

    def after(self, raw: bytes) -> Head:
        """The head once `raw`, a line without its end, follows."""
        return Head(self.size + 1, hash_of(raw))


def write(event: Mapping[str, Any], head: Head, app: str, key: Ed25519PrivateKey) -> bytes:
    """The signed line of an event, without its end.

    Raises:
        ValueError: the event says more, or less, than `FIELDS` allows.
    """
    known = {"v": VERSION, "seq": head.size, "prev": head.last, "app": app, **event}
    order = [name for name in FIELDS[str(event["event"])] if name != "sig"]
    unsigned = _encode({name: known.pop(name) for name in order})
    if known:
        raise ValueError(f"the log has no place for {', '.join(sorted(known))}")
    signature = key.sign(_SIGNED_AS + unsigned).hex()
    raw = _encode(json.loads(unsigned) | {"sig": signature})
    _parse(raw)
    return raw


def read(raw: bytes, key: VerifierKey) -> Line:
    """The fields of a line whose form and signature hold.

    Raises:
        BadLine: anything about it is not as `write` makes it.
    """
    line = _parse(raw)
    unsigned = _encode({name: value for name, value in line.items() if name != "sig"})
    if not key.signed(bytes.fromhex(line["sig"]), _SIGNED_AS + unsigned):
        raise BadLine("was changed, or signed with another key")
    return line


def hash_of(raw: bytes) -> str:
    return hashlib.sha256(raw).hexdigest()


def hour(seconds: float, *, up: bool = False) -> str:
    """An epoch time as the hour it lies in, or with `up` the first full hour at or after it."""
    whole = int(-(-seconds // HOUR_S) if up else seconds // HOUR_S) * HOUR_S
    return datetime.fromtimestamp(whole, UTC).strftime("%Y-%m-%dT%H:00Z")


def epoch(text: str) -> float:
    """The opposite of `hour`, and for times given by hand. Without a zone it is UTC.

    Raises:
        ValueError: not an ISO time.
    """
    when = datetime.fromisoformat(text)
    return (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """The log's public key, in the text form of C2SP signed notes: name+hash+base64(type, key)."""

    public: bytes

    @classmethod
    def of(cls, key: Ed25519PrivateKey) -> VerifierKey:
        return cls(key.public_key().public_bytes_raw())

    @classmethod
    def parse(cls, text: str) -> VerifierKey:
        """Read the text form.

        Raises:
            ValueError: it is not one, in a sentence.
        """
        try:
            _, _, encoded = text.strip().split("+", 2)
            raw = base64.b64decode(encoded, validate=True)
            key = cls(raw[1:])
            Ed25519PublicKey.from_public_bytes(key.public)
            if key.text != text.strip():
                raise ValueError
        except (ValueError, binascii.Error):
            raise ValueError("This is not the public key of a log of receipts.") from None
        return key

    @property
    def name(self) -> str:
        """The origin of this log's checkpoints: follows from the key, tells nothing of the host."""
        return f"likeness/receipts/{hashlib.sha256(self.public).hexdigest()[:16]}"

    @property
    def text(self) -> str:
        encoded = base64.b64encode(_ED25519 + self.public).decode()
        return f"{self.name}+{self._id.hex()}+{encoded}"

    @property
    def _id(self) -> bytes:
        return hashlib.sha256(f"{self.name}\n".encode() + _ED25519 + self.public).digest()[:4]

    def signed(self, signature: bytes, message: bytes) -> bool:
        try:
            Ed25519PublicKey.from_public_bytes(self.public).verify(signature, message)
        except InvalidSignature:
            return False
        return True


def write_checkpoint(head: Head, day: str, key: Ed25519PrivateKey) -> str:
    """A C2SP signed note: origin, number of lines, hash of the last (base64), day; signature.

    The hash is the chain's head, not the root of a Merkle tree.
    """
    verifier = VerifierKey.of(key)
    last = base64.b64encode(bytes.fromhex(head.last)).decode()
    note = f"{verifier.name}\n{head.size}\n{last}\n{day}\n"
    signature = base64.b64encode(verifier._id + key.sign(note.encode())).decode()
    return f"{note}\n— {verifier.name} {signature}\n"


def read_checkpoint(text: str, key: VerifierKey) -> tuple[Head, str]:
    """The head that a checkpoint names, and its day.

    Raises:
        BadLine: it is damaged or not signed by this key.
    """
    try:
        note, _, signature = text.partition("\n\n")
        origin, size, last, day = note.split("\n")
        dash, name, encoded = signature.removesuffix("\n").split(" ")
        raw = base64.b64decode(encoded, validate=True)
        head = Head(int(size), base64.b64decode(last, validate=True).hex())
    except (ValueError, binascii.Error):
        raise BadLine("is damaged") from None
    ours = (dash, name, origin, raw[:4]) == ("—", key.name, key.name, key._id)
    if not ours or not key.signed(raw[4:], f"{note}\n".encode()):
        raise BadLine("was changed, or signed with another key")
    return head, day


def _parse(raw: bytes) -> Line:
    try:
        line = json.loads(raw)
        fields = FIELDS[line["event"]]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise BadLine("is not a line of this log") from None
    if list(line) != list(fields):
        raise BadLine("does not hold exactly the fields that its event has")
    for name, form in fields.items():
        value = line[name]
        wanted = int if name in _NUMBERS else str
        if type(value) is not wanted or not re.fullmatch(form, str(value)):
            raise BadLine(f"has something else than it should under {name}")
    if _encode(line) != raw:
        raise BadLine("is not written the way this log writes")
    return line  # type: ignore[no-any-return]  # checked field by field above


def _encode(fields: Mapping[str, Any]) -> bytes:
    return json.dumps(fields, separators=(",", ":"), ensure_ascii=True).encode()
