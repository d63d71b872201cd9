"""What watches a real Chromium, and how a visitor walks in it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import (
    Browser,
    BrowserContext,
    Frame,
    Locator,
    Page,
    Request,
    Response,
    expect,
)

from privacy.sessions import Session
from tests.support.web import Place

DESKTOP = {"width": 1280, "height": 900}
PHONE = {"width": 390, "height": 844}
CHROMIUM = shutil.which("chromium") or "/usr/bin/chromium"
# The same engine without windows and menus, which cost a sixth of the processor.
SHELL = shutil.which("chromium-headless-shell") or CHROMIUM
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    # What a Chromium does on its own account.
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
DEVICES: dict[str, dict[str, Any]] = {
    "desktop": {"viewport": DESKTOP},
    "phone": {"viewport": PHONE, "has_touch": True, "is_mobile": True},
}
# Told on the console, where `Watch` hears it. No policy stops what the debugger puts into a page.
TELL_VIOLATIONS = """document.addEventListener("securitypolicyviolation", (event) =>
  console.error(`policy: ${event.effectiveDirective} refused ${event.blockedURI}`));"""
GIVEN_UP = "net::ERR_ABORTED"  # by the page itself; what a server breaks off has other names
POLLED, DELETE = "/status", "/session/delete"
CUT_STREAMS = (
    "AbortError: BodyStreamBuffer was aborted",
    "Unexpected error Connection errored out.",
)
"""What Gradio says when a page is left while it still hears how an upload went."""
STAYS = """async (selector) => {
  const before = document.querySelectorAll(selector);
  await new Promise((done) => setTimeout(done, 300));
  const after = document.querySelectorAll(selector);
  return before.length === 1 && after.length === 1 && before[0] === after[0];
}"""


@dataclass
class Watch:
    """What a browser did: requests to other hosts, violations of the policy, script errors.

    failures: loads that were answered with an error, or broke off. cut_off: those that were only
    refused because the test ended the session while they were under way; loads that a page itself
    gives up (it is left, it is closed, a download begins) are in neither.
    """

    requests: list[str] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    cut_off: list[str] = field(default_factory=list)
    _loads: dict[Page, _Loads] = field(default_factory=dict)

    def on(self, page: Page) -> None:
        self._loads[page] = loads = _Loads(page)
        page.add_init_script(TELL_VIOLATIONS)
        page.on("request", lambda request: self._request(request.url))
        page.on("websocket", lambda socket: self._request(socket.url))
        page.on("console", lambda message: self._console(message.type, message.text, loads))
        page.on("pageerror", lambda error: self._complain(str(error), loads))
        page.on("response", lambda answer: self._response(answer, loads))
        page.on("requestfailed", self._failed)

    def session_ends(self, page: Page) -> None:
        """Say that the session of this page is about to end, behind its back.

        What the page loads until it hears of that may be refused. Pressing "Delete everything"
        needs no word: the request is seen.
        """
        page.evaluate("() => null")  # what was answered before has been heard now
        self._loads[page].session_ends()

    def clean(self) -> None:
        """Nothing left this machine, nothing was refused, nothing broke."""
        assert self.foreign == [], self.foreign
        assert self.complaints == [], self.complaints
        assert self.failures == [], self.failures

    def _request(self, url: str) -> None:
        self.requests.append(url)
        parts = urlsplit(url)
        if parts.scheme not in ("data", "blob") and parts.hostname != "127.0.0.1":
            self.foreign.append(url)

    def _console(self, kind: str, text: str, loads: _Loads) -> None:
        # Failed loads are told by their response, with address and status.
        if kind == "error" and not text.startswith("Failed to load resource"):
            self._complain(text, loads)

    def _complain(self, text: str, loads: _Loads) -> None:
        if not (loads.over and text.startswith(CUT_STREAMS)):
            self.complaints.append(text)

    def _response(self, answer: Response, loads: _Loads) -> None:
        if answer.status >= 400:
            told = self.cut_off if loads.is_cut_off(answer) else self.failures
            told.append(f"{answer.status} {urlsplit(answer.url).path}")
        loads.answered(answer)

    def _failed(self, request: Request) -> None:
        # What the policy refuses is told on the console.
        if request.failure not in (GIVEN_UP, "csp"):
            self.failures.append(f"{request.failure} {urlsplit(request.url).path}")


class _Loads:
    """The loads of one page, and which of them the end of its session cuts off.

    Those are the ones under way at that moment, and those that begin before the page hears of it:
    by an answer to what it polls, or by going to another page.
    """

    def __init__(self, page: Page) -> None:
        self._page = page
        self._under_way: set[Request] = set()
        self._may_be_refused: set[Request] = set()
        self._ending = False
        self.over = False  # a session of this page has ended
        page.on("request", self._began)
        page.on("requestfinished", self._ended)
        page.on("requestfailed", self._ended)
        page.on("framenavigated", self._went_on)

    def session_ends(self) -> None:
        self._ending = self.over = True
        self._may_be_refused |= self._under_way

    def is_cut_off(self, answer: Response) -> bool:
        """Whether this is the refusal that everything of an ended session gets."""
        if answer.status != 404 or answer.request not in self._may_be_refused:
            return False
        of_nobody = urlsplit(answer.url).path.startswith("/static/")
        return not of_nobody and not answer.request.is_navigation_request()

    def answered(self, answer: Response) -> None:
        path = urlsplit(answer.url).path
        refused_poll = path == POLLED and answer.status == 404
        still_there = path == DELETE and answer.status >= 400
        if refused_poll or still_there:
            self._ending = False
        if still_there:
            self._may_be_refused.clear()

    def _began(self, request: Request) -> None:
        if request.method == "POST" and urlsplit(request.url).path == DELETE:
            self.session_ends()
        self._under_way.add(request)
        if self._ending:
            self._may_be_refused.add(request)

    def _ended(self, request: Request) -> None:
        self._under_way.discard(request)
        self._may_be_refused.discard(request)

    def _went_on(self, frame: Frame) -> None:
        if frame == self._page.main_frame:
            self._ending = False


@contextmanager
def visit(browser: Browser, url: str, watch: Watch, **options: Any) -> Iterator[Page]:
    """A person with a browser of their own: separate cookies, watched."""
    context: BrowserContext = browser.new_context(
        base_url=url, accept_downloads=True, **{"viewport": DESKTOP, **options}
    )
    try:
        page = context.new_page()
        watch.on(page)
        yield page
    finally:
        context.close()


@contextmanager
def with_preferences(
    browser: Browser, folder: Path, profile: dict[str, Any], *flags: str
) -> Iterator[BrowserContext]:
    """A person whose browser has settings of its own, `profile.*` of Chromium's preferences."""
    (folder / "Default").mkdir()
    (folder / "Default" / "Preferences").write_text(json.dumps({"profile": profile}))
    context = browser.browser_type.launch_persistent_context(
        folder,
        executable_path=CHROMIUM,
        args=[*FLAGS, *flags],
        ignore_https_errors=True,
    )
    try:
        yield context
    finally:
        context.close()


def come_in(page: Page) -> None:
    """By the first page, as a visitor does."""
    page.goto("/")
    page.get_by_role("checkbox", name="The photos I add").check()
    page.get_by_role("button", name="Look around first").click()
    expect(page.locator(".countdown")).to_contain_text("Erased in")


def enter(page: Page) -> None:
    """Into the studio at once, with a session that the browser has without seeing the door."""
    asked = page.request
    origin = asked.get("/health").url.removesuffix("/health")
    agreed = {"form": {"consent": "yes"}, "headers": {"origin": origin}, "max_redirects": 0}
    assert asked.post("/session", **agreed).status == 303  # type: ignore[arg-type]
    page.goto("/studio/")
    expect(page.locator(".countdown")).to_contain_text("Erased in")


def add_photos(page: Page, photos: list[bytes], *, name: str = "me") -> None:
    files = [
        {"name": f"{name}-{number}.jpg", "mimeType": "image/jpeg", "buffer": photo}
        for number, photo in enumerate(photos, start=1)
    ]
    settled(page)
    page.locator("#files input[type=file]").set_input_files(files)  # type: ignore[arg-type]


def kept(page: Page, count: int) -> None:
    """Until so many photos are cut out and kept, and no longer wait in memory."""
    expect(page.locator(".photo.accepted img[src*='/photo/photo-']")).to_have_count(count)


def settled(page: Page) -> Locator:
    """The button of the file field, once Gradio, whose scripts come one by one, is done with it."""
    page.wait_for_load_state()
    page.wait_for_function(STAYS, arg="#files button")
    return page.locator("#files button")


def open_looks(page: Page) -> None:
    page.get_by_role("button", name="Choose looks").click()


def stage(page: Page, name: str) -> Locator:
    return page.locator(f"body[data-stage={name}]")


def order_portraits(page: Page) -> None:
    """Painted ones, which take a while."""
    page.get_by_label("Painted by a model of your face").check()
    page.get_by_role("checkbox", name="I agree").check()
    page.get_by_role("button", name="Create my portraits").click()
    expect(stage(page, "working")).to_have_count(1)


def finished(page: Page) -> Locator:
    expect(stage(page, "done")).to_have_count(1)
    return page.locator("button.portrait")


def session_of(page: Page, place: Place) -> Session:
    (ticket,) = [c["value"] for c in page.context.cookies() if c["name"] == "likeness"]
    return place.services.sessions.open(ticket)


def tile(page: Page, number: int) -> Locator:
    return page.locator(f".tile[data-id=portrait-{number:03d}]")


def heart(page: Page, number: int) -> Locator:
    return tile(page, number).get_by_role("button", name="Favourite")
