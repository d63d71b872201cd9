"""Pages, studio and gallery in a language that is written from right to left."""

from __future__ import annotations

import io
from collections.abc import Iterator

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Locator, Page, expect

from tests.support.browser import (
    DESKTOP,
    PHONE,
    Watch,
    enter,
    finished,
    session_of,
    tile,
    visit,
)
from tests.support.languages import PSEUDO, right_to_left
from tests.support.web import Place, served

pytestmark = pytest.mark.browser

# Not for reading: what a person copies.
TECHNICAL = "code, textarea, .copy input"
OTHER_WAY = """(technical) => [...document.querySelectorAll("body *")]
  .filter((e) => e.checkVisibility() && !e.closest(technical))
  .filter((e) => {
    const style = getComputedStyle(e);
    return style.direction !== "rtl" || style.textAlign === "left";
  }).map((e) => e.outerHTML.slice(0, 90))"""
# Texts of blocks of their own, neither centred nor in a row, no line of which begins at the right.
BEGIN_ELSEWHERE = """() => [...document.querySelectorAll("h1, h2, h3, p, li, legend, dd, dt")]
  .filter((e) => e.checkVisibility() && e.innerText.trim() && !e.matches(".unseen"))
  .filter((e) => {
    const style = getComputedStyle(e);
    if (style.display !== "block" || !["start", "right"].includes(style.textAlign)) return false;
    const range = document.createRange();
    range.selectNodeContents(e);
    const end = e.getBoundingClientRect().right - parseFloat(style.paddingRight);
    const line = Math.max(...[...range.getClientRects()].map((box) => box.right));
    return Math.abs(end - line) > 3;
  }).map((e) => e.outerHTML.slice(0, 90))"""
# What sticks out of the window and of no row that scrolls by itself.
STICKS_OUT = """() => [...document.querySelectorAll("body *")]
  .filter((e) => e.checkVisibility() && !e.closest(".unseen, .sr-only"))
  .filter((e) => {
    while ((e = e.parentElement)) if (getComputedStyle(e).overflowX === "auto") return false;
    return true;
  })
  .filter((e) => {
    const box = e.getBoundingClientRect();
    return box.width > 1 && (box.left < -1 || box.right > innerWidth + 1);
  }).map((e) => e.outerHTML.slice(0, 90))"""
A_QUARTER = """() => {
  const bar = document.createElement("progress");
  bar.value = 0.25;
  bar.id = "quarter";
  document.querySelector("main, #job, body").prepend(bar);
}"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with right_to_left(), served(tmp_path_factory.mktemp("scratch"), portraits=6) as place:
        yield place


def require_right_to_left(page: Page) -> None:
    assert page.evaluate("document.documentElement.dir") == "rtl"
    for size in (PHONE, DESKTOP):
        page.set_viewport_size(size)  # type: ignore[arg-type]
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert page.evaluate(STICKS_OUT) == []
        assert page.evaluate(OTHER_WAY, TECHNICAL) == []
        assert page.evaluate(BEGIN_ELSEWHERE) == []


def middle(part: Locator) -> float:
    box = part.bounding_box()
    assert box is not None
    return box["x"] + box["width"] / 2


def test_everything_begins_at_the_right(chromium: Browser, place: Place, watch: Watch) -> None:
    with visit(chromium, place.url, watch, locale=PSEUDO) as page:
        page.goto("/privacy")
        require_right_to_left(page)
        page.goto("/")
        require_right_to_left(page)
        enter(page)
        fold = page.get_by_role("button", name="Choose looks")
        expect(fold).to_be_visible()
        assert "◂" in fold.evaluate("e => getComputedStyle(e, '::after').content")
        fold.click()
        require_right_to_left(page)
        both = page.get_by_label("Both")
        words = both.locator("xpath=following-sibling::*").bounding_box()
        button = both.bounding_box()
        assert words
        assert button
        assert words["x"] + words["width"] + 4 < button["x"]

        place.job_queue.deliver(session_of(page, place), 3)
        expect(finished(page)).to_have_count(3)
        require_right_to_left(page)
        assert middle(tile(page, 1).locator(".heart")) < middle(tile(page, 1))

        tile(page, 1).locator(".portrait").click()
        caption = page.locator("#viewer [data-slot=caption]")
        expect(caption).to_contain_text("1 / 3")
        page.keyboard.press("ArrowLeft")
        expect(caption).to_contain_text("2 / 3")
        page.keyboard.press("ArrowRight")
        expect(caption).to_contain_text("1 / 3")
        viewer = page.locator("#viewer")
        following, previous = (
            viewer.locator(f"[data-does={which}-portrait]") for which in ("next", "previous")
        )
        assert middle(following) < middle(previous)
        page.keyboard.press("Escape")

        page.evaluate(A_QUARTER)
        bar = np.asarray(Image.open(io.BytesIO(page.locator("#quarter").screenshot())), np.int16)
        row = bar[len(bar) // 2, :, :3]
        empty, full = row[len(row) // 10], row[-len(row) // 10]
        assert np.abs(empty - full).max() > 40  # filled from the right
        assert np.abs(empty - row[len(row) // 2]).max() < 10
        watch.clean()
