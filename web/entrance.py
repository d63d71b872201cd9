"""Who may start a session: everybody, or whoever brings an invitation (`LIKENESS_ENTRANCE`).

Decides the start alone: whoever has a session comes back to it without being asked again, and
nothing that was shown here is written beside the session.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from fastapi import Request

from errors import NotAdmitted
from privacy.invitations import Invitations
from settings import Settings
from web import pages
from web.http.limits import RateLimiter, address_of
from web.services import Services
from web.units import TEN_MINUTES_S


def invitations(settings: Settings, now: Callable[[], float]) -> Invitations | None:
    """The invitations of a server that asks for them.

    Raises:
        BadSettings: they cannot be kept.
    """
    return Invitations(settings.receipts, now) if settings.entrance == "invited" else None


class Entrance:
    """The door of one server, with its count of those who try keys."""

    def __init__(self, settings: Settings) -> None:
        # As many as may start, so that a department with an expired link does not lock the door.
        self._refused = RateLimiter(settings.starts_per_address, TEN_MINUTES_S)

    @contextmanager
    def starting(self, request: Request, services: Services, invitation: str) -> Iterator[None]:
        """Run the block, which starts a session, if whoever asks may.

        Raises:
            NotAdmitted: they may not. Busy: there were too many of those from this address.
        """
        if services.invitations is None:
            yield
            return
        if not invitation:
            contact = pages.responsible(services.settings)["contact"]
            raise NotAdmitted("invitation.needed", contact=contact)
        with (
            self._refused.failures(address_of(request), NotAdmitted),
            services.invitations.starting(invitation),
        ):
            yield
