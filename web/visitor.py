"""Who is asking: the one place that turns a cookie into an opened session.

Routes take `Visitor` (an opened `Session`) and `Parts` (the services). The cookie's value is the
ticket; this module never looks into it.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request, Response

from privacy.keys import Ticket
from privacy.sessions import Session
from settings import Settings
from web.services import Services

HOUR_S = 3600


def services_of(request: Request) -> Services:
    services: Services = request.app.state.services
    return services


Parts = Annotated[Services, Depends(services_of)]


def ticket_of(request: Request, services: Parts) -> str | None:
    """The text of the ticket that the browser sent, unchecked."""
    return request.cookies.get(cookie_name(services.settings))


TicketText = Annotated[str | None, Depends(ticket_of)]


def session_of(services: Parts, ticket: TicketText) -> Session:
    """The visitor's session.

    Raises:
        UnknownSession: no cookie, or one that opens nothing.
    """
    return services.sessions.open(ticket)


Visitor = Annotated[Session, Depends(session_of)]


def cookie_name(settings: Settings) -> str:
    """`__Host-` makes browsers refuse the cookie from subdomains and without Secure."""
    return "__Host-likeness" if settings.https else "likeness"


def admit(response: Response, settings: Settings, ticket: Ticket) -> None:
    """Give the browser its ticket for as long as a session can live at most."""
    longest_s = int((settings.undelivered_hours + settings.retention_hours) * HOUR_S)
    _set_cookie(response, settings, ticket.text(), longest_s)


def dismiss(response: Response, settings: Settings) -> None:
    """Take the ticket away again."""
    _set_cookie(response, settings, "", 0)


def _set_cookie(response: Response, settings: Settings, value: str, max_age_s: int) -> None:
    # Written by hand because http.cookies of Python 3.11 does not know Partitioned, without which
    # browsers drop the cookie inside a portal's frame.
    if settings.https and settings.portals:
        scope = "; Secure; SameSite=None; Partitioned"
    elif settings.https:
        scope = "; Secure; SameSite=Lax"
    else:
        scope = "; SameSite=Lax"
    response.headers.append(
        "set-cookie",
        f"{cookie_name(settings)}={value}; Path=/; HttpOnly; Max-Age={max_age_s}{scope}",
    )
