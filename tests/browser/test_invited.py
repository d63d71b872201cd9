"""An admin makes an invitation, on a phone; in a browser that follows it its secret goes into no
address that the server sees."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urldefrag

import pytest
from playwright.sync_api import Browser, expect

from tests.attacks.test_admin import TOKEN, written
from tests.support.browser import PHONE, Watch, visit
from tests.support.web import served

pytestmark = pytest.mark.browser


@pytest.mark.fact(56, 68)
def test_an_invitation_opens_the_studio_once(
    chromium: Browser, tmp_path: Path, watch: Watch
) -> None:
    options = {"entrance": "invited", "contact": "Ann", "admin": str(written(tmp_path))}
    with served(tmp_path / "scratch", **options) as place:
        with visit(chromium, place.url, watch, viewport=PHONE, java_script_enabled=False) as page:
            page.goto("/admin")
            page.get_by_label("Token").fill(TOKEN)
            page.get_by_role("button", name="Come in").click()
            expect(page.get_by_role("heading", name="Sessions and erasure")).to_be_visible()
            assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
            page.get_by_role("link", name="Invitations").click()
            page.get_by_label("How many").fill("1")
            page.get_by_label("Label").fill("spring")
            page.get_by_role("button", name="Make links").click()
            address, secret = urldefrag(page.get_by_label("Copy them now").input_value())
            assert address == f"{place.url}/"
            assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
        for told in ("", "has been used already"):
            with visit(chromium, place.url, watch) as page:
                page.goto("/")
                expect(page.get_by_text("If you have none, ask Ann.")).to_be_visible()
                page.goto(f"/#{secret}")
                expect(page.get_by_text("If you have none, ask Ann.")).to_be_hidden()
                assert page.url == f"{place.url}/"
                page.get_by_role("checkbox").check()
                page.get_by_role("button", name="look around").click()
                if told:
                    expect(page.get_by_text(told)).to_be_visible()
                else:
                    page.wait_for_url(f"{place.url}/studio/")
    asked = [urldefrag(url).url for url in watch.requests]
    assert f"{place.url}/session" in asked
    assert not any(secret in url for url in asked)
