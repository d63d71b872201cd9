"""A path below which a portal's proxy serves us, `LIKENESS_ROOT_PATH`.

Our layers and routes speak of addresses from `/`. What comes in loses the path, unless the proxy
took it away already; what goes out gets it: redirects and the paths of cookies here, links of pages
by `root`, those of scripts by `static/address.js`. Only the routers, and so Gradio, see it as ASGI
has it: a `path` that begins with `root_path`. Nothing happens where the setting is empty.
"""

from __future__ import annotations

from contextvars import ContextVar

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_root: ContextVar[str] = ContextVar("root", default="")


def root() -> str:
    """The path below which the request that is answered came: `/likeness`, or nothing."""
    return _root.get()


def here(request: Request, *, https: bool) -> str:
    """The address of this server as the browser that asks knows it. https: its side is HTTPS."""
    scheme = "https" if https else "http"
    return f"{scheme}://{request.headers.get('host', '')}{root()}"


class Mounted:
    """ASGI middleware directly before the routers: the path is told again, as ASGI wants it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if root() and scope["type"] == "http":
            path = root() + scope["path"]
            scope = {**scope, "root_path": root(), "path": path, "raw_path": path.encode()}
        await self._app(scope, receive, send)


class Prefix:
    """ASGI middleware around everything else."""

    def __init__(self, app: ASGIApp, root_path: str) -> None:
        self._app = app
        self._root = root_path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not self._root or scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path = scope["path"]
        if path == self._root:
            await RedirectResponse(f"{self._root}/", 308)(scope, receive, send)
            return
        if path.startswith(f"{self._root}/"):
            path = path[len(self._root) :]
            scope = {**scope, "path": path, "raw_path": path.encode()}
        before = _root.set(self._root)
        try:
            await self._app(scope, receive, self._below(send))
        finally:
            _root.reset(before)

    def _below(self, send: Send) -> Send:
        """A `send` that puts our path before those of redirects and cookies."""

        async def below(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                place = headers.get("location", "")
                if place.startswith("/") and not place.startswith("//"):
                    headers["location"] = self._root + place
                cookies = headers.getlist("set-cookie")
                del headers["set-cookie"]
                for cookie in cookies:
                    headers.append(
                        "set-cookie", cookie.replace("; Path=/", f"; Path={self._root}/")
                    )
            await send(message)

        return below
