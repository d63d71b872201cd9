"""Routes of the way out: delete the model, delete everything, goodbye."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse

from privacy import kinds
from privacy.keys import Ticket
from web import pages
from web.http.cookies import dismiss, hand_receipt, handed_receipt, take_receipt
from web.http.dependencies import Parts, TicketText, Visitor
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
    def delete_everything(services: Parts, session: Visitor, ticket: TicketText) -> Response:
        r = Ticket.parse(ticket).receipt()
        services.sessions.erase(session.id, "user")
        response = JSONResponse({"next": "/goodbye"})
        dismiss(response, services.settings)
        hand_receipt(response, services.settings, r)
        return response

    @routes.get("/goodbye")
    def goodbye(request: Request, services: Parts) -> Response:
        """Shows the receipt once. A session without photos has none."""
        r = handed_receipt(request, services.settings)
        response = pages.page("goodbye.html", receipt=shown(services.sessions.receipts, r))
        take_receipt(response, services.settings)
        return response

    return routes
