"""Routes of what was made: looking at a portrait, hearts, and downloads finished as wished."""

from __future__ import annotations

from fastapi import APIRouter, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, Field

from errors import UnknownSession
from pipeline.portraits.archive import archive, one, render
from pipeline.portraits.export import FORMATS, SUFFIXES, Finish
from privacy.sessions import Session
from web import wishes
from web.http.dependencies import Parts, Visitor
from web.routes.photos import Name
from web.services import Services


class Tap(BaseModel):
    """A heart or a vote is given, or taken back."""

    on: bool


class Wish(BaseModel):
    """How downloads should be finished. What it allows is checked by `Finish`."""

    caption: str = Field("", max_length=1000, repr=False)
    watermark: bool = False
    marked: bool = True


def router() -> APIRouter:
    routes = APIRouter()

    @routes.get("/portrait/{portrait_id}")
    def portrait(
        portrait_id: Name, services: Parts, session: Visitor, size: str = "original"
    ) -> Response:
        """For looking at."""
        try:
            png = services.vault.open(session, "portrait", portrait_id)
        except KeyError:
            raise UnknownSession from None
        return Response(render(png, size), media_type="image/png")

    @routes.post("/portrait/{portrait_id}/heart")
    def heart(portrait_id: Name, tap: Tap, services: Parts, session: Visitor) -> Response:
        wishes.set_heart(services.vault, session, portrait_id, tap.on)
        return Response(status_code=204)

    @routes.post("/portraits/wish")
    def wish(wish: Wish, services: Parts, session: Visitor) -> Response:
        caption = " ".join(wish.caption.split())
        how = Finish(caption=caption, watermark=wish.watermark, marked=wish.marked)
        wishes.wish(services.vault, session, how)
        return Response(status_code=204)

    @routes.get("/portrait/{portrait_id}/download")
    def download(
        portrait_id: Name,
        services: Parts,
        session: Visitor,
        size: str = "original",
        format: str = "png",
    ) -> Response:
        records = services.studio.portraits(session)
        record = next((record for record in records if record.id == portrait_id), None)
        if record is None:
            raise UnknownSession
        how = _how(services, session, size, format)
        name = f"{portrait_id}.{SUFFIXES[format]}"
        return Response(
            one(services.vault, session, record, how),
            media_type=FORMATS[format],
            headers={"content-disposition": f'attachment; filename="{name}"'},
        )

    @routes.get("/portraits.zip")
    def portraits_zip(
        services: Parts,
        session: Visitor,
        size: str = "original",
        format: str = "png",
        hearted: bool = False,
    ) -> Response:
        """Made while it is sent. If the session is erased meanwhile, the download breaks off."""
        records = services.studio.portraits(session)
        if hearted:
            chosen = wishes.hearts(services.vault, session)
            records = [record for record in records if record.id in chosen]
        if not records:
            raise UnknownSession
        how = _how(services, session, size, format)
        return StreamingResponse(
            archive(services.vault, session, records, how),
            media_type="application/zip",
            headers={"content-disposition": 'attachment; filename="portraits.zip"'},
        )

    return routes


def _how(services: Services, session: Session, size: str, format: str) -> Finish:
    return Finish(size, format, **wishes.wished(services.vault, session, services.settings))
