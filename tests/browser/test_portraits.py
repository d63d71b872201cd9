"""Portraits and the link for colleagues in a real Chromium; the studio behind it only pretends."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Locator, Page, Route, expect

from pipeline.portraits.score import appearance
from pipeline.portraits.sheet import load_sheet
from tests.support.browser import (
    PHONE,
    Watch,
    enter,
    finished,
    heart,
    session_of,
    tile,
    visit,
)
from tests.support.waiting import until
from tests.support.web import Place, served

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with served(tmp_path_factory.mktemp("scratch")) as place:
        yield place


def with_portraits(page: Page, place: Place) -> Locator:
    """Four portraits, two of each of two looks; the tiles."""
    enter(page)
    session = session_of(page, place)
    place.job_queue.deliver(session, 2, "corporate")
    place.job_queue.deliver(session, 2, "old-money")
    page.reload()
    return finished(page)


def test_hearts_survive_a_reload_and_can_be_filtered_and_downloaded(
    chromium: Browser, place: Place, watch: Watch, tmp_path: Path
) -> None:
    with visit(chromium, place.url, watch) as page:
        expect(with_portraits(page, place)).to_have_count(4)
        with page.expect_response("**/heart"):
            heart(page, 3).click()
        expect(heart(page, 3)).to_have_attribute("aria-pressed", "true")
        page.reload()
        finished(page)
        expect(heart(page, 3)).to_have_attribute("aria-pressed", "true")
        expect(heart(page, 1)).to_have_attribute("aria-pressed", "false")

        # Chips by keyboard: one look, the favourites, all.
        chips = page.get_by_role("group", name="Show")
        chips.get_by_role("button", name="All").focus()
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        expect(chips.get_by_role("button", name="Favourites")).to_be_focused()
        expect(page.locator(".tile:visible")).to_have_count(1)
        page.keyboard.press("Tab")
        page.keyboard.press("Space")
        expect(page.locator(".tile:visible")).to_have_count(2)
        expect(tile(page, 1)).to_be_visible()
        expect(tile(page, 3)).to_be_hidden()
        chips.get_by_role("button", name="All").click()
        expect(page.locator(".tile:visible")).to_have_count(4)

        # A caption typed just before the click is on the picture that comes.
        page.get_by_text("Caption, names and AI mark").click()
        expect(page.get_by_label("Note in the file that AI made it")).to_be_checked()
        page.get_by_role("combobox", name="Size").select_option(
            "CV photo (413 × 531 px, 3.5 × 4.5 cm)"
        )
        page.get_by_label("File type").select_option("JPEG")
        page.get_by_label("Caption on the picture").fill("Ann Example")
        tile(page, 3).locator(".portrait").click()
        with page.expect_download() as download:
            page.locator("#viewer").get_by_role("link", name="Download").click()
        assert download.value.suggested_filename == "portrait-003.jpg"
        download.value.save_as(tmp_path / "one.jpg")
        with Image.open(tmp_path / "one.jpg") as image:
            assert image.size == (413, 531)
            assert b"trainedAlgorithmicMedia" in image.info["xmp"]
        page.keyboard.press("Escape")
        # The large view has left the history. A function, since a bare expression is evaluated
        # again at each look, which the page's CSP allows at the first one only.
        page.wait_for_function("() => history.state === null")
        page.reload()
        finished(page)
        page.get_by_text("Caption, names and AI mark").click()
        caption = page.get_by_label("Caption on the picture")
        expect(caption).to_have_value("Ann Example")
        caption.fill("名前")
        caption.press("Tab")
        expect(page.get_by_text("cannot be drawn with “名”")).to_be_visible()
        assert watch.failures == ["400 /portraits/wish"]
        watch.failures.clear()
        watch.clean()


def test_near_duplicates_are_folded_and_come_out_on_a_click(
    chromium: Browser, place: Place, watch: Watch
) -> None:
    with visit(chromium, place.url, watch) as page:
        with_portraits(page, place)
        session, vault = session_of(page, place), place.services.vault
        vector = np.eye(128)[0].astype(np.float32)
        same = appearance(np.full((64, 64, 3), 90, np.uint8), vector)
        rows = [asdict(replace(r, appearance=same)) for r in load_sheet(vault, session)]
        vault.put(session, "sheet", "portraits", json.dumps(rows).encode())
        page.reload()
        finished(page)
        expect(page.locator(".tile:visible")).to_have_count(2)  # one of each look
        more = tile(page, 1).get_by_role("button", name="1 more like this")
        more.click()
        expect(page.locator(".tile:visible")).to_have_count(3)
        expect(tile(page, 2)).to_be_visible()
        tile(page, 1).get_by_role("button", name="Show fewer").click()
        expect(tile(page, 2)).to_be_hidden()
        watch.clean()


def stroke(page: Page, start: tuple[int, int], end: tuple[int, int]) -> None:
    """A finger drawn over the screen, as the browser's own touch events."""
    touch = page.context.new_cdp_session(page)
    steps = [
        (start[0] + (end[0] - start[0]) * n / 5, start[1] + (end[1] - start[1]) * n / 5)
        for n in range(6)
    ]
    kinds = ["touchStart", *["touchMove"] * 5]
    for kind, (x, y) in zip(kinds, steps, strict=True):
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [{"x": x, "y": y}]})
    touch.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})


def heard(page: Page, requests: list[Route], count: int) -> None:
    """Until so many were held: they are heard of only while something is asked of the page."""
    until(lambda: bool(page.evaluate("() => true")) and len(requests) == count)


def test_the_large_view_by_keyboard_and_by_swipe_on_a_phone(
    chromium: Browser, place: Place, watch: Watch
) -> None:
    phone = {"viewport": PHONE, "has_touch": True, "is_mobile": True}
    on_their_way: list[Route] = []

    def hold(route: Route) -> None:
        on_their_way.append(route)

    with visit(chromium, place.url, watch, **phone) as page:
        with_portraits(page, place)
        page.route("**/portrait/*?size=original", hold)
        tile(page, 1).locator(".portrait").focus()
        page.keyboard.press("Enter")
        caption = page.locator("#viewer p")
        expect(caption).to_have_text("Corporate · 1 / 4")
        page.keyboard.press("ArrowRight")
        expect(caption).to_have_text("Corporate · 2 / 4")
        # To the left: the next, also while the picture is still on its way.
        stroke(page, (300, 300), (80, 310))
        expect(caption).to_have_text("Old Money · 3 / 4")
        heard(page, on_their_way, 3)
        page.unroute("**/portrait/*?size=original")  # now they come
        expect(page.locator("#viewer img")).to_have_js_property("complete", True)
        stroke(page, (80, 300), (300, 290))
        expect(caption).to_have_text("Corporate · 2 / 4")
        stroke(page, (200, 400), (210, 150))  # up: nothing
        stroke(page, (200, 300), (180, 300))  # too short: nothing
        expect(caption).to_have_text("Corporate · 2 / 4")
        with page.expect_response("**/heart"):
            page.locator("#viewer").get_by_role("button", name="Favourite").click()
        assert page.evaluate("() => document.documentElement.scrollWidth") <= PHONE["width"]
        page.keyboard.press("Escape")
        expect(page.locator("#viewer")).to_be_hidden()
        expect(tile(page, 2).locator(".portrait")).to_be_focused()
        expect(heart(page, 2)).to_have_attribute("aria-pressed", "true")
        # Nothing sticks out of a narrow screen, and a thumb can hit what it should.
        assert page.evaluate("() => document.documentElement.scrollWidth") <= PHONE["width"]
        small = [box for b in page.locator("#portraits button:visible").all()
                 if (box := b.bounding_box()) and box["height"] < 40]  # fmt: skip
        assert small == []
        watch.clean()


def test_a_colleague_votes_through_the_link_until_it_is_ended(
    chromium: Browser, place: Place, watch: Watch
) -> None:
    asked: list[str] = []
    with visit(chromium, place.url, watch) as page, visit(
        chromium, place.url, watch, viewport=PHONE
    ) as colleague:  # fmt: skip
        colleague.on("request", lambda request: asked.append(request.url))
        with_portraits(page, place)
        expect(page.get_by_role("button", name="Ask colleagues")).to_be_hidden()
        for number in (1, 3):
            with page.expect_response("**/heart"):
                heart(page, number).click()
        page.get_by_role("button", name="Ask colleagues").click()
        field = page.get_by_label("Link for colleagues")
        expect(field).not_to_have_value("")
        link = field.input_value()
        assert link.startswith(f"{place.url}/shared#")
        page.get_by_role("button", name="Close").last.click()

        colleague.goto(link)
        expect(colleague.get_by_role("listitem")).to_have_count(2)
        assert "#" not in colleague.url
        assert colleague.get_by_role("link", name="Download").count() == 0
        with colleague.expect_response("**/vote"):
            colleague.get_by_role("button", name="I like this one").last.click()
        colleague.reload()
        votes = colleague.get_by_role("button", name="I like this one")
        expect(votes.last).to_have_attribute("aria-pressed", "true")
        expect(votes.first).to_have_attribute("aria-pressed", "false")
        width = "() => document.documentElement.scrollWidth"
        assert colleague.evaluate(width) <= PHONE["width"]
        # The key was in no address but the one that the browser kept to itself.
        secret = link.partition("#")[2].partition(".")[2]
        assert len(asked) > 5
        assert not any(secret in address.partition("#")[0] for address in asked)

        page.reload()
        finished(page)
        expect(tile(page, 3).locator(".votes")).to_have_text("1 vote")
        expect(tile(page, 1).locator(".votes")).to_be_hidden()
        page.get_by_role("button", name="Ask colleagues").click()
        expect(field).to_have_value(link)  # the same link, until it is ended
        page.get_by_role("button", name="End this link").click()
        expect(page.locator("#share")).to_be_hidden()
        watch.clean()
        colleague.reload()
        expect(colleague.get_by_role("alert")).to_have_text(
            "This link has ended, or it is not complete."
        )
        expect(colleague.get_by_role("listitem")).to_have_count(0)
        assert watch.complaints == []


def test_portraits_true_to_the_photo_come_before_the_painted(
    chromium: Browser, place: Place, watch: Watch
) -> None:
    with visit(chromium, place.url, watch) as page:
        enter(page)
        session = session_of(page, place)
        place.job_queue.deliver(session, 2)
        place.job_queue.deliver(session, 2, way="photo")
        page.reload()
        expect(finished(page)).to_have_count(4)
        grid = page.get_by_role("list", name="True to photo")
        expect(grid.locator(".tile")).to_have_count(2)
        expect(page.get_by_role("list", name="Painted").locator(".tile")).to_have_count(2)
        order = page.locator(".tile").evaluate_all("tiles => tiles.map((t) => t.dataset.id)")
        assert sorted(order[:2]) == ["portrait-003", "portrait-004"]
        page.get_by_role("button", name="Favourites", exact=True).click()
        expect(page.get_by_role("heading", name="True to photo")).to_be_hidden()
        watch.clean()


LOADED = """([place, wide, high]) => {
  const image = document.querySelector(place);
  return image.complete && image.naturalWidth === wide && image.naturalHeight === high;
}"""
FIRST_TILE = ".tile[data-id=portrait-001] img:not(.coming)"


def test_shape_and_backdrop_are_chosen_afterwards_and_live(
    chromium: Browser, place: Place, watch: Watch, tmp_path: Path
) -> None:
    on_their_way: list[Route] = []

    def hold(route: Route) -> None:
        on_their_way.append(route)

    with visit(chromium, place.url, watch, viewport={"width": 320, "height": 700}) as page:
        with_portraits(page, place)
        shapes = page.locator("#portraits").get_by_role("group", name="Shape", exact=True)
        tones = page.get_by_role("group", name="Backdrop", exact=True)
        expect(shapes.get_by_role("radio", name="As made")).to_be_checked()
        expect(tones.get_by_role("radio", name="As the look has it")).to_be_checked()
        page.locator(FIRST_TILE).scroll_into_view_if_needed()
        page.wait_for_function(LOADED, arg=[FIRST_TILE, 400, 400])
        before = tile(page, 1).bounding_box()

        # By the keyboard, over the square to a portrait. The old picture stays until then.
        asked = "/portrait/portrait-001?size=400&shape=4%3A5"
        page.route(f"**{asked}", hold)
        shapes.get_by_role("radio", name="As made").focus()
        page.keyboard.press("ArrowRight")
        expect(shapes.get_by_role("radio", name="Square")).to_be_checked()
        with page.expect_response("**/portraits/arrangement"):
            page.keyboard.press("ArrowRight")
        chosen = shapes.get_by_role("radio", name="Portrait 4:5")
        expect(chosen).to_be_checked()
        expect(chosen).to_be_focused()
        page.wait_for_function(LOADED, arg=[".tile[data-id=portrait-002] img", 320, 400])
        image = page.locator(FIRST_TILE)
        coming = page.locator(".tile[data-id=portrait-001] img.coming")
        expect(coming).to_have_attribute("src", asked)
        assert page.evaluate(LOADED, [FIRST_TILE, 400, 400])
        expect(image).to_have_css("opacity", "1")
        expect(coming).to_have_css("opacity", "0")
        heard(page, on_their_way, 1)
        page.unroute(f"**{asked}")  # now it comes
        page.wait_for_function(LOADED, arg=[FIRST_TILE, 320, 400])
        page.keyboard.press("Tab")
        expect(tones.get_by_role("radio", name="As the look has it")).to_be_focused()
        with page.expect_response("**/portraits/arrangement"):
            page.keyboard.press("ArrowLeft")
        expect(tones.get_by_role("radio", name="Darker")).to_be_checked()
        asked += "&tone=darker"
        expect(image).to_have_attribute("src", asked)
        page.wait_for_function(LOADED, arg=[FIRST_TILE, 320, 400])
        after = tile(page, 1).bounding_box()
        assert before is not None
        assert after is not None
        assert (after["width"], after["height"]) == (before["width"], before["height"])
        assert page.evaluate("document.documentElement.scrollWidth") <= 320

        page.reload()
        finished(page)
        expect(chosen).to_be_checked()
        expect(tones.get_by_role("radio", name="Darker")).to_be_checked()
        expect(image).to_have_attribute("src", asked)

        # The large view and every download carry the same.
        tile(page, 1).locator(".portrait").click()
        page.wait_for_function(LOADED, arg=["#viewer img", 256, 320])
        with page.expect_download() as one:
            page.locator("#viewer").get_by_role("link", name="Download").click()
        one.value.save_as(tmp_path / "one.png")
        with page.expect_response("**/heart"):
            page.locator("#viewer").get_by_role("button", name="Favourite").click()
        page.keyboard.press("Escape")
        for name in ("Download all", "Download favourites"):
            with page.expect_download() as several:
                page.get_by_role("link", name=name).click()
            several.value.save_as(tmp_path / "several.zip")
            with zipfile.ZipFile(tmp_path / "several.zip") as bundle:
                names = bundle.namelist()
                assert len(names) == (4 if name == "Download all" else 1)
                pictures = [bundle.read(entry) for entry in names]
            assert (tmp_path / "one.png").read_bytes() in pictures
            assert {Image.open(io.BytesIO(picture)).size for picture in pictures} == {(256, 320)}
        shapes.get_by_role("radio", name="As made").check()
        tones.get_by_role("radio", name="As the look has it").check()
        expect(image).to_have_attribute("src", "/portrait/portrait-001?size=400")
        page.wait_for_function(LOADED, arg=[FIRST_TILE, 400, 400])
        watch.clean()


def test_a_shape_that_no_portrait_has_room_for_cannot_be_chosen(
    chromium: Browser, place: Place, watch: Watch
) -> None:
    with visit(chromium, place.url, watch) as page:
        with_portraits(page, place)
        session, vault = session_of(page, place), place.services.vault
        rows = [
            asdict(replace(record, px=(320, 320), face=(0.1, 0.3, 0.75, 0.4)))
            for record in load_sheet(vault, session)
        ]
        vault.put(session, "sheet", "portraits", json.dumps(rows).encode())
        page.reload()
        finished(page)
        shapes = page.locator("#portraits").get_by_role("group", name="Shape", exact=True)
        for name, on in (("As made", True), ("Square", True), ("Portrait 3:4", False)):
            radio = shapes.get_by_role("radio", name=name)
            expect(radio).to_be_enabled(enabled=on)
        watch.clean()
