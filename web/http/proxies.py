"""The proxies before this server (`LIKENESS_TRUSTED_PROXIES`), and what they say of a visitor.

Whatever anybody else says of a visitor, the visitor included, is not believed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import structlog
from starlette.requests import Request
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from errors import NotAdmitted

_FROM_PROXY = "likeness.from_proxy"

log = structlog.get_logger()


class Proxies:
    """ASGI middleware around everything: notes who is at the other end, before uvicorn puts the
    address from `X-Forwarded-For` in its place."""

    def __init__(self, app: Any, trusted: Sequence[str]) -> None:
        """
        Args:
            trusted: addresses and networks.
        """
        self._forwarded = ProxyHeadersMiddleware(app, list(trusted))

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        host, _ = scope.get("client") or ("", 0)
        scope[_FROM_PROXY] = host in self._forwarded.trusted_hosts
        await self._forwarded(scope, receive, send)


def identity_of(request: Request, header: str, contact: str) -> str:
    """Whom a trusted proxy says a visitor to be; upper and lower case are the same.

    Args:
        contact: whom the visitor asks if the proxy is set up wrongly.

    Raises:
        NotAdmitted: the request came past the proxies, or names nobody, or several.
    """
    named = [value.strip() for value in request.headers.getlist(header)]
    from_proxy = cast(bool, request.scope.get(_FROM_PROXY, False))
    if not from_proxy or len(named) != 1 or not named[0]:
        log.warning("portal_names_nobody", from_trusted_proxy=from_proxy, headers=len(named))
        raise NotAdmitted("entrance.portal", contact=contact)
    return named[0].casefold()
