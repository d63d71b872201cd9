"""Routes of the looks: a preview of each, made by the base that is installed.

Previews lie in the base's own folder (`dev/make_pictures.py` makes them). A base without them is
fine: its cards have words only.
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


def router() -> APIRouter:
    routes = APIRouter()

    @routes.get("/look/{key}.webp")
    def preview(key: Key, services: Parts, session: Visitor) -> Response:
        if key not in previews(services):
            raise UnknownSession
        return FileResponse(_file(services, key), media_type="image/webp")

    return routes


def previews(services: Services) -> list[str]:
    """Keys of the looks that have a preview."""
    return [key for key in services.styles if _file(services, key).is_file()]


def _file(services: Services, key: str) -> Path:
    return services.settings.base_folder / "previews" / f"{key}.webp"
