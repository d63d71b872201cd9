"""Who may start a session (`LIKENESS_ENTRANCE`).

Decides the start alone: whoever has a session comes back to it without being asked again, and
nothing that was shown here is written beside the session.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from fastapi import Request

from errors import BadSettings, NotAdmitted, UnknownSession
from privacy.invitations import Invitations
from settings import Settings
from web import pages
from web.http.cookies import pass_of
from web.http.limits import RateLimiter, address_of
from web.http.proxies import identity_of
from web.passes import Passes
from web.quota import DailyQuota
from web.units import TEN_MINUTES_S

if TYPE_CHECKING:
    from web.sign_in import SignIn

_SIGNED_IN_S = 1800.0


class Entrance:
    """The door of one server. Thread-safe.

    invitations: None where none are asked for.
    """

    def __init__(self, settings: Settings, now: Callable[[], float]) -> None:
        """
        Args:
            now: epoch seconds.

        Raises:
            BadSettings: invitations cannot be kept, or an issuer is described wrongly.
        """
        self._settings = settings
        invited = settings.entrance == "invited"
        self.invitations = Invitations(settings.receipts, now) if invited else None
        # As many as may start, so that a department with an expired link does not lock the door.
        self._refused = RateLimiter(settings.starts_per_address, TEN_MINUTES_S)
        signs_in = settings.entrance == "oidc"
        self._sign_in = sign_in_class()(settings.oidc) if signs_in else None
        # Who has signed in and not started yet, by the day's mark alone (`DailyQuota.mark`).
        self._passes = Passes[bytes](_SIGNED_IN_S)
        self.quota = DailyQuota(settings.sessions_per_person, now)

    @contextmanager
    def starting(self, request: Request, invitation: str) -> Iterator[None]:
        """Run the block, which starts a session, if whoever asks may. One that fails costs nothing.

        Raises:
            NotAdmitted: they may not. Busy: too many wrong invitations came from this address.
            DiskFull: no room to count.
        """
        contact = self._contact()
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
        elif self._sign_in is not None:
            given = pass_of(request, self._settings)
            mark = self._passes.value(given)
            if mark is None:
                raise NotAdmitted("entrance.needed")
            with self.quota.starting(mark, contact):
                yield
            self._passes.take(given)
        else:
            yield

    def must_sign_in(self, request: Request) -> bool:
        """Whether whoever asks has to sign in before they start."""
        given = pass_of(request, self._settings)
        return self._sign_in is not None and self._passes.value(given) is None

    def sign_in(self, redirect_uri: str) -> tuple[str, str]:
        """As `SignIn.begin`. Raises UnknownSession: nobody signs in here."""
        if self._sign_in is None:
            raise UnknownSession
        return self._sign_in.begin(redirect_uri, self._contact())

    def signed_in(self, state: str, kept: str, code: str) -> str:
        """The pass of who comes back from the issuer; raises as `sign_in` and `SignIn.finish`."""
        if self._sign_in is None:
            raise UnknownSession
        identity = self._sign_in.finish(state, kept, code, self._contact())
        return self._passes.give(self.quota.mark(identity))

    def _contact(self) -> str:
        return pages.responsible(self._settings)["contact"]

    def forget(self) -> None:
        """Erase what is over: expired invitations, and who started yesterday."""
        if self.invitations is not None:
            self.invitations.forget_expired()
        self.quota.forget_yesterday()


def sign_in_class() -> type[SignIn]:
    """`SignIn`, which is imported only where people sign in.

    Raises:
        BadSettings: what it needs is not installed.
    """
    try:
        from web.sign_in import SignIn
    except ImportError:
        raise BadSettings(
            "LIKENESS_OIDC: signing in needs Authlib; pip install -r requirements.txt."
        ) from None
    return SignIn
