"""Routes of a share: the owner's three, and all that a colleague with the link can reach.

The link's secret stands behind the `#`; a script posts it, and gets a cookie that the browser
sends to `/shared` only. That cookie's value is a share ticket: no route of a visitor takes it.
"""

from __future__ import annotations

import re
import secrets
from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from privacy.shares import Guest
from web import pages, sharing
from web.http.dependencies import (
    Parts,
    Visitor,
    address_of,
    admit_guest,
    guest_ticket_of,
    voter_of,
)
from web.http.limits import Allowance
from web.routes.photos import Name
from web.routes.portraits import Tap
from web.routes.welcome import PrivateLink
from web.services import Services

_TEN_MINUTES_S = 600.0
# Colleagues come through one proxy too; a page with twenty portraits is twenty-two requests.
_OPENINGS_PER_ADDRESS = 300
_VOTES_PER_SHARE = 3000
_VOTER = re.compile("[A-Za-z0-9_-]{22}")


class Seen(BaseModel):
    """One portrait as a colleague sees it."""

    id: str
    voted: bool


def guest_of(request: Request, services: Parts) -> Guest:
    """The colleague's share.

    Raises:
        UnknownSession: no cookie, or one that opens nothing any more.
    """
    return services.sessions.shares.open(guest_ticket_of(request, services.settings))


Colleague = Annotated[Guest, Depends(guest_of)]


def router() -> APIRouter:
    routes = APIRouter()
    openings = Allowance(_OPENINGS_PER_ADDRESS, _TEN_MINUTES_S)
    votes = Allowance(_VOTES_PER_SHARE, _TEN_MINUTES_S)

    @routes.post("/session/share")
    def make_link(services: Parts, session: Visitor) -> Response:
        """The link that shows the hearted portraits; the same one until it is ended."""
        ticket = sharing.link(services.sessions, services.vault, session)
        return JSONResponse({"path": f"/shared#{ticket}"})

    @routes.delete("/session/share")
    def end_link(services: Parts, session: Visitor) -> Response:
        sharing.end(services.sessions, services.vault, session)
        return Response(status_code=204)

    @routes.get("/shared")
    def page() -> Response:
        return pages.page("shared.html")

    @routes.post("/shared/open")
    def let_in(request: Request, link: PrivateLink, services: Parts) -> Response:
        openings.spend(address_of(request))
        services.sessions.shares.open(link.ticket)
        voter = _voter(request, services)
        if not _VOTER.fullmatch(voter):
            voter = secrets.token_urlsafe(16)
        response = Response(status_code=204)
        admit_guest(response, services.settings, link.ticket, voter)
        return response

    @routes.get("/shared/portraits")
    def portraits(request: Request, services: Parts, guest: Colleague) -> list[Seen]:
        shares = services.sessions.shares
        own = sharing.own_votes(shares, guest, _voter(request, services))
        return [Seen(id=name, voted=name in own) for name in sharing.shown(shares, guest)]

    @routes.get("/shared/portrait/{portrait_id}")
    def portrait(portrait_id: Name, services: Parts, guest: Colleague) -> Response:
        data = sharing.preview(services.sessions.shares, guest, portrait_id)
        return Response(data, media_type="image/jpeg")

    @routes.post("/shared/portrait/{portrait_id}/vote")
    def vote(
        portrait_id: Name, tap: Tap, request: Request, services: Parts, guest: Colleague
    ) -> Response:
        votes.spend(guest.share_id)
        voter = _voter(request, services)
        sharing.vote(services.sessions.shares, guest, voter, portrait_id, tap.on)
        return Response(status_code=204)

    return routes


def _voter(request: Request, services: Services) -> str:
    return voter_of(request, services.settings) or ""
