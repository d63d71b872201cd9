"""Routes of the portrait at once: the portrait, and a small picture of each look's wall."""

from __future__ import annotations

import io
from functools import lru_cache
from typing import Annotated

import numpy as np
from fastapi import APIRouter, Query, Response
from PIL import Image
from pydantic import BaseModel, Field

from errors import UnknownSession
from pipeline.compositing.composite import GRADES, graded, shoulder
from pipeline.compositing.look import PhotoLook
from pipeline.compositing.walls import paint
from web.http.dependencies import Parts, Visitor
from web.instant import OWN_LIGHT, Instant, Wanted
from web.routes.looks import Key

Word = Annotated[str, Field(max_length=60)]

DISTANCE_SHOWN = "x-likeness-distance"
"""Header: the distance that the photo had room for."""

_SWATCH_PX = 96


class Asked(BaseModel):
    """What the page asks for: a photo, and the words of `Wanted`."""

    photo: Word = ""
    look: Word = ""
    shape: Word = "square"
    distance: Word = "head_and_shoulders"
    light: Word = OWN_LIGHT
    size: Word = "preview"


def router(instant: Instant) -> APIRouter:
    routes = APIRouter()

    @routes.get("/studio-portrait")
    def portrait(session: Visitor, asked: Annotated[Asked, Query()]) -> Response:
        wanted = Wanted(**asked.model_dump(exclude={"photo"}))
        made = instant.render(session, asked.photo, wanted)
        headers = {DISTANCE_SHOWN: made.distance}
        if asked.size == "full":
            headers["content-disposition"] = 'attachment; filename="portrait.png"'
        return Response(made.data, media_type=made.media_type, headers=headers)

    @routes.get("/studio-wall/{key}.webp")
    def wall(key: Key, services: Parts, session: Visitor) -> Response:
        style = services.styles.get(key)
        if style is None or style.photo is None:
            raise UnknownSession
        return Response(_swatch(style.photo), media_type="image/webp")

    return routes


@lru_cache(maxsize=100)
def _swatch(look: PhotoLook) -> bytes:
    """A look's wall as a small WebP."""
    rng = np.random.default_rng(0)
    light = paint(look.wall, (_SWATCH_PX, _SWATCH_PX), rng, look.colour, look.depth_of_field)
    values = np.clip(graded(shoulder(light), GRADES[look.grade]), 0, 1)
    buffer = io.BytesIO()
    Image.fromarray((values * 255).astype(np.uint8)).save(buffer, "WEBP", quality=80)
    return buffer.getvalue()
