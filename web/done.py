"""The signed way back to the portal that a visitor came from.

The portal opens `/?state=…` with a word of its own, opaque here; the visitor's browser keeps it in
a cookie and brings it back with what became of the visit:

    url?state=…&outcome=handed-in&time=1764320000&signature=<HMAC-SHA256, hex>

signed over everything between "?" and "&signature=". No picture, no name and no session id is in
it. Where it leads to stands in the operator's file alone.
"""

from __future__ import annotations

import hmac
import re
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import urlencode

Outcome = Literal["handed-in", "deleted", "left"]
"""What the receiver has or gets; nothing, and all was erased; nothing, and the session goes on."""

STATE = re.compile(r"[A-Za-z0-9._~-]{1,200}")
"""What a portal may give along: letters that mean nothing in an address or a cookie."""


@dataclass(frozen=True)
class Done:
    """Where the portal wants visitors back. url: without a query."""

    url: str
    secret: bytes = field(repr=False)

    def way_back(self, state: str, outcome: Outcome, now: float) -> str:
        """The portal's address, with what became of the visit. now: epoch seconds."""
        said = urlencode({"state": state, "outcome": outcome, "time": int(now)})
        return f"{self.url}?{said}&signature={self._signature(said)}"

    def is_ours(self, address: str) -> bool:
        """Whether `way_back` made this address."""
        start, _, signature = address.rpartition("&signature=")
        said = start.removeprefix(f"{self.url}?")
        known = start.startswith(f"{self.url}?") and signature.isascii()
        return known and hmac.compare_digest(signature, self._signature(said))

    def _signature(self, said: str) -> str:
        return hmac.digest(self.secret, said.encode(), "sha256").hex()
