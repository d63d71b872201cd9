"""Routes of the editor: what the browser draws with, and portraits to download or to keep."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from errors import UnknownSession
from pipeline.photos.record import Stroke
from web import figure
from web.editor import Editor, Wanted
from web.http.dependencies import Parts, Visitor
from web.routes.looks import Key

_WORD, _POINTS = 60, 200

RADIUS = (0.002, 0.1)
"""Of strokes, as shares of a photo's longer side."""

Word = Annotated[str, Query(max_length=_WORD)]
Share = Annotated[float, Field(ge=0, le=1)]


class Wish(BaseModel):
    """A portrait as the page asks for it; what it allows is checked by `Wanted`."""

    photo: str = Field("", max_length=_WORD)
    look: str = Field("", max_length=_WORD)
    shape: str = Field(Wanted.shape, max_length=_WORD)
    head: float = Wanted.head
    light: str = Field(Wanted.light, max_length=_WORD)
    azimuth: float | None = None
    elevation: float | None = None
    strength: float | None = None
    kelvin: float | None = None
    blur: float | None = None
    clothes: str = Field(Wanted.clothes, max_length=_WORD)

    def wanted(self) -> Wanted:
        """
        Raises:
            BadOrder: something that is not on offer.
        """
        return Wanted(**self.model_dump(exclude={"photo", "size"}))


class Look(Wish):
    """One to be looked at, or downloaded. size: a key of `editor.SIZES`."""

    size: str = Field("preview", max_length=_WORD)


class Away(BaseModel):
    """A stroke with which something is taken away: see `Stroke`."""

    points: list[tuple[Share, Share]] = Field(min_length=1, max_length=_POINTS)
    radius: float = Field(ge=RADIUS[0], le=RADIUS[1])

    def stroke(self) -> Stroke:
        return Stroke(tuple(self.points), self.radius)


def router(editor: Editor) -> APIRouter:
    routes = APIRouter()

    @routes.get("/studio-stage")
    def stage(services: Parts, session: Visitor) -> Response:
        """Looks, grades and lights: what is alike for all photos."""
        return JSONResponse(figure.stage(services.styles))

    @routes.get("/studio-photos")
    def photos(session: Visitor) -> list[str]:
        """Ids of the usable photos, the best one first."""
        return editor.best_first(session)

    @routes.get("/studio-figure/{photo_id}")
    def parts(photo_id: str, session: Visitor, clothes: Word = Wanted.clothes) -> Response:
        """A photo as the browser draws with it."""
        packed = editor.figure(session, photo_id, clothes)
        kind = "application/octet-stream"
        return Response(packed, media_type=kind, headers={"content-encoding": "gzip"})

    @routes.post("/studio-strokes/{photo_id}")
    def take_away(photo_id: str, session: Visitor, away: Away) -> Response:
        """Take something away from a photo that is not the person."""
        editor.take_away(session, photo_id, away.stroke())
        return Response(status_code=204)

    @routes.delete("/studio-strokes/{photo_id}")
    def bring_back(photo_id: str, session: Visitor) -> Response:
        """Bring back what was taken away last."""
        editor.take_away(session, photo_id, None)
        return Response(status_code=204)

    @routes.get("/studio-frames/{photo_id}")
    def frames(
        photo_id: str, session: Visitor, look: Word = "", shape: Word = Wanted.shape
    ) -> Response:
        """Where the photo lies in the portrait, for each head size."""
        return JSONResponse(editor.frames(session, photo_id, look, shape))

    @routes.get("/studio-wall/{key}.jpg")
    def wall(
        key: Key, session: Visitor, shape: Word = Wanted.shape, blur: float | None = None
    ) -> Response:
        """A look's wall at preview size, not yet graded."""
        made = editor.wall(session, Wanted(key, shape, blur=blur))
        return Response(made, media_type="image/jpeg")

    @routes.get("/studio-wall/{key}.webp")
    def swatch(key: Key, services: Parts, session: Visitor) -> Response:
        """A look's wall as a small picture."""
        style = services.styles.get(key)
        if style is None or style.photo is None:
            raise UnknownSession
        return Response(figure.swatch(style.photo), media_type="image/webp")

    @routes.get("/studio-portrait")
    def portrait(session: Visitor, wish: Annotated[Look, Query()]) -> Response:
        """A portrait, rendered by the server."""
        made = editor.render(session, wish.photo, wish.wanted(), wish.size)
        if wish.size != "full":
            return Response(made, media_type="image/jpeg")
        name = {"content-disposition": 'attachment; filename="portrait.png"'}
        return Response(made, media_type="image/png", headers=name)

    @routes.post("/studio-portrait")
    def keep(session: Visitor, wish: Wish) -> Response:
        """Keep a portrait at full size beside the others, as a favourite."""
        return JSONResponse({"id": editor.keep(session, wish.photo, wish.wanted())})

    return routes
