"""Where the ticket may travel, by settings."""

from __future__ import annotations

from starlette.responses import Response

import settings as configuration
from privacy.keys import Ticket
from web.http.dependencies import admit, cookie_name, dismiss


def cookie(**settings: object) -> str:
    response = Response()
    admit(response, configuration.load(**settings), Ticket.random())
    return response.headers["set-cookie"]


def test_plain_http() -> None:
    assert cookie().startswith("likeness=")
    assert cookie().endswith("; Path=/; HttpOnly; Max-Age=259200; SameSite=Lax")


def test_https_keeps_the_cookie_from_subdomains() -> None:
    assert cookie(https=True).startswith("__Host-likeness=")
    assert cookie(https=True).endswith("; Secure; SameSite=Lax")


def test_inside_a_portal_the_cookie_is_partitioned() -> None:
    text = cookie(https=True, portals="https://portal.example")
    assert text.endswith("; Secure; SameSite=None; Partitioned")


def test_dismissing_ends_it_at_once() -> None:
    response = Response()
    dismiss(response, configuration.load())
    assert response.headers["set-cookie"].startswith(f"{cookie_name(configuration.load())}=; ")
    assert "Max-Age=0" in response.headers["set-cookie"]
