"""Who comes to the admin page: whoever has the token, or signs in and is in a group of admins.

Without both there is no such page. A browser that came in has a pass, which says nothing of whose
it is, for half an hour and for `/admin` alone; it is no ticket, and a ticket is no pass. Prometheus
shows the token with each request.

Does not protect against whoever reads the token's file, or whom the issuer counts among its admins.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import structlog
from fastapi import Request, Response

from errors import NotAdmitted, UnknownSession
from settings import Settings
from web.admin.token import Token
from web.entrance import sign_in_class
from web.http.limits import RateLimiter, address_of
from web.passes import Passes
from web.units import TEN_MINUTES_S

ADMIN = "/admin"
"""The path of the pages, and of the cookies."""

_IN_S = 1800
_STATE_S = 600
_WRONG = 30  # tokens, from one address in ten minutes
_BEARER = "bearer "

log = structlog.get_logger()


class Wall:
    """The wall around the admin page of one server. Thread-safe.

    sign_in: at the issuer, None where no group of admins is named.
    """

    def __init__(self, settings: Settings) -> None:
        """
        Raises:
            BadSettings: the token or the issuer is described wrongly.
        """
        self._settings = settings
        self._token = Token(Path(settings.admin)) if settings.admin else None
        self.sign_in = sign_in_class().for_admins(settings.oidc) if settings.oidc else None
        self._passes = Passes[bool](_IN_S)
        self._wrong = RateLimiter(_WRONG, TEN_MINUTES_S)
        self.begun = RateLimiter(settings.starts_per_address, TEN_MINUTES_S)

    @property
    def has_token(self) -> bool:
        return self._token is not None

    @property
    def stands(self) -> bool:
        """Whether anybody can come in; else there is no page."""
        return self.has_token or self.sign_in is not None

    def show_token(self, request: Request, text: str) -> None:
        """Let pass whoever shows the token.

        Raises:
            UnknownSession: it is another text. Busy: this address showed too many.
        """
        with self._wrong.failures(address_of(request)):
            if self._token is None or not self._token.is_(text):
                log.warning("wrong_admin_token")
                raise UnknownSession

    def show_bearer(self, request: Request) -> None:
        """As `show_token`, with what stands in `Authorization` (RFC 6750)."""
        said = request.headers.get("authorization", "")
        bears = said[: len(_BEARER)].lower() == _BEARER
        self.show_token(request, said[len(_BEARER) :].strip() if bears else "")

    def finish_sign_in(self, request: Request, state: str, code: str) -> None:
        """Let pass whoever comes back from the issuer as an admin.

        Raises:
            NotAdmitted: they are none, or their sign-in does not hold.
        """
        if self.sign_in is None:
            raise NotAdmitted("entrance.again")
        kept = request.cookies.get(self._name("state"), "")
        self.sign_in.finish(state, kept, code, self._settings.contact)

    def admits(self, request: Request) -> bool:
        """Whether a browser has a pass."""
        return bool(self._passes.value(request.cookies.get(self._name("pass"), "")))

    def let_in(self, response: Response) -> None:
        """Give a browser a new pass."""
        self._keep(response, "pass", self._passes.give(True), _IN_S, "strict")

    def let_out(self, request: Request, response: Response) -> None:
        """End the pass of a browser."""
        self._passes.take(request.cookies.get(self._name("pass"), ""))
        self._keep(response, "pass", "", 0, "strict")

    def keep_state(self, response: Response, state: str) -> None:
        """Have the browser keep the state of its sign-in. Lax: it comes back from the issuer."""
        self._keep(response, "state", state, _STATE_S, "lax")

    def _name(self, what: str) -> str:
        # `__Host-` would not allow a path of its own.
        return f"{'__Secure-' if self._settings.https else ''}likeness-admin-{what}"

    def _keep(
        self,
        response: Response,
        what: str,
        value: str,
        age_s: int,
        site: Literal["strict", "lax"],
    ) -> None:
        response.set_cookie(
            self._name(what),
            value,
            age_s,
            path=ADMIN,
            secure=self._settings.https,
            httponly=True,
            samesite=site,
        )
