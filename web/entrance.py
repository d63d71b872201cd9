"""Who may start a session (`LIKENESS_ENTRANCE`).

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
from web.http.proxies import identity_of
from web.quota import DailyQuota
from web.units import TEN_MINUTES_S


class Entrance:
    """The door of one server. Thread-safe.

    invitations: None where none are asked for.
    """

    def __init__(self, settings: Settings, now: Callable[[], float]) -> None:
        """
        Args:
            now: epoch seconds.

        Raises:
            BadSettings: invitations are asked for, and cannot be kept.
        """
        self._settings = settings
        invited = settings.entrance == "invited"
        self.invitations = Invitations(settings.receipts, now) if invited else None
        # As many as may start, so that a department with an expired link does not lock the door.
        self._refused = RateLimiter(settings.starts_per_address, TEN_MINUTES_S)
        self.quota = DailyQuota(settings.sessions_per_person, now)

    @contextmanager
    def starting(self, request: Request, invitation: str) -> Iterator[None]:
        """Run the block, which starts a session, if whoever asks may. One that fails costs nothing.

        Raises:
            NotAdmitted: they may not. Busy: too many wrong invitations came from this address.
            DiskFull: no room to count.
        """
        contact = pages.responsible(self._settings)["contact"]
        if self.invitations is not None:
            if not invitation:
                raise NotAdmitted("invitation.needed", contact=contact)
            with (
                self._refused.failures(address_of(request), NotAdmitted),
                self.invitations.starting(invitation),
            ):
                yield
        elif self._settings.entrance == "portal":
            identity = identity_of(request, self._settings.identity_header, contact)
            with self.quota.starting(self.quota.mark(identity), contact):
                yield
        else:
            yield

    def forget(self) -> None:
        """Erase what is over: expired invitations, and who started yesterday."""
        if self.invitations is not None:
            self.invitations.forget_expired()
        self.quota.forget_yesterday()
