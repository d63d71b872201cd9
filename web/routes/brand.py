"""The company's logo and colours, from memory, for everybody: the first page shows them."""

from __future__ import annotations

from fastapi import APIRouter, Response

from errors import UnknownSession
from web.http.dependencies import Parts


def router() -> APIRouter:
    routes = APIRouter()

    @routes.get("/brand/logo.png")
    def logo(services: Parts) -> Response:
        if services.brand.logo is None:
            raise UnknownSession
        return Response(services.brand.logo, media_type="image/png")

    @routes.get("/brand/colours.css")
    def colours(services: Parts) -> Response:
        if not services.brand.colours:
            raise UnknownSession
        return Response(services.brand.colours, media_type="text/css")

    return routes
