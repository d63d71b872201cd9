"""A real Chromium that reports everything it should not have done.

Without a Chromium these tests are skipped, with the reason; in CI (variable CI set) they fail.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

CHROMIUM = shutil.which("chromium") or "/usr/bin/chromium"
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
]
DESKTOP = {"width": 1280, "height": 900}
PHONE = {"width": 390, "height": 844}
DEVICES: dict[str, dict[str, Any]] = {
    "desktop": {"viewport": DESKTOP},
    "phone": {"viewport": PHONE, "has_touch": True, "is_mobile": True},
}
# Told on the console, where `Watch` hears it. No policy stops what the debugger puts into a page.
TELL_VIOLATIONS = """document.addEventListener("securitypolicyviolation", (event) =>
  console.error(`policy: ${event.effectiveDirective} refused ${event.blockedURI}`));"""


@dataclass
class Watch:
    """What a browser did: requests to other hosts, violations of the policy, script errors."""

    requests: list[str] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    def on(self, page: Page) -> None:
        page.add_init_script(TELL_VIOLATIONS)
        page.on("request", lambda request: self._request(request.url))
        page.on("websocket", lambda socket: self._request(socket.url))
        page.on("console", lambda message: self._console(message.type, message.text))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("response", lambda answer: self._response(answer.status, answer.url))

    def clean(self) -> None:
        """Nothing left this machine, nothing was refused, nothing broke."""
        assert self.foreign == []
        assert self.complaints == []
        assert self.failures == []

    def _request(self, url: str) -> None:
        self.requests.append(url)
        parts = urlsplit(url)
        if parts.scheme not in ("data", "blob") and parts.hostname != "127.0.0.1":
            self.foreign.append(url)

    def _console(self, kind: str, text: str) -> None:
        # Failed loads are told by their response, with address and status.
        if kind == "error" and not text.startswith("Failed to load resource"):
            self.complaints.append(text)

    def _response(self, status: int, url: str) -> None:
        if status >= 400:
            self.failures.append(f"{status} {urlsplit(url).path}")


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """Per module, not per session: while Playwright is open, no test may use asyncio.run."""
    if not os.path.exists(CHROMIUM):
        reason = "needs Chromium: apt install chromium"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    expect.set_options(timeout=30_000)  # two busy cores are slow, not broken
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def watch() -> Watch:
    return Watch()


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
