"""Routes of what was made: one portrait, or all of them as a ZIP streamed from the vault."""

from __future__ import annotations

from fastapi import APIRouter, Response
from fastapi.responses import StreamingResponse

from errors import UnknownSession
from pipeline.deliver import archive, render
from web.photos import Name
from web.visitor import Parts, Visitor


def router() -> APIRouter:
    routes = APIRouter()

    @routes.get("/portrait/{portrait_id}")
    def portrait(
        portrait_id: Name, services: Parts, session: Visitor, size: str = "original"
    ) -> Response:
        try:
            png = services.vault.open(session, "portrait", portrait_id)
        except KeyError:
            raise UnknownSession from None
        return Response(render(png, size), media_type="image/png")

    @routes.get("/portraits.zip")
    def portraits_zip(services: Parts, session: Visitor, size: str = "original") -> Response:
        """Made while it is sent. If the session is erased meanwhile, the download breaks off."""
        records = services.studio.portraits(session)
        if not records:
            raise UnknownSession
        return StreamingResponse(
            archive(services.vault, session, records, size),
            media_type="application/zip",
            headers={"content-disposition": 'attachment; filename="portraits.zip"'},
        )

    return routes
