"""The page in a portal's frame, on another origin, in browsers that block third-party data."""

from __future__ import annotations

import hmac
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import Response
from playwright.sync_api import Browser, BrowserContext, FilePayload, FrameLocator, expect

from privacy.keys import Ticket
from settings import Settings
from tests.support.browser import with_preferences
from tests.support.hand_in import PORTAL_SECRET
from tests.support.portal import RESOLVE, Portal, portal
from web.http.cookies import admit
from web.routes import welcome

pytestmark = pytest.mark.browser

# Not even for the tab, as most settings have it in a foreign frame; and no tab hears another.
NOTHING_IS_STORED = """for (const name of ["sessionStorage", "localStorage"]) {
  const refuse = () => { throw new DOMException("Access is denied", "SecurityError"); };
  Object.defineProperty(window, name, { get: refuse });
}
window.BroadcastChannel = class {
  constructor() { throw new DOMException("The operation is insecure.", "SecurityError"); }
};"""
BLOCKED = {"cookie_controls_mode": 1, "block_third_party_cookies": True}


@pytest.fixture(scope="module")
def framing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Portal]:
    with portal(tmp_path_factory.mktemp("portal")) as opened:
        yield opened


def in_the_frame(context: BrowserContext, framing: Portal) -> FrameLocator:
    """Our first page as the portal shows it."""
    page = context.new_page()
    page.goto(framing.url)
    return page.frame_locator("iframe")


@pytest.mark.parametrize(
    ("profile", "flags"),
    [({}, ()), (BLOCKED, ()), ({}, ("--test-third-party-cookie-phaseout",))],
    ids=["as it comes", "blocked by its settings", "phased out"],
)
def test_the_studio_opens_in_the_frame(
    chromium: Browser,
    framing: Portal,
    tmp_path: Path,
    selfie_jpegs: list[bytes],
    profile: dict[str, Any],
    flags: tuple[str, ...],
) -> None:
    with with_preferences(chromium, tmp_path, profile, RESOLVE, *flags) as context:
        context.add_init_script(NOTHING_IS_STORED)
        frame = in_the_frame(context, framing)
        frame.get_by_role("checkbox", name="The photos I add").check()
        frame.locator("#photos").set_input_files(
            FilePayload(name="me.jpg", mimeType="image/jpeg", buffer=selfie_jpegs[0])
        )
        expect(frame.locator(".countdown")).to_contain_text("Erased in")
        expect(frame.locator(".photo.accepted")).to_contain_text("me.jpg")
        expect(frame.get_by_role("button", name="Create my portraits")).to_be_visible()
        (cookie,) = context.cookies()
        assert cookie["name"] == "__Host-likeness"
        assert cookie["partitionKey"] == framing.url.rpartition(":")[0]


@pytest.mark.fact(66)
def test_the_portal_gets_its_visitor_back_out_of_the_frame(
    chromium: Browser, framing: Portal, tmp_path: Path
) -> None:
    with with_preferences(chromium, tmp_path, BLOCKED, RESOLVE) as context:
        page = context.new_page()
        page.goto(f"{framing.url}/?state=a.word")
        frame = page.frame_locator("iframe")
        frame.get_by_role("checkbox", name="The photos I add").check()
        frame.get_by_role("button", name="Look around first").click()
        frame.get_by_role("button", name="Delete everything").click()
        frame.get_by_role("dialog").get_by_role("button", name="Delete everything").click()
        frame.get_by_role("link", name="Back to the portal").click()
        expect(page.get_by_text("You are back.")).to_be_visible()
        place, _, query = page.url.partition("?")
        assert place == f"{framing.url}/back"
        said, _, signature = query.rpartition("&signature=")
        assert said.startswith("state=a.word&outcome=deleted&time=")
        assert signature == hmac.digest(PORTAL_SECRET.encode(), said.encode(), "sha256").hex()


def test_without_partitioned_cookies_there_is_a_way_out_of_the_frame(
    chromium: Browser, framing: Portal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in browsers that know no partitions and block what third parties set."""

    def admit_unpartitioned(response: Response, settings: Settings, ticket: Ticket) -> None:
        admit(response, settings, ticket)
        plain = response.headers["set-cookie"].replace("; Partitioned", "")
        assert plain != response.headers["set-cookie"]
        response.headers["set-cookie"] = plain

    monkeypatch.setattr(welcome, "admit", admit_unpartitioned)
    with with_preferences(chromium, tmp_path, BLOCKED, RESOLVE) as context:
        frame = in_the_frame(context, framing)
        frame.get_by_role("checkbox", name="The photos I add").check()
        frame.get_by_role("button", name="Look around first").click()
        expect(frame.get_by_role("status").first).to_contain_text("In a tab of its own it works")
        expect(frame.get_by_text("allow them for this page")).to_be_hidden()
        with context.expect_page() as opened:
            frame.get_by_role("link", name="Open in a tab of its own").click()
        page = opened.value
        page.get_by_role("checkbox", name="The photos I add").check()
        page.get_by_role("button", name="Look around first").click()
        expect(page.locator(".countdown")).to_contain_text("Erased in")
        assert page.url == f"{framing.framed}/studio/"


def test_a_demonstration_begins_with_sample_photos_in_the_frame(
    chromium: Browser, tmp_path: Path
) -> None:
    with (
        portal(tmp_path / "portal", demo=True) as framing,
        with_preferences(chromium, tmp_path, BLOCKED, RESOLVE) as context,
    ):
        frame = in_the_frame(context, framing)
        frame.get_by_role("checkbox", name="The photos I add").check()
        frame.get_by_role("button", name="Try it with sample photos").click()
        expect(frame.locator(".photo.accepted").first).to_be_visible()
        expect(frame.get_by_text("demonstration for everybody")).to_be_visible()
