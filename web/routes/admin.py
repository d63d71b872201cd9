"""Routes for whoever runs the server, where the operator set a wall for them: `/admin`, `/metrics`.

No route here opens a session, reads the vault or names a person.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Form, Query, Request, Response
from fastapi.responses import PlainTextResponse, RedirectResponse

from errors import NotAdmitted, UnknownSession
from privacy.invitations import Invitations, expiry
from web import pages
from web.admin import told
from web.admin.metrics import Metrics
from web.admin.overview import Watch
from web.admin.wall import ADMIN, Wall
from web.http.limits import address_of
from web.http.prefix import here
from web.services import Services
from words import ENGLISH, speaking

MOST_LINKS, MOST_DAYS, LONGEST_LABEL = 500, 90, 60
_BACK = f"{ADMIN}/sign-in/back"
_INVITATIONS = f"{ADMIN}/invitations"

_NO_TOKEN = "That is not the token of this server. It stands in the file that LIKENESS_ADMIN names."
_NO_ADMIN = (
    "You were not let in: your account is in none of the admin_groups of LIKENESS_OIDC, or the "
    "sign-in did not work. Try once more; the log says why one failed."
)
_NO_LINKS = (
    f"Please give a number of links from 1 to {MOST_LINKS}, days from 1 to {MOST_DAYS}, and a "
    f"label of at most {LONGEST_LABEL} letters."
)


def router(wall: Wall, services: Services) -> APIRouter:
    routes = APIRouter()
    watch = Watch(services)
    metrics = Metrics(watch.read)

    @routes.get("/metrics")
    def numbers(request: Request) -> Response:
        """For Prometheus, with the token as `Authorization: Bearer`."""
        if not wall.has_token:
            raise UnknownSession
        try:
            wall.show_bearer(request)
        except UnknownSession:
            return PlainTextResponse(
                "the token, please", 401, headers={"www-authenticate": "Bearer"}
            )
        body, kind = metrics.text(request.headers.get("accept", ""))
        return Response(body, headers={"content-type": kind})

    @routes.get(ADMIN)
    def overview(request: Request) -> Response:
        """The numbers, or the door."""
        if not wall.admits(request):
            return _door(wall)
        seen = watch.read()
        with speaking(ENGLISH):
            return pages.page(
                "admin.html",
                troubles=told.troubles(seen),
                sections=told.sections(seen),
                days=told.days(seen),
                invited=seen.batches is not None,
            )

    _doors(routes, wall, services)
    if services.entrance.invitations is not None:
        _invitations(routes, wall, services, services.entrance.invitations)
    return routes


def _doors(routes: APIRouter, wall: Wall, services: Services) -> None:
    """Ways in and out."""

    @routes.post(f"{ADMIN}/enter")
    def enter(request: Request, token: Annotated[str, Form(max_length=500)] = "") -> Response:
        try:
            wall.show_token(request, token.strip())
        except UnknownSession:
            return _door(wall, _NO_TOKEN)
        response = RedirectResponse(ADMIN, 303)
        wall.let_in(response)
        return response

    @routes.get(f"{ADMIN}/sign-in")
    def sign_in(request: Request) -> Response:
        """To the issuer."""
        if wall.sign_in is None:
            raise UnknownSession
        wall.begun.count(address_of(request))
        settings = services.settings
        back = f"{here(request, https=settings.https)}{_BACK}"
        url, state = wall.sign_in.begin(back, settings.contact)
        response = RedirectResponse(url, 303)
        wall.keep_state(response, state)
        return response

    @routes.get(_BACK)
    def back(
        request: Request,
        state: Annotated[str, Query(max_length=200)] = "",
        code: Annotated[str, Query(max_length=4000)] = "",
    ) -> Response:
        """From the issuer: a pass, by a page of ours, since a browser that another site sends on
        would not bring it."""
        try:
            wall.finish_sign_in(request, state, code)
        except NotAdmitted:
            return _door(wall, _NO_ADMIN)
        with speaking(ENGLISH):
            response = pages.page("admin_in.html")
        wall.let_in(response)
        return response

    @routes.post(f"{ADMIN}/leave")
    def leave(request: Request) -> Response:
        response = RedirectResponse(ADMIN, 303)
        wall.let_out(request, response)
        return response


def _invitations(
    routes: APIRouter, wall: Wall, services: Services, invitations: Invitations
) -> None:
    """Making, listing and revoking, as `python -m web.invite` does."""

    def page(links: Sequence[str] = (), problem: str = "") -> Response:
        with speaking(ENGLISH):
            return pages.page(
                "admin_invitations.html",
                status=400 if problem else 200,
                labels=told.labels(invitations.batches()),
                links=links,
                problem=problem,
                most={"links": MOST_LINKS, "days": MOST_DAYS, "label": LONGEST_LABEL},
            )

    @routes.get(_INVITATIONS)
    def show(request: Request) -> Response:
        return page() if wall.admits(request) else RedirectResponse(ADMIN, 303)

    @routes.post(_INVITATIONS)
    def make(
        request: Request,
        count: Annotated[str, Form(max_length=10)] = "",
        days: Annotated[str, Form(max_length=10)] = "",
        label: Annotated[str, Form(max_length=500)] = "",
    ) -> Response:
        """The page with the new links, which nobody can show again."""
        if not wall.admits(request):
            return RedirectResponse(ADMIN, 303)
        links, last, name = _whole(count, MOST_LINKS), _whole(days, MOST_DAYS), label.strip()
        if not links or not last or len(name) > LONGEST_LABEL or not name.isprintable():
            return page(problem=_NO_LINKS)
        made = invitations.make(links, label=name, expires=expiry(services.now(), last))
        address = here(request, https=services.settings.https)
        return page([f"{address}/#{text}" for text in made])

    @routes.post(f"{_INVITATIONS}/revoke")
    def revoke(request: Request, label: Annotated[str, Form(max_length=500)] = "") -> Response:
        """End all invitations with a label."""
        if not wall.admits(request):
            return RedirectResponse(ADMIN, 303)
        invitations.revoke_label(label)
        return RedirectResponse(_INVITATIONS, 303)


def _whole(text: str, most: int) -> int:
    """A number from 1 to `most`; 0 if the text is none."""
    number = int(text) if text.isascii() and text.isdigit() else 0
    return number if number <= most else 0


def _door(wall: Wall, problem: str = "") -> Response:
    """The page of who is outside."""
    with speaking(ENGLISH):
        return pages.page(
            "admin_door.html",
            status=403 if problem else 200,
            by_token=wall.has_token,
            by_sign_in=wall.sign_in is not None,
            problem=problem,
        )
