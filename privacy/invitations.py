"""Invitations: signed links, each good for a number of sessions, that say nothing of whom.

    key  = HKDF-SHA256(the receipts' signing key, info = "likeness/invitations/v1")
    link = tag of the key (4 B), batch (8 B), id (12 B), expires (4 B, epoch seconds), uses (2 B),
           HMAC-SHA256(key, all of that), cut to 16 B; together in base64url

What a link may do stands in the link. LIKENESS_RECEIPTS/invitations.db holds a row for each batch
and, of links that were used or revoked, a keyed hash with a count. It leads to no session, and
goes with the batch when that expires. Server and command line may change it at the same time.

Does not protect against whoever reads the signing key: they can write invitations.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
import secrets
import sqlite3
import struct
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from errors import BadSettings, DiskFull, NotAdmitted
from privacy import scratch
from privacy.receipt_log import KEY_FILE
from privacy.units import HOUR_S

FILE = "invitations.db"

_FIELDS = struct.Struct(">4s8s12sIH")
_MAC_BYTES = 16
_KEY_BYTES = 32
_WAIT_S = 10.0  # for the other process
_TABLES = (
    "CREATE TABLE IF NOT EXISTS batches (id BLOB PRIMARY KEY, label TEXT NOT NULL,"
    " links INTEGER NOT NULL, uses INTEGER NOT NULL, expires INTEGER NOT NULL,"
    " revoked INTEGER NOT NULL DEFAULT 0)",
    "CREATE TABLE IF NOT EXISTS links (mark BLOB PRIMARY KEY,"
    " batch BLOB NOT NULL REFERENCES batches (id) ON DELETE CASCADE,"
    " used INTEGER NOT NULL DEFAULT 0, revoked INTEGER NOT NULL DEFAULT 0)",
)


@dataclass(frozen=True, slots=True)
class Invitation:
    """What a link of this server says: genuine, but perhaps expired, revoked or used up."""

    batch: bytes
    mark: bytes
    expires: int
    uses: int


@dataclass(frozen=True, slots=True)
class Batch:
    """Invitations that were made together. started: sessions that began with them.

    expires: epoch seconds.
    """

    label: str
    links: int
    uses: int
    started: int
    expires: int
    revoked: bool

    @property
    def most(self) -> int:
        """Sessions that they may start, all together."""
        return self.links * self.uses


class Invitations:
    """All invitations of this server. Thread-safe."""

    def __init__(self, receipts: Path, now: Callable[[], float]) -> None:
        """
        Args:
            receipts: the folder of the log of receipts, which has its key by now.
            now: epoch seconds.

        Raises:
            BadSettings: there is no key yet, or the file of invitations cannot be used.
        """
        self._path, self._now = receipts / FILE, now
        try:
            with scratch.open_folder(receipts) as folder:
                seed = scratch.read(folder, KEY_FILE, _KEY_BYTES)
        except OSError:
            seed = None
        if seed is None:
            raise BadSettings(
                f"LIKENESS_RECEIPTS: there is no signing key in {receipts} yet. Start the server "
                "once; then invitations can be made."
            )
        self._key = HKDF(hashes.SHA256(), _KEY_BYTES, None, b"likeness/invitations/v1").derive(seed)
        self._tag = self._hash(b"tag")[:4]
        try:
            flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
            os.close(os.open(self._path, flags, 0o600))
            self.forget_expired()
        except (OSError, sqlite3.Error):
            raise BadSettings(
                f"LIKENESS_RECEIPTS: the invitations in {self._path} cannot be opened. Check the "
                "file's owner, or remove it: every invitation then has to be made anew."
            ) from None

    def make(self, links: int, *, label: str, expires: int, uses: int = 1) -> list[str]:
        """A new batch of invitations, as text for links.

        Args:
            expires: epoch seconds, below 2**32.
            uses: sessions that each link starts, 1 to 65535.
        """
        batch = secrets.token_bytes(8)
        with self._changing() as rows:
            rows.execute(
                "INSERT INTO batches (id, label, links, uses, expires) VALUES (?, ?, ?, ?, ?)",
                (batch, label, links, uses, expires),
            )
        made = []
        for _ in range(links):
            said = _FIELDS.pack(self._tag, batch, secrets.token_bytes(12), expires, uses)
            made.append(base64.urlsafe_b64encode(said + self._mac(said)).decode().rstrip("="))
        return made

    def read(self, text: str) -> Invitation:
        """What the text of a link says.

        Raises:
            NotAdmitted: it was changed, cut, invented, or made by another server.
        """
        try:
            raw = base64.b64decode(text + "=" * (-len(text) % 4), b"-_", validate=True)
        except (ValueError, binascii.Error):
            raw = b""
        said, mac = raw[: _FIELDS.size], raw[_FIELDS.size :]
        if len(mac) != _MAC_BYTES:
            raise NotAdmitted("invitation.incomplete")
        tag, batch, link, expires, uses = _FIELDS.unpack(said)
        if not hmac.compare_digest(mac, self._mac(said)):
            ours = hmac.compare_digest(tag, self._tag)
            raise NotAdmitted("invitation.incomplete" if ours else "invitation.foreign")
        return Invitation(batch, self._hash(b"link" + link)[:16], expires, uses)

    @contextmanager
    def starting(self, text: str) -> Iterator[None]:
        """Use the invitation for what the block does: once, if it ends well; else not at all.

        Raises:
            NotAdmitted: the invitation starts nothing, or nothing more; the block is not run.
            DiskFull: no room.
        """
        invitation = self.read(text)
        with self._changing() as rows:
            if invitation.expires <= self._now():
                raise NotAdmitted("invitation.expired")
            if not rows.execute(
                "SELECT 1 FROM batches WHERE id = ? AND NOT revoked", (invitation.batch,)
            ).fetchone():
                raise NotAdmitted("invitation.revoked")  # or the file was lost: then nothing counts
            rows.execute(
                "INSERT INTO links (mark, batch) VALUES (?, ?) ON CONFLICT DO NOTHING",
                (invitation.mark, invitation.batch),
            )
            ((used, revoked),) = rows.execute(
                "UPDATE links SET used = used + 1 WHERE mark = ? RETURNING used, revoked",
                (invitation.mark,),
            ).fetchall()
            if revoked:
                raise NotAdmitted("invitation.revoked")
            if used > invitation.uses:
                raise NotAdmitted("invitation.used")
            yield

    def revoke_link(self, text: str) -> None:
        """End one invitation. Raises NotAdmitted: it is none of this server, or has expired."""
        invitation = self.read(text)
        with self._changing() as rows:
            if invitation.expires <= self._now():
                raise NotAdmitted("invitation.expired")
            rows.execute(
                "INSERT INTO links (mark, batch, revoked) SELECT ?, id, 1 FROM batches WHERE id = ?"
                " ON CONFLICT DO UPDATE SET revoked = 1",
                (invitation.mark, invitation.batch),
            )

    def revoke_label(self, label: str) -> int:
        """End every invitation with this label; how many links that were."""
        with self._changing() as rows:
            found = rows.execute("SELECT links FROM batches WHERE label = ?", (label,)).fetchall()
            rows.execute("UPDATE batches SET revoked = 1 WHERE label = ?", (label,))
        return sum(links for (links,) in found)

    def batches(self) -> list[Batch]:
        """What was made and has not expired, in the order of the labels."""
        with self._changing() as rows:
            found = rows.execute(
                "SELECT label, batches.links, uses, ifnull(sum(used), 0), expires, batches.revoked"
                " FROM batches LEFT JOIN links ON links.batch = batches.id"
                " GROUP BY batches.id ORDER BY label, expires"
            ).fetchall()
        return [
            Batch(label, links, uses, started, expires, bool(revoked))
            for label, links, uses, started, expires, revoked in found
        ]

    def forget_expired(self) -> None:
        """Erase what is kept of invitations that have expired."""
        with self._changing():
            pass  # every change does

    @contextmanager
    def _changing(self) -> Iterator[sqlite3.Connection]:
        """One transaction, alone; what has expired is gone in it."""
        with closing(sqlite3.connect(self._path, _WAIT_S, isolation_level=None)) as rows:
            rows.execute("PRAGMA secure_delete = 1")
            rows.execute("PRAGMA foreign_keys = 1")
            try:
                rows.execute("BEGIN IMMEDIATE")
                for table in _TABLES:
                    rows.execute(table)
                rows.execute("DELETE FROM batches WHERE expires <= ?", (self._now(),))
                yield rows
                rows.execute("COMMIT")
            except sqlite3.OperationalError as problem:
                if problem.sqlite_errorcode == sqlite3.SQLITE_FULL:
                    raise DiskFull from None
                raise
            finally:
                if rows.in_transaction:
                    rows.execute("ROLLBACK")

    def _mac(self, said: bytes) -> bytes:
        return self._hash(b"said" + said)[:_MAC_BYTES]

    def _hash(self, data: bytes) -> bytes:
        return hmac.digest(self._key, data, hashlib.sha256)


def expiry(now: float, days: float) -> int:
    """When invitations of so many days expire, in epoch seconds."""
    return int(now + days * 24 * HOUR_S)
