"""The order of a session in its vault, for as long as it is not done.

A server that is stopped or fails in the middle of a job keeps no key to go on with. When the
visitor's own key comes back, `job_queue` finds here what they had asked for.
"""

from __future__ import annotations

import json
from contextlib import suppress

from errors import TamperedError, UnknownSession
from pipeline.orders import Order
from privacy import kinds
from privacy.sealed import Files
from privacy.sessions import Session

_NAME = "order"


def keep(vault: Files, session: Session, order: Order) -> None:
    """Write the order down.

    Raises:
        DiskFull: no room. UnknownSession: the session was erased.
    """
    vault.put(session, kinds.ORDER, _NAME, json.dumps(order.to_json()).encode())


def load(vault: Files, session: Session) -> Order | None:
    """The order that was cut off, None without one or if it was not written by this version.

    Raises:
        UnknownSession: the session was erased.
    """
    try:
        return Order.from_json(json.loads(vault.open(session, kinds.ORDER, _NAME)))
    except (KeyError, TypeError, ValueError, TamperedError):
        return None


def forget(vault: Files, session: Session) -> None:
    """Remove it: the order is done, or not wanted any more."""
    with suppress(UnknownSession):
        vault.delete(session, kinds.ORDER)
