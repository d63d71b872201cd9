"""Routes for signing in at a company's issuer, where that decides who may start."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import RedirectResponse

from settings import Settings
from web.http.cookies import SIGN_IN, hand_pass, keep_state, state_of
from web.http.dependencies import Parts
from web.http.limits import RateLimiter, address_of
from web.http.prefix import here
from web.units import TEN_MINUTES_S


def router(settings: Settings) -> APIRouter:
    routes = APIRouter()
    begun = RateLimiter(settings.starts_per_address, TEN_MINUTES_S)

    @routes.get(SIGN_IN)
    def sign_in(request: Request, services: Parts) -> Response:
        """To the issuer."""
        begun.count(address_of(request))
        back = f"{here(request, https=services.settings.https)}{SIGN_IN}/back"
        url, state = services.entrance.sign_in(back)
        response = RedirectResponse(url, 303)
        keep_state(response, services.settings, state)
        return response

    @routes.get(f"{SIGN_IN}/back")
    def back(
        request: Request,
        services: Parts,
        state: Annotated[str, Query(max_length=200)] = "",
        code: Annotated[str, Query(max_length=4000)] = "",
    ) -> Response:
        """From the issuer, with a code: a pass, and on to the first page."""
        kept = state_of(request, services.settings)
        given = services.entrance.signed_in(state, kept, code)
        response = RedirectResponse("/", 303)
        hand_pass(response, services.settings, given)
        return response

    return routes
