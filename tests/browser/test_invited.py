"""A browser with an invitation: its secret goes into no address that the server sees."""

from __future__ import annotations

import time
from pathlib import Path
from urllib.parse import urldefrag

import pytest
from playwright.sync_api import Browser, expect

from privacy.invitations import expiry
from tests.support.browser import Watch, visit
from tests.support.web import served

pytestmark = pytest.mark.browser


@pytest.mark.fact(56)
def test_an_invitation_opens_the_studio_once(
    chromium: Browser, tmp_path: Path, watch: Watch
) -> None:
    with served(tmp_path / "scratch", entrance="invited", contact="Ann") as place:
        invitations = place.services.entrance.invitations
        assert invitations is not None
        (secret,) = invitations.make(1, label="", expires=expiry(time.time(), 1))
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
