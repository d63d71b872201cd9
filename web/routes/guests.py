"""Routes of a share: the owner's three, and all that a colleague with the link can reach.

The link's secret stands behind the `#`; a script posts it, and gets a cookie that the browser
sends to `/shared` only. That cookie's value is a share ticket: no route of a visitor takes it.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from errors import UnknownSession
from privacy.shares import Guest
from web import pages, sharing
from web.http.cookies import admit_guest, guest_ticket_of, voter_of
from web.http.dependencies import Parts, Visitor
from web.http.limits import RateLimiter, address_of
from web.routes.photos import Name
from web.routes.portraits import Tap
from web.routes.welcome import PrivateLink
from web.units import TEN_MINUTES_S

# Colleagues come through one proxy too: only links that open nothing are counted.
_FAILED_OPENINGS_PER_ADDRESS = 300
_VOTES_PER_SHARE = 3000
# Browsers that begin to vote at one link. Whoever clears cookies begins anew, as often as this.
NEW_VOTERS_PER_ADDRESS = 100


class Seen(BaseModel):
    """One portrait as a colleague sees it."""

    id: str
    voted: bool
    moves: bool


def guest_of(request: Request, services: Parts) -> Guest:
    """The colleague's share.

    Raises:
        UnknownSession: no cookie, or one that opens nothing any more.
    """
    return services.sessions.shares.open(guest_ticket_of(request, services.settings))


Colleague = Annotated[Guest, Depends(guest_of)]


def voter_name_of(request: Request, services: Parts, guest: Colleague) -> str:
    """Who votes: a name that this server gave to a browser that opened a link of this session.

    Raises:
        UnknownSession: none, an invented one, or one for other sessions only.
    """
    name = services.sessions.shares.vote_of(guest, voter_of(request, services.settings))
    if name is None:
        raise UnknownSession
    return name


Voter = Annotated[str, Depends(voter_name_of)]


def router() -> APIRouter:
    routes = APIRouter()
    openings = RateLimiter(_FAILED_OPENINGS_PER_ADDRESS, TEN_MINUTES_S)
    votes = RateLimiter(_VOTES_PER_SHARE, TEN_MINUTES_S)
    new_voters = RateLimiter(NEW_VOTERS_PER_ADDRESS, TEN_MINUTES_S)

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
        shares = services.sessions.shares
        with openings.failures(address_of(request)):
            guest = shares.open(link.ticket)
        voter = voter_of(request, services.settings)
        if shares.vote_of(guest, voter) is None:
            new_voters.count(f"{guest.share_id} {address_of(request)}")
            voter = shares.admit(guest, voter)
        response = Response(status_code=204)
        admit_guest(response, services.settings, link.ticket, voter or "")
        return response

    @routes.get("/shared/portraits")
    def portraits(services: Parts, guest: Colleague, voter: Voter) -> list[Seen]:
        shares = services.sessions.shares
        own = sharing.own_votes(shares, guest, voter)
        moving = sharing.moving_ones(shares, guest)
        return [
            Seen(id=name, voted=name in own, moves=name in moving)
            for name in sharing.shown(shares, guest)
        ]

    @routes.get("/shared/portrait/{portrait_id}")
    def portrait(portrait_id: Name, services: Parts, guest: Colleague) -> Response:
        data = sharing.preview(services.sessions.shares, guest, portrait_id)
        return Response(data, media_type="image/jpeg")

    @routes.get("/shared/portrait/{portrait_id}/moving")
    def moving(portrait_id: Name, services: Parts, guest: Colleague) -> Response:
        data = sharing.moving(services.sessions.shares, guest, portrait_id)
        return Response(data, media_type="image/webp")

    @routes.post("/shared/portrait/{portrait_id}/vote")
    def vote(
        portrait_id: Name, tap: Tap, services: Parts, guest: Colleague, voter: Voter
    ) -> Response:
        votes.count(guest.share_id)
        sharing.vote(services.sessions.shares, guest, voter, portrait_id, tap.on)
        return Response(status_code=204)

    return routes
