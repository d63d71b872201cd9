"""The portrait at once in a real Chromium: one photo, a choice by keyboard, a downloaded file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Browser, Locator, Page, expect

from tests.support.browser import PHONE, Watch, add_photos, enter, session_of, stage, visit
from tests.support.web import Place, served

pytestmark = pytest.mark.browser

LOADED = "image => image.complete && image.naturalWidth > 0"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with served(tmp_path_factory.mktemp("scratch"), step_s=0.05, portraits=3) as place:
        yield place


def shown(page: Page, look: str) -> Locator:
    """The picture, once it shows this look."""
    picture = page.get_by_role("img", name=f"Your portrait, {look}")
    expect(picture).to_be_visible()
    assert picture.evaluate(LOADED)
    return picture


def test_one_photo_is_a_portrait_to_download(
    chromium: Browser, place: Place, watch: Watch, selfie_jpegs: list[bytes], tmp_path: Path
) -> None:
    with visit(chromium, place.url, watch) as page:
        enter(page)
        section = page.locator("#instant")
        expect(section).to_be_hidden()
        add_photos(page, [selfie_jpegs[0]])
        before = shown(page, "Corporate").get_attribute("src")
        expect(section.get_by_role("status")).to_have_text("Here you are: Corporate.")
        expect(section.get_by_role("group", name="Photo")).to_be_hidden()  # there is no other

        page.get_by_role("radio", name="Corporate", exact=True).focus()
        page.keyboard.press("ArrowRight")
        expect(page.get_by_role("radio", name="Old Money", exact=True)).to_be_checked()
        after = shown(page, "Old Money").get_attribute("src")
        assert after != before
        section.get_by_label("Light").select_option("right")
        expect(section.get_by_role("status")).to_have_text("Here you are: Old Money.")

        with page.expect_download() as download:
            section.get_by_role("link", name="Download portrait").click()
        file = tmp_path / "portrait.png"
        download.value.save_as(file)
        with Image.open(file) as image:
            assert image.format == "PNG"
            assert "digitalsourcetype/composite" in str(image.info)
        watch.clean()


def test_only_the_latest_choice_is_shown(
    chromium: Browser, place: Place, watch: Watch, selfie_jpegs: list[bytes]
) -> None:
    with visit(chromium, place.url, watch) as page:
        enter(page)
        add_photos(page, [selfie_jpegs[0]])
        shown(page, "Corporate")
        page.get_by_role("radio", name="Corporate", exact=True).focus()
        asked = len([url for url in watch.requests if "/studio-portrait" in url])
        for _ in range(9):
            page.keyboard.press("ArrowRight")
        shown(page, "Old Money")
        page.wait_for_timeout(500)
        shown(page, "Old Money")
        assert len([url for url in watch.requests if "/studio-portrait" in url]) - asked <= 3
        watch.clean()


def test_another_photo_can_be_chosen_and_the_section_goes_with_the_last(
    chromium: Browser, place: Place, watch: Watch, selfie_jpegs: list[bytes]
) -> None:
    phone = {"viewport": {"width": 320, "height": 700}, "has_touch": True, "is_mobile": True}
    with visit(chromium, place.url, watch, **phone) as page:
        enter(page)
        add_photos(page, [selfie_jpegs[0], selfie_jpegs[3]])
        first = shown(page, "Corporate").get_attribute("src") or ""
        strip = page.get_by_role("group", name="Photo")
        expect(strip.get_by_role("radio")).to_have_count(2)
        strip.locator("input:not(:checked)").check()
        picture = page.get_by_role("img", name="Your portrait, Corporate")
        expect(picture).not_to_have_attribute("src", first)
        assert page.evaluate("() => document.documentElement.scrollWidth") <= 320
        for number in (1, 2):
            page.get_by_role("button", name=f"Remove me-{number}.jpg").click()
            expect(page.locator(".photo")).to_have_count(2 - number)
        expect(page.locator("#instant")).to_be_hidden()
        watch.clean()


def test_it_stays_while_portraits_are_made_and_afterwards(
    chromium: Browser, place: Place, watch: Watch, selfie_jpegs: list[bytes]
) -> None:
    with visit(chromium, place.url, watch, viewport=PHONE) as page:
        enter(page)
        add_photos(page, [selfie_jpegs[0]])
        shown(page, "Corporate")
        with place.job_queue.staying_at("generating"):
            page.get_by_role("button", name="Create my portraits").click()
            expect(stage(page, "working")).to_have_count(1)
            expect(page.locator("#instant")).to_be_visible()
        expect(stage(page, "done")).to_have_count(1)
        expect(page.locator("#instant")).to_be_visible()
        expect(page.get_by_role("heading", name="True to photo")).to_be_visible()
        expect(page.get_by_role("heading", name="Painted", exact=True)).to_be_hidden()
        assert place.job_queue.orders[-1].way == "photo"
        session = session_of(page, place)
        watch.session_ends(page)
        place.services.sessions.erase(session.id, "user")
        assert len(place.app.state.instant) == 0 or all(
            key[0] != session.id for key in place.app.state.instant._kept
        )
