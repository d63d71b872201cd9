"""Routes of the way out: delete the model, delete everything, goodbye."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse

from privacy import kinds
from privacy.keys import Ticket
from web import pages
from web.http.cookies import (
    dismiss,
    hand_receipt,
    hand_way_back,
    handed_receipt,
    handed_way_back,
    take_receipt,
)
from web.http.dependencies import Parts, TicketText, Visitor
from web.routes.hand_in import way_back
from web.routes.receipts import shown


def router() -> APIRouter:
    routes = APIRouter()

    @routes.post("/session/delete-model")
    def delete_model(services: Parts, session: Visitor) -> Response:
        """Delete the model only. A job that is under way holds it in memory, so it is stopped."""
        services.job_queue.stop(session.id)
        for kind in kinds.MODEL:
            services.vault.delete(session, kind)
        return Response(status_code=204)

    @routes.post("/session/delete")
    def delete_everything(
        request: Request, services: Parts, session: Visitor, ticket: TicketText
    ) -> Response:
        r = Ticket.parse(ticket).receipt()
        if services.hand_in is not None:
            services.hand_in.take_all_back(session)
        back = way_back(request, services, session, deleting=True)
        services.sessions.erase(session.id, "user")
        response = JSONResponse({"next": "/goodbye"})
        dismiss(response, services.settings)
        if back:
            hand_way_back(response, services.settings, back)
        hand_receipt(response, services.settings, r)
        return response

    @routes.get("/goodbye")
    def goodbye(request: Request, services: Parts) -> Response:
        """Shows the receipt once. A session without photos has none."""
        r = handed_receipt(request, services.settings)
        back = handed_way_back(request, services.settings)
        ours = services.done is not None and services.done.is_ours(back)
        response = pages.page(
            "goodbye.html",
            receipt=shown(services.sessions.receipts, r),
            way_back=back if ours else "",
        )
        take_receipt(response, services.settings)
        return response

    return routes
