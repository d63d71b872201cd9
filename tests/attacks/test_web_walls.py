"""Walls that must stand for routes and inputs that do not exist yet.

What is listed here is what was judged. A new route, or an input of a new kind, fails until it has
been judged as well. And: an address leaves no trace.
"""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from fastapi.routing import APIRoute
from starlette.routing import Mount

from tests.attacks.test_web import NOTHING, file_data, mounted_gradio
from tests.support.gradio_client import gradio_config
from tests.support.own_process import in_own_process
from tests.support.web import Place
from web.http.dependencies import session_of
from web.routes.guests import Colleague, guest_of

# --- every route ------------------------------------------------------------------------------

PUBLIC = {
    ("GET", "/"): "welcome and consent",
    ("POST", "/session"): "makes a session, opens none",
    ("GET", "/return"): "the page behind a private link; the ticket stays in the browser",
    ("POST", "/session/return"): "opens a session by the ticket in its body",
    ("POST", "/session/leave"): "takes the cookie away; the session goes on",
    ("GET", "/studio-parts"): "templates without data",
    ("GET", "/favicon.ico"): "a redirect",
    ("GET", "/health"): "`ok`",
    ("GET", "/goodbye"): "shows the receipt whose r a cookie of its own holds; no session",
    ("GET", "/sign-in"): "to the issuer, where one is asked",
    ("GET", "/sign-in/back"): "from there; gives what starts a session, and opens none",
    ("GET", "/shared"): "the page behind a share's link; its ticket stays behind the `#`",
    ("POST", "/shared/open"): "opens a share by the ticket in its body",
    ("GET", "/brand/logo.png"): "the company's logo, the same for all",
    ("GET", "/brand/colours.css"): "its colours",
    ("GET", "/privacy"): "what the settings mean",
    ("GET", "/receipt"): "a form",
    ("POST", "/receipt"): "shows a receipt to whoever holds its r; no session is looked up",
    ("POST", "/receipt/likeness-receipt.json"): "the same as a file",
    ("GET", "/receipts/log"): "the public log",
    ("GET", "/receipts/checkpoint"): "its signed head",
    ("GET", "/receipts/key"): "the key to check it with",
    ("GET", "/check"): "a form",
    ("POST", "/check"): "tells what the picture in the form says of itself; keeps nothing",
}
MOUNTED = {"/static", "/studio/assets", "/studio"}  # all below the last is the firewall's: test_web


def our_routes(place: Place) -> Iterator[tuple[str, APIRoute]]:
    """Method and route of everything that is ours."""
    waiting = list(place.app.routes)
    while waiting:
        route = waiting.pop()
        included = getattr(route, "original_router", None)
        if included is not None:
            waiting += included.routes
        elif isinstance(route, APIRoute):
            yield from ((method, route) for method in sorted(route.methods or ()))
        else:
            assert isinstance(route, Mount), f"{route} is of a kind that nobody has judged"
            assert route.path in MOUNTED, f"{route.path} is mounted, but nobody has judged it"


def concrete(path: str) -> str:
    """An address that fits the pattern of a route."""
    for pattern, value in (
        ("{photo_id}", "photo-01"),
        ("{portrait_id}", "portrait-001"),
        ("{path:path}", "x"),
        ("{hand_in_id}", "0" * 32),
        ("{key}", "corporate"),
    ):
        path = path.replace(pattern, value)
    assert "{" not in path, f"{path}: say here what stands for the braces"
    return path


def asks_whose_it_is(route: APIRoute) -> bool:
    """Whether the one ownership check, `session_of`, is among what it depends on.

    Below /shared/ it is the one for colleagues, who hold a share's ticket and no session's.
    """
    check = guest_of if route.path.startswith("/shared/") else session_of
    waiting = list(route.dependant.dependencies)
    while waiting:
        dependency = waiting.pop()
        if dependency.call is check:
            return True
        waiting += dependency.dependencies
    return False


@pytest.mark.fact(21)
def test_every_route_is_public_by_name_or_goes_through_the_one_ownership_check(
    place: Place, stranger: httpx.Client
) -> None:
    found = set()
    for method, route in our_routes(place):
        found.add((method, route.path))
        if (method, route.path) in PUBLIC:
            continue
        assert asks_whose_it_is(route), f"{method} {route.path} does not take a `Visitor`"
        for cookie in (None, "", "x", "A" * 22 + "." + "A" * 43):
            stranger.cookies.clear()
            if cookie is not None:
                stranger.cookies.set("likeness", cookie)
                stranger.cookies.set("likeness-share", cookie)
            answer = stranger.request(method, concrete(route.path))
            assert (answer.status_code, answer.json()) == (404, NOTHING), (method, route.path)
    assert len(found) > 20
    assert set(PUBLIC) <= found, "PUBLIC names a route that is no more"


@pytest.mark.fact(21)
def test_the_wall_would_notice_a_new_route(place: Place) -> None:
    """The test of the test."""

    def careless() -> str:
        return "somebody's photo"

    def confused(guest: Colleague) -> str:
        return "a visitor's photo"

    assert not asks_whose_it_is(APIRoute("/new", careless))
    assert not asks_whose_it_is(APIRoute("/new", confused))
    assert asks_whose_it_is(APIRoute("/shared/new", confused))


STUDIO = ("/studio", "/studio/", "/studio/theme.css", "/studio/gradio_api/info", "/studio/x")
ELSEWHERE = ("/nothing", "/static/studio.js", "/static/nothing", "/studio/assets/nothing.js")


@pytest.mark.slow
def test_every_answer_of_every_route_carries_the_security_headers(
    place: Place, ann: httpx.Client, stranger: httpx.Client
) -> None:
    asked = [(method, concrete(route.path)) for method, route in our_routes(place)]
    asked += [("GET", address) for address in (*STUDIO, *ELSEWHERE)]
    # The last, for `ann`: what ends her session.
    asked.sort(key=lambda ask: "delete" in ask[1])
    for client in (stranger, ann):
        for method, address in asked:
            for origin in (place.url, "null") if method != "GET" else (place.url,):
                answer = client.request(method, address, headers={"origin": origin})
                assert origin != "null" or answer.status_code == 403, address
                _require_security_headers(answer, f"{method} {address}")


def _require_security_headers(answer: httpx.Response, where: str) -> None:
    headers = answer.headers
    policy = headers["content-security-policy"]
    assert "unsafe-eval" not in policy, where
    assert "default-src 'none'" in policy, where
    assert policy.endswith("frame-ancestors 'none'"), where
    assert headers["x-content-type-options"] == "nosniff", where
    assert headers["referrer-policy"] == "no-referrer", where
    nobodys = answer.url.path.startswith(("/static/", "/studio/assets/"))  # the same for all
    kept = nobodys and answer.status_code < 400
    assert kept or headers["cache-control"] == "no-store", where
    assert not [name for name in headers if name.startswith("access-control-")], where
    assert "server" not in headers, where


# --- every input ------------------------------------------------------------------------------

LAYOUT = {"column", "form", "accordion", "button", "row", "group"}
# Kinds of inputs, and all the forms of value in which one could name a file.
SHAPES = {
    "file": (lambda file: [file], lambda file: file),
    "image": (lambda file: file,),
    "markdown": (lambda file: file["path"],),  # no input of any event; it repeats a text
    "checkbox": (lambda file: file, lambda file: file["path"]),
    "checkboxgroup": (lambda file: [file], lambda file: [file["path"]]),
    "radio": (lambda file: file, lambda file: file["path"]),
}


def test_every_kind_of_component_on_the_page_has_been_judged(ann: httpx.Client) -> None:
    kinds = {component["type"] for component in gradio_config(ann)["components"]}
    assert kinds - LAYOUT == set(SHAPES), "judge what is new here: how could it name a file?"


def preprocessed(place: Place, kind: str, path: str, url: str | None) -> list[object]:
    """What the page's inputs of a kind make of a file that was never uploaded, past the firewall.

    An exception stands for what refused it. Left out is a text that came through as the text that
    it is: nothing reads a file whose name it only repeats.
    """
    from gradio.context import LocalContext

    blocks: Any = mounted_gradio(place).get_blocks()
    inputs = [block for block in blocks.blocks.values() if block.get_block_name() == kind]
    assert inputs

    async def attempt(component: object, value: object) -> object:
        LocalContext.blocks.set(blocks)
        event = SimpleNamespace(
            inputs=[component], component_prop_inputs=[], preprocess=True, name="attack"
        )
        try:
            (taken,) = await blocks.preprocess_data(event, [value], None)
            return None if isinstance(value, str) and taken == value else taken
        except Exception as refusal:
            return refusal

    results = [
        asyncio.run(attempt(component, shape(file_data(path, url))))
        for component in inputs
        for shape in SHAPES[kind]
    ]
    return [result for result in results if result is not None]


@pytest.mark.fact(22)
@pytest.mark.parametrize("kind", sorted(SHAPES))
def test_no_input_reads_a_file_that_was_not_uploaded(
    place: Place, kind: str, tmp_path: Path
) -> None:
    victim = tmp_path / "secret.png"
    victim.write_bytes(b"CANARY")
    for result in preprocessed(place, kind, str(victim), None):
        assert isinstance(result, Exception), f"{kind} took {result!r}"


@pytest.mark.fact(22)
@pytest.mark.parametrize("kind", sorted(SHAPES))
@pytest.mark.parametrize("form", ["path", "url", "data"])
def test_no_input_fetches_anything(place: Place, kind: str, form: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.setblocking(False)
        url = f"http://127.0.0.1:{listening.getsockname()[1]}/x.png"
        path = {"path": url, "url": "/x.png", "data": "data:image/png;base64,AAAA"}[form]
        for result in preprocessed(place, kind, path, url if form == "url" else None):
            assert isinstance(result, Exception), f"{kind} took {result!r}"
        with pytest.raises(BlockingIOError):  # nobody has called
            listening.accept()


@pytest.mark.fact(22)
@pytest.mark.parametrize("kind", ["file", "image"])
def test_two_walls_stand_between_a_request_and_a_file(
    place: Place, kind: str, tmp_path: Path
) -> None:
    """`has_launched` of the page, and behind it a folder of Gradio's that nobody can make."""
    victim = tmp_path / "secret.png"
    victim.write_bytes(b"CANARY")
    first = preprocessed(place, kind, str(victim), None)
    assert {type(wall).__name__ for wall in first} == {"InvalidPathError"}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mounted_gradio(place).get_blocks(), "has_launched", False)
        second = preprocessed(place, kind, str(victim), None)
    assert {type(wall).__name__ for wall in second} == {"NotADirectoryError"}


# --- addresses --------------------------------------------------------------------------------

ADDRESS, FORWARDED = "127.45.67.89", "203.0.113.77"
CANARIES = (ADDRESS, FORWARDED, "CANARY-AGENT", "canary-referrer")

VISITS = """
import sys
from pathlib import Path
import httpx
from privacy.log import configure
from tests.support.web import served, upload
configure("debug")
address, forwarded, agent, referrer, scratch, photo = sys.argv[1:]
said = {
    "x-forwarded-for": forwarded, "x-real-ip": forwarded, "forwarded": f"for={forwarded}",
    "user-agent": agent, "referer": f"https://{referrer}.example/",
}
def client(place, source):
    way = httpx.HTTPTransport(local_address=source)
    headers = said | {"origin": place.url}
    return httpx.Client(transport=way, base_url=place.url, headers=headers, timeout=30)
with served(Path(scratch), starts_per_address=3) as place:
    with client(place, address) as visitor:
        statuses = []
        for _ in range(5):
            visitor.cookies.clear()
            statuses.append(visitor.post("/session", data={"consent": "yes"}).status_code)
        with client(place, "127.0.0.1") as other:
            statuses.append(other.post("/session", data={"consent": "yes"}).status_code)
            ticket = other.cookies["likeness"]
        visitor.cookies.clear()
        visitor.cookies.set("likeness", ticket)
        statuses.append(upload(visitor, Path(photo).read_bytes()).status_code)
        statuses.append(visitor.get("/nothing").status_code)
        place.services.album.overview = None  # an error that nobody expects
        statuses.append(visitor.get("/status").status_code)
print(statuses)
"""


@pytest.mark.slow
@pytest.mark.fact(7)
@pytest.mark.fact(29)
@pytest.mark.skipif(sys.platform != "linux", reason="needs more than one loopback address")
def test_limits_per_address_hold_and_no_address_is_kept(
    tmp_path: Path, selfie_jpegs: list[bytes]
) -> None:
    photo, scratch = tmp_path / "photo.jpg", tmp_path / "scratch"
    photo.write_bytes(selfie_jpegs[0])
    ran = in_own_process(VISITS, *CANARIES, scratch, photo)
    statuses = ran.stdout.splitlines()[-1]
    assert statuses == str([303, 303, 303, 429, 429, 303, 200, 404, 500]), ran.stderr
    assert "event='unexpected'" in ran.stderr  # there was a log, and something to say
    files = [file for file in scratch.rglob("*") if file.is_file()]
    assert len(files) >= 3
    kept = b"".join(file.read_bytes() for file in files) + ran.stderr.encode()
    for canary in CANARIES:
        assert canary.encode() not in kept, canary
