"""Routes of portraits that move: looked at, made with their progress, downloaded, shared."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import chain
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import JSONResponse, StreamingResponse
from pydantic import BaseModel, Field

from errors import LikenessError
from pipeline.portraits.clip import FORMS
from web.http import ranges
from web.http.dependencies import Parts, Visitor
from web.http.turns import Turns
from web.moving import Motion, MovingPortraits
from web.routes.photos import Name
from words import tell

_AT_ONCE = 1
"""Files of which a few frames are made at the same moment, for all visitors."""

_WORD = 40


class Wanted(BaseModel):
    """How a portrait is to move; what it allows is checked by `Motion`."""

    preset: str = Field(Motion.preset, max_length=_WORD)
    shape: str = Field(Motion.shape, max_length=_WORD)

    def motion(self) -> Motion:
        """
        Raises:
            BadOrder: something that is not on offer.
        """
        return Motion(self.preset, self.shape)


class WantedFile(Wanted):
    """The same as a file. format: of `clip.FORMS`."""

    format: str = Field(next(iter(FORMS)), max_length=_WORD)


def router(moving: MovingPortraits) -> APIRouter:
    routes = APIRouter()
    turns = Turns(_AT_ONCE)

    @routes.get("/portrait/{portrait_id}/moving")
    def state(portrait_id: Name, session: Visitor) -> Response:
        """Whether it can move, and whether colleagues see it."""
        told = moving.state(session, portrait_id)
        why = told["why"]
        return JSONResponse(told | {"why": tell(why) if why else ""})

    @routes.get("/portrait/{portrait_id}/moving/preview")
    def preview(portrait_id: Name, session: Visitor, how: Annotated[Wanted, Query()]) -> Response:
        """A small one to look at."""
        made = moving.preview(session, portrait_id, how.motion())
        return Response(made, media_type="image/webp")

    @routes.get("/portrait/{portrait_id}/moving/still")
    def still(portrait_id: Name, session: Visitor, how: Annotated[Wanted, Query()]) -> Response:
        """What is shown of it while nothing moves."""
        made = moving.still(session, portrait_id, how.motion())
        return Response(made, media_type="image/jpeg")

    @routes.post("/portrait/{portrait_id}/moving/shared")
    def share(portrait_id: Name, session: Visitor, how: Wanted) -> Response:
        """Colleagues who see the portrait see it move."""
        moving.share(session, portrait_id, how.motion())
        return Response(status_code=204)

    @routes.delete("/portrait/{portrait_id}/moving/shared")
    def unshare(portrait_id: Name, session: Visitor) -> Response:
        moving.unshare(session, portrait_id)
        return Response(status_code=204)

    @routes.post("/portrait/{portrait_id}/clip")
    def make(portrait_id: Name, session: Visitor, how: WantedFile) -> Response:
        """Make a file: a line of JSON for each share that is done, 1 when it can be fetched.

        The request is the work: who goes away ends it.
        """
        shares = moving.making(session, portrait_id, how.motion(), how.format)
        begun = next(shares)  # what cannot be is said before anything is sent
        pieces = turns.each(session.id, _lines(chain([begun], shares)))
        return StreamingResponse(pieces, media_type="application/x-ndjson")

    @routes.get("/portrait/{portrait_id}/clip")
    def clip(
        portrait_id: Name,
        request: Request,
        services: Parts,
        session: Visitor,
        how: Annotated[WantedFile, Query()],
    ) -> Response:
        """A file that was made."""
        file = moving.kept(session, portrait_id, how.motion(), how.format)
        name = f'attachment; filename="{portrait_id}-{how.preset}.{how.format}"'
        return ranges.sent(request, file, FORMS[how.format].media_type, name)

    return routes


def _lines(shares: Iterator[float]) -> Iterator[bytes]:
    """Each share as a line; what went wrong on the way as a sentence in the last one."""
    try:
        for share in shares:
            yield json.dumps({"done": round(share, 3)}).encode() + b"\n"
    except LikenessError as why:
        yield json.dumps({"sentence": tell(why.message)}).encode() + b"\n"
