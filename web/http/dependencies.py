"""Who is asking: the one place that turns a cookie into an opened session.

Routes take `Visitor` (an opened `Session`) and `Parts` (the services). The cookie's value is the
ticket; this module never looks into it.
"""

from __future__ import annotations

import re
from typing import Annotated

from fastapi import Depends, Request, Response

from privacy.keys import Ticket
from privacy.sessions import Session
from settings import Settings
from web.services import Services

HOUR_S = 3600
_GOODBYE = "/goodbye"
_GOODBYE_S = 600
_R = re.compile("[0-9a-f]{64}")
_SHARED = "/shared"
_GUEST, _VOTER = "likeness-share", "likeness-voter"


# Async, since what is not goes through a thread of its own, and a page polls often.
async def services_of(request: Request) -> Services:
    services: Services = request.app.state.services
    return services


Parts = Annotated[Services, Depends(services_of)]


async def ticket_of(request: Request, services: Parts) -> str | None:
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
    _set_cookie(response, settings, cookie_name(settings), ticket.text(), longest_s)


def dismiss(response: Response, settings: Settings) -> None:
    """Take the ticket away again."""
    _set_cookie(response, settings, cookie_name(settings), "", 0)


def hand_receipt(response: Response, settings: Settings, r: bytes) -> None:
    """Send r along to the goodbye page, which takes it away when it has shown it."""
    _set_cookie(response, settings, _receipt_cookie(settings), r.hex(), _GOODBYE_S, _GOODBYE)


def take_receipt(response: Response, settings: Settings) -> None:
    """Take r away from the browser: the page has it now."""
    _set_cookie(response, settings, _receipt_cookie(settings), "", 0, _GOODBYE)


def handed_receipt(request: Request, settings: Settings) -> bytes | None:
    """What `hand_receipt` sent, if it is there."""
    text = request.cookies.get(_receipt_cookie(settings), "")
    return bytes.fromhex(text) if _R.fullmatch(text) else None


def _receipt_cookie(settings: Settings) -> str:
    return _scoped(settings, "likeness-receipt")


def admit_guest(response: Response, settings: Settings, ticket: str, voter: str) -> None:
    """Give a colleague's browser a share's ticket and a voter's random name, for `/shared` only."""
    longest_s = int((settings.undelivered_hours + settings.retention_hours) * HOUR_S)
    for name, value in ((_GUEST, ticket), (_VOTER, voter)):
        _set_cookie(response, settings, _scoped(settings, name), value, longest_s, _SHARED)


def guest_ticket_of(request: Request, settings: Settings) -> str | None:
    """The text of the share ticket that the browser sent, unchecked."""
    return request.cookies.get(_scoped(settings, _GUEST))


def voter_of(request: Request, settings: Settings) -> str | None:
    """The voter's name that the browser sent, unchecked."""
    return request.cookies.get(_scoped(settings, _VOTER))


def address_of(request: Request) -> str:
    """Where a request comes from, for counting only."""
    return request.client.host if request.client else ""


def _scoped(settings: Settings, name: str) -> str:
    # `__Host-` would not allow a path of its own.
    return f"__Secure-{name}" if settings.https else name


def _set_cookie(
    response: Response,
    settings: Settings,
    name: str,
    value: str,
    max_age_s: int,
    path: str = "/",
) -> None:
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
        f"{name}={value}; Path={path}; HttpOnly; Max-Age={max_age_s}{scope}",
    )
