"""Routes of handing in: what would go, giving it, taking it back; and the way back to a portal."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from fastapi.responses import JSONResponse, RedirectResponse
from pydantic import Field

from errors import BadOrder, UnknownSession
from privacy.sessions import Session
from web.done import Outcome
from web.hand_in import told
from web.hand_in.pictures import pictures
from web.hand_in.service import HandingIn
from web.http.cookies import portal_state_of
from web.http.dependencies import Parts, Visitor
from web.routes.photos import Name
from web.routes.portraits import File
from web.services import Services

HandInId = Annotated[str, Path(pattern="^[0-9a-f]{32}$")]


class Choice(File):
    """Which portraits, and how: as for a download."""

    portraits: Annotated[list[Name], Field(max_length=100)]


class Given(Choice):
    """What is given away."""

    name: str = Field("", max_length=1000, repr=False)


def handing_in_of(services: Parts, session: Visitor) -> HandingIn:
    """Where visitors may give portraits to.

    Raises:
        UnknownSession: nowhere.
    """
    if services.hand_in is None:
        raise UnknownSession
    return services.hand_in


Desk = Annotated[HandingIn, Depends(handing_in_of)]
_OTHERS = {"portraits", "name"}


def router() -> APIRouter:
    routes = APIRouter()

    @routes.get("/session/hand-in")
    def offer(
        services: Parts, session: Visitor, desk: Desk, choice: Annotated[Choice, Query()]
    ) -> Response:
        """Exactly what would go."""
        asked = choice.model_dump(exclude=_OTHERS)
        chosen = pictures(services, session, choice.portraits, asked)
        return JSONResponse(told.offer(desk, session, chosen))

    @routes.post("/session/hand-in")
    def give(services: Parts, session: Visitor, desk: Desk, given: Given) -> Response:
        asked = given.model_dump(exclude=_OTHERS)
        desk.give(session, pictures(services, session, given.portraits, asked), given.name)
        return Response(status_code=204)

    @routes.delete("/session/hand-in/{hand_in_id}")
    def take_back(hand_in_id: HandInId, session: Visitor, desk: Desk) -> Response:
        if not desk.take_back(session, hand_in_id):
            raise BadOrder("hand_in.fetched", contact=told.names(desk)["contact"])
        return Response(status_code=204)

    @routes.get("/session/done")
    def back_to_the_portal(request: Request, services: Parts, session: Visitor) -> Response:
        """To the portal, with what it may know. Where that is stands in the operator's file."""
        address = way_back(request, services, session)
        if not address:
            raise UnknownSession
        return RedirectResponse(address, 303)

    return routes


def way_back(
    request: Request, services: Services, session: Session, *, deleting: bool = False
) -> str:
    """The address at the portal that the browser came from; empty if it came from none.

    deleting: all that can be taken back was, and the rest is about to be erased.
    """
    state = portal_state_of(request, services.settings)
    if services.done is None or not state:
        return ""
    return services.done.way_back(state, _outcome(services, session, deleting), services.now())


def _outcome(services: Services, session: Session, deleting: bool) -> Outcome:
    given = services.hand_in.all_of(session) if services.hand_in else []
    has = ("delivered",) if deleting else ("delivered", "sending", "waiting")
    if any(one.state in has for one in given):
        return "handed-in"
    return "deleted" if deleting else "left"
