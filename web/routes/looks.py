"""Routes of the looks: a preview of each, made by the photo way.

`dev/make_photo_pictures.py` makes them. A look without one is fine: its card has words only.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Response
from fastapi import Path as InPath
from fastapi.responses import FileResponse

from errors import UnknownSession
from web.http.dependencies import Parts, Visitor
from web.services import Services

Key = Annotated[str, InPath(pattern=r"^[a-z0-9-]{1,60}$")]

PREVIEWS = Path(__file__).resolve().parent.parent / "static" / "looks"


def router() -> APIRouter:
    routes = APIRouter()

    @routes.get("/look/{key}.webp")
    def preview(key: Key, services: Parts, session: Visitor) -> Response:
        if key not in previews(services):
            raise UnknownSession
        return FileResponse(_file(key), media_type="image/webp")

    return routes


def previews(services: Services) -> list[str]:
    """Keys of the looks that have a preview."""
    return [key for key in services.styles if _file(key).is_file()]


def _file(key: str) -> Path:
    return PREVIEWS / f"{key}.webp"
