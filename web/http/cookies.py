"""The cookies: their names, and how each is given, read and taken away.

The visitor's holds the ticket, which this module never looks into; the goodbye page's holds the r
of a receipt; a colleague's two hold a share's ticket and a voter's name. A portal's word, and the
way back to it, stand in two more.
"""

from __future__ import annotations

import re
from urllib.parse import quote, unquote

from fastapi import Request, Response

from errors import UnknownSession
from privacy.keys import Ticket
from settings import Settings
from web.done import STATE
from web.units import HOUR_S

R_TEXT = re.compile("[0-9a-f]{64}")
"""The r of a receipt as text."""

_GOODBYE = "/goodbye"
_GOODBYE_S = 600
_SHARED = "/shared"
_GUEST, _VOTER, _RECEIPT = "likeness-share", "likeness-voter", "likeness-receipt"
_STATE, _PASS = "likeness-sign-in", "likeness-entrance"
_PORTAL, _WAY_BACK = "likeness-portal", "likeness-way-back"
_SIGN_IN_S = 1800

SIGN_IN = "/sign-in"
"""The path of the routes that a sign-in takes."""


def cookie_name(settings: Settings) -> str:
    """`__Host-` makes browsers refuse the cookie from subdomains and without Secure.

    Below a path of our own it must not be sent to others at this host, which `__Host-` would do.
    """
    if settings.root_path:
        return _scoped(settings, "likeness")
    return "__Host-likeness" if settings.https else "likeness"


def admit(response: Response, settings: Settings, ticket: Ticket) -> None:
    """Give the browser its ticket for as long as a session can live at most."""
    _set_cookie(response, settings, cookie_name(settings), ticket.text(), _longest_s(settings))


def dismiss(response: Response, settings: Settings) -> None:
    """Take the ticket away again."""
    _set_cookie(response, settings, cookie_name(settings), "", 0)


def hand_receipt(response: Response, settings: Settings, r: bytes) -> None:
    """Send r along to the goodbye page, which takes it away when it has shown it."""
    _set_cookie(response, settings, _scoped(settings, _RECEIPT), r.hex(), _GOODBYE_S, _GOODBYE)


def take_receipt(response: Response, settings: Settings) -> None:
    """Take r away from the browser: the page has it now."""
    _set_cookie(response, settings, _scoped(settings, _RECEIPT), "", 0, _GOODBYE)


def handed_receipt(request: Request, settings: Settings) -> bytes | None:
    """What `hand_receipt` sent, if it is there."""
    text = request.cookies.get(_scoped(settings, _RECEIPT), "")
    return bytes.fromhex(text) if R_TEXT.fullmatch(text) else None


def admit_guest(response: Response, settings: Settings, ticket: str, voter: str) -> None:
    """Give a colleague's browser a share's ticket and a voter's signed name, for `/shared` only."""
    for name, value in ((_GUEST, ticket), (_VOTER, voter)):
        _set_cookie(
            response, settings, _scoped(settings, name), value, _longest_s(settings), _SHARED
        )


def guest_ticket_of(request: Request, settings: Settings) -> str | None:
    """The text of the share ticket that the browser sent, unchecked."""
    return request.cookies.get(_scoped(settings, _GUEST))


def voter_of(request: Request, settings: Settings) -> str | None:
    """The voter's name that the browser sent, unchecked."""
    return request.cookies.get(_scoped(settings, _VOTER))


def keep_state(response: Response, settings: Settings, state: str) -> None:
    """Have the browser keep the state of the sign-in that it begins."""
    _set_cookie(response, settings, _scoped(settings, _STATE), state, _SIGN_IN_S, SIGN_IN)


def state_of(request: Request, settings: Settings) -> str:
    """What `keep_state` had it keep, unchecked."""
    return request.cookies.get(_scoped(settings, _STATE), "")


def hand_pass(response: Response, settings: Settings, text: str) -> None:
    """Give the browser what lets it start a session; empty: take it away."""
    age_s = _SIGN_IN_S if text else 0
    _set_cookie(response, settings, _scoped(settings, _PASS), text, age_s)
    _set_cookie(response, settings, _scoped(settings, _STATE), "", 0, SIGN_IN)


def pass_of(request: Request, settings: Settings) -> str:
    """What `hand_pass` gave it, unchecked."""
    return request.cookies.get(_scoped(settings, _PASS), "")


def keep_portal_state(response: Response, settings: Settings, state: str) -> None:
    """Have the browser keep the portal's word, to bring it back."""
    _set_cookie(response, settings, _scoped(settings, _PORTAL), state, _longest_s(settings))


def portal_state_of(request: Request, settings: Settings) -> str:
    """The portal's word that the browser kept; empty without one."""
    text = request.cookies.get(_scoped(settings, _PORTAL), "")
    return text if STATE.fullmatch(text) else ""


def hand_way_back(response: Response, settings: Settings, address: str) -> None:
    """Send the signed way back to the portal along to the goodbye page."""
    cookie = quote(address, safe="")
    _set_cookie(response, settings, _scoped(settings, _WAY_BACK), cookie, _GOODBYE_S, _GOODBYE)


def handed_way_back(request: Request, settings: Settings) -> str:
    """What `hand_way_back` sent, unchecked."""
    return unquote(request.cookies.get(_scoped(settings, _WAY_BACK), ""))


def is_ticket(text: str | None) -> bool:
    """Whether a cookie's text has the form of a visitor's ticket, whatever it opens."""
    try:
        Ticket.parse(text)
    except UnknownSession:
        return False
    return True


def _longest_s(settings: Settings) -> int:
    return int((settings.undelivered_hours + settings.retention_hours) * HOUR_S)


def _scoped(settings: Settings, name: str) -> str:
    # `__Host-` would not allow a path of its own.
    return f"__Secure-{name}" if settings.https else name


def _set_cookie(
    response: Response,
    settings: Settings,
    name: str,
    value: str,
    max_age_s: int,
    path: str = "/",
) -> None:
    # Written by hand because http.cookies of Python 3.11 does not know Partitioned, without which
    # browsers drop the cookie inside a portal's frame.
    if settings.https and settings.portals:
        scope = "; Secure; SameSite=None; Partitioned"
    elif settings.https:
        scope = "; Secure; SameSite=Lax"
    else:
        scope = "; SameSite=Lax"
    response.headers.append(
        "set-cookie",
        f"{name}={value}; Path={path}; HttpOnly; Max-Age={max_age_s}{scope}",
    )
