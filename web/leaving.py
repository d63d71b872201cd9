"""Routes of the way out: delete the model, delete everything, goodbye."""

from __future__ import annotations

from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse

from web import pages
from web.visitor import Parts, Visitor, dismiss


def router() -> APIRouter:
    routes = APIRouter()

    @routes.post("/session/delete-model")
    def delete_model(services: Parts, session: Visitor) -> Response:
        """Delete the model only. A job that is under way holds it in memory, so it is stopped."""
        services.studio.stop(session.id)
        services.vault.delete(session, "adapter")
        return Response(status_code=204)

    @routes.post("/session/delete")
    def delete_everything(services: Parts, session: Visitor) -> Response:
        services.sessions.erase(session.id, "user")
        response = JSONResponse({"next": "/goodbye"})
        dismiss(response, services.settings)
        return response

    @routes.get("/goodbye")
    def goodbye() -> Response:
        return pages.page("goodbye.html")

    return routes
