"""Who is asking: the one place that turns a cookie into an opened session.

Routes take `Visitor` (an opened `Session`) and `Parts` (the services). The cookie's value is the
ticket; this module never looks into it.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request

from privacy.sessions import Session
from web.http.cookies import cookie_name
from web.services import Services


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
