"""Routes before the studio: welcome and consent, the private link, health."""

from __future__ import annotations

import json
from typing import Annotated

import segno
from fastapi import APIRouter, Form, Request, Response
from fastapi.responses import JSONResponse, PlainTextResponse, RedirectResponse
from pydantic import BaseModel, Field

from errors import ErasureLate, UnknownSession
from pipeline.compositing.warp import PRESETS, SHAPES
from pipeline.portraits.clip import FORMS
from privacy.keys import Ticket
from settings import Settings
from web import consent, editor, pages
from web.done import STATE
from web.gradio import labels
from web.hand_in import told
from web.http.cookies import admit, dismiss, is_ticket, keep_portal_state, portal_state_of
from web.http.dependencies import Parts, TicketText, Visitor
from web.http.firewall import STUDIO
from web.http.limits import RateLimiter, address_of
from web.http.prefix import here
from web.routes import looks
from web.services import Services
from web.units import HOUR_S, TEN_MINUTES_S
from words import say, span

_STUDIO = f"{STUDIO}/"
# Links that open nothing; who comes back with a good one is not counted.
_FAILED_RETURNS_PER_ADDRESS = 300


class PrivateLink(BaseModel):
    """What the page behind a link sends: the part of the address after the `#`.

    instead: leave the session that this browser is in.
    """

    ticket: str = Field(max_length=300, repr=False)
    instead: bool = False


def router(settings: Settings) -> APIRouter:
    routes = APIRouter()
    starts = RateLimiter(settings.starts_per_address, TEN_MINUTES_S)
    returns = RateLimiter(_FAILED_RETURNS_PER_ADDRESS, TEN_MINUTES_S)

    @routes.get("/")
    def welcome(
        request: Request,
        services: Parts,
        ticket: TicketText,
        ended: bool = False,
        cookies: bool = True,
        state: str = "",
    ) -> Response:
        """state: a portal's word, to be brought back to it (`web.done`)."""
        known = _opens(services, ticket)
        response = _welcome(
            services.settings,
            known=known,
            sign_in=services.entrance.must_sign_in(request),
            note=_note(ended and not known, not cookies, is_ticket(ticket)),
        )
        if services.done is not None and STATE.fullmatch(state):
            keep_portal_state(response, services.settings, state)
        return response

    @routes.post("/session")
    def start(
        request: Request,
        services: Parts,
        ticket: TicketText,
        agreed: Annotated[str, Form(alias="consent", max_length=10)] = "",
        samples: Annotated[str, Form(max_length=10)] = "",
        invitation: Annotated[str, Form(max_length=300)] = "",
    ) -> Response:
        """Open a session for somebody who agreed; one who has a session keeps it.

        samples: the studio begins with sample photos.
        """
        settings = services.settings
        if _opens(services, ticket):
            return RedirectResponse(_STUDIO, 303)
        if agreed != "yes":
            return _welcome(settings, status=400, unticked=True)
        if services.erasure_is_late():
            raise ErasureLate
        with services.entrance.starting(request, invitation):
            starts.count(address_of(request))
            session, new_ticket = services.sessions.create()
            consent.keep(services, session, "portraits")
        response = RedirectResponse(f"{_STUDIO}#samples" if samples else _STUDIO, 303)
        admit(response, settings, new_ticket)
        return response

    @routes.post("/session/leave")
    def leave(services: Parts) -> Response:
        """Forget the session in this browser, for the next person at it. It goes on by itself."""
        response = RedirectResponse("/", 303)
        dismiss(response, services.settings)
        return response

    @routes.get("/session/link")
    def private_link(
        request: Request, services: Parts, session: Visitor, ticket: TicketText
    ) -> Response:
        """The way back from another device. Behind a `#`, so that no server ever logs it."""
        path = f"/return#{ticket}"
        code = segno.make(f"{here(request, https=services.settings.https)}{path}", error="l")
        picture = code.svg_data_uri(scale=4, border=2, light="#fff")
        return JSONResponse({"path": path, "picture": picture})

    @routes.get("/session/consent")
    def agreed_to(request: Request, services: Parts, session: Visitor) -> Response:
        """What the visitor has agreed to, as a file of theirs."""
        receipt = consent.receipt(services, session, here(request, https=services.settings.https))
        return Response(
            json.dumps(receipt, indent=2, ensure_ascii=False) + "\n",
            media_type="application/ld+json",
            headers={"content-disposition": 'attachment; filename="likeness-consent.json"'},
        )

    @routes.get("/return")
    def come_back() -> Response:
        return pages.page("return.html")

    @routes.post("/session/return")
    def let_in(
        request: Request, link: PrivateLink, services: Parts, ticket: TicketText
    ) -> Response:
        """Open the session behind a link. 409: this browser is in another one, so ask first."""
        with returns.failures(address_of(request)):
            services.sessions.open(link.ticket)
        another = ticket != link.ticket and _opens(services, ticket)
        if another and not link.instead:
            return JSONResponse({"sentence": say("return.another")}, 409)
        response = JSONResponse({"next": _STUDIO})
        admit(response, services.settings, Ticket.parse(link.ticket))
        return response

    @routes.get("/studio-parts")
    def studio_parts(request: Request, services: Parts) -> Response:
        """The templates that `static/studio.js` fills with data."""
        return pages.page(
            "parts.html",
            settings=services.settings,
            retention=span(services.settings.retention_hours * HOUR_S),
            previews=looks.previews(services),
            gradio_words=labels.english_only(),
            ways=labels.ways(services, labels.counts(services.settings)),
            editor=editor.choices(services),
            moving={"presets": PRESETS, "shapes": SHAPES, "forms": FORMS},
            hand_in=told.parts(services.hand_in),
            way_back=services.done is not None and portal_state_of(request, services.settings),
        )

    @routes.get("/favicon.ico")
    def favicon() -> Response:
        """Browsers ask for this one before they have read where ours is."""
        return RedirectResponse("/static/favicon.svg", 301)

    @routes.get("/health")
    def health(services: Parts) -> Response:
        """For a monitor: 503 when erasure is late or the GPU has failed."""
        if services.erasure_is_late():
            return PlainTextResponse("erasure is late", 503)
        if services.job_queue.gpu_failed:
            return PlainTextResponse("the GPU has failed", 503)
        return PlainTextResponse("ok")

    return routes


def _welcome(
    settings: Settings,
    *,
    status: int = 200,
    known: bool = False,
    note: str = "",
    sign_in: bool = False,
    unticked: bool = False,
) -> Response:
    """The first page. `known`: there is a session to go on with; `note`: of `_note`; `sign_in`:
    that comes first."""
    return pages.page(
        "welcome.html",
        status=status,
        settings=settings,
        retention=span(settings.retention_hours * HOUR_S),
        notice=consent.notice(settings),
        known=known,
        note=note,
        unticked=unticked,
        responsible=pages.responsible(settings),
        sign_in=sign_in,
        entrance=settings.entrance,
    )


def _note(ended: bool, without_cookie: bool, had_ticket: bool) -> str:
    """What the first page says above all, whatever its address says: `ended`, the session that
    there was and all of it was erased; `without_cookie`, the browser may keep none."""
    if had_ticket:
        return "ended" if ended else ""
    return "without_cookie" if without_cookie else ""


def _opens(services: Services, ticket: str | None) -> bool:
    try:
        services.sessions.open(ticket)
    except UnknownSession:
        return False
    return True
