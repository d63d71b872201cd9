"""A privacy store with a log of receipts beside it, started the way the assembly starts it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from privacy.keys import MasterKey, Ticket
from privacy.receipt_lines import Line, VerifierKey, read
from privacy.receipt_log import ReceiptLog
from privacy.verify_log import Audit, audit
from tests.support.store import START, Store

MASTER = MasterKey(bytes(range(32)))


class Logged(Store):
    """One start of the server on FOLDER/scratch and FOLDER/receipts."""

    def __init__(
        self, folder: Path, *, master_key: MasterKey = MASTER, time: float = START
    ) -> None:
        self.top, self.receipts_folder = folder, folder / "receipts"
        (folder / "scratch").mkdir(exist_ok=True)
        super().__init__(folder / "scratch", master_key=master_key, time=time)
        self.sweeper.sweep()
        self.log = ReceiptLog(self.receipts_folder, "0.0.0")
        self.sessions.receipts.attach(self.log)

    def close(self) -> None:
        self.log.close()
        self.database.close()

    def restart(  # type: ignore[override]  # its clock is never asked how long it ran
        self, *, later: float = 0.0, master_key: MasterKey | None = None
    ) -> Logged:
        self.close()
        return Logged(self.top, master_key=master_key or self.master_key, time=self.time + later)

    def opened(self) -> Ticket:
        """A session that has brought its first photo."""
        session, ticket = self.sessions.create()
        self.sessions.touch_first_photo(session)
        self.vault.put(session, "photo", "photo-01", b"face")
        return ticket

    def lines(self) -> list[Line]:
        return [read(raw, self.log.key) for raw in self.log.lines()]

    def events(self) -> list[str]:
        return [line["event"] for line in self.lines()]

    def audit(self, *, later: float = 0.0) -> Audit:
        return audit(b"".join(self.log.chunks()), self.log.key, self.time + later)

    def signing_key(self) -> Ed25519PrivateKey:
        """What a thief of the folder has."""
        data = (self.receipts_folder / "signing.key").read_bytes()
        return Ed25519PrivateKey.from_private_bytes(data)

    def waiting(self) -> int:
        return int(self.database.rows("SELECT count(*) FROM unlogged")[0][0])


def joined(lines: Iterable[bytes]) -> bytes:
    """Lines as a log file holds them."""
    return b"".join(line + b"\n" for line in lines)


def check(lines: Iterable[bytes], key: VerifierKey, now: float = START) -> list[str]:
    """What an auditor finds wrong with these lines."""
    return audit(joined(lines), key, now).problems
