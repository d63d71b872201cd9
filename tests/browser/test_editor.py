"""The editor in a real Chromium: one photo, choices by keyboard and finger, a file, a heart."""

from __future__ import annotations

import base64
import io
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Locator, Page, expect

from pipeline.compositing.clothes import TONES
from pipeline.compositing.studio import Sitter
from tests.support.browser import PHONE, Watch, add_photos, enter, session_of, stage, visit
from tests.support.waiting import until
from tests.support.web import Place, served
from web import sitters

pytestmark = pytest.mark.browser

ALIKE = 3.0
"""Grey levels by which the browser's picture may differ on average from the server's, shrunk."""

PIXELS = "canvas => canvas.toDataURL('image/png')"
PATIENCE_S = 30.0

FRAMES = "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"
"""Until the next frame of the screen has been drawn."""

DRAWN = """async (control, event) => {
  const canvas = control.closest("form").querySelector("figure canvas");
  const drawn = new Promise((done) => new MutationObserver((_, watcher) => {
    watcher.disconnect();
    done();
  }).observe(canvas, { attributeFilter: ["data-drawn"] }));
  if (event.key) control.dispatchEvent(new KeyboardEvent("keydown", { ...event, bubbles: true }));
  else {
    control.value = event.value;
    control.dispatchEvent(new Event("input", { bubbles: true }));
  }
  await drawn;
}"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with served(tmp_path_factory.mktemp("scratch"), step_s=0.05, portraits=3) as place:
        yield place


def shown(page: Page, look: str) -> Locator:
    """The picture, once it shows this look and nothing is missing any more."""
    picture = page.get_by_role("img", name=f"Your portrait, {look}")
    expect(picture).to_be_visible()
    expect(page.locator(".editor figure")).to_have_attribute("aria-busy", "false")
    page.evaluate(FRAMES)
    return picture


def edited(page: Page, *photos: bytes) -> None:
    """Begin a session with photos, until the first portrait is shown."""
    enter(page)
    add_photos(page, list(photos))
    shown(page, "Corporate")


def pixels(page: Page) -> np.ndarray:
    """What the canvas shows: float64 [H, W, 3]."""
    url = page.locator(".editor [data-slot=picture]").evaluate(PIXELS)
    return picture_of(base64.b64decode(url.partition(",")[2]))


def picture_of(data: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image.convert("RGB"), np.float64)


def set_range(page: Page, name: str, value: int) -> None:
    page.locator(f".editor [name={name}]").fill(str(value))


def choose(page: Page, **choices: str) -> None:
    for name, value in choices.items():
        page.locator(f'.editor [name={name}][value="{value}"]').check()


def sphere(page: Page) -> Locator:
    return page.get_by_role("slider", name="Where the light comes from")


def test_one_photo_is_a_portrait_to_download(
    chromium: Browser, place: Place, watch: Watch, selfie_jpegs: list[bytes], tmp_path: Path
) -> None:
    with visit(chromium, place.url, watch) as page:
        enter(page)
        section = page.locator("#editor")
        expect(section).to_be_hidden()
        add_photos(page, [selfie_jpegs[0]])
        shown(page, "Corporate")
        before = pixels(page)
        expect(section.get_by_role("status")).to_have_text("Here you are: Corporate.")
        expect(section.get_by_role("group", name="Photo")).to_be_hidden()  # there is no other

        page.get_by_role("radio", name="Corporate", exact=True).focus()
        page.keyboard.press("ArrowRight")
        expect(page.get_by_role("radio", name="Old Money", exact=True)).to_be_checked()
        shown(page, "Old Money")
        assert np.abs(pixels(page) - before).mean() > 1
        choose(page, light="right")
        expect(section.get_by_role("status")).to_have_text("Here you are: Old Money.")

        with page.expect_download() as download:
            section.get_by_role("link", name="Download portrait").click()
        file = tmp_path / "portrait.png"
        download.value.save_as(file)
        with Image.open(file) as image:
            assert image.format == "PNG"
            assert "digitalsourcetype/composite" in str(image.info)
        watch.clean()


SETTINGS: list[dict[str, Any]] = [
    {},
    {"look": "old-money", "shape": "4:5"},
    {"light": "firm", "shape": "wide", "head": 1},
    {"light": "rim", "kelvin": 11, "strength": 18, "shape": "3:4"},
    {"look": "old-money", "light": "top", "head": 7, "blur": 9},
    {"clothes": "navy", "light": "flat", "shape": "avatar"},
]


@pytest.mark.slow
@pytest.mark.parametrize("person", [0, 3, 5])
def test_the_browser_draws_what_the_server_renders(
    chromium: Browser, place: Place, watch: Watch, selfie_jpegs: list[bytes], person: int
) -> None:
    with visit(chromium, place.url, watch) as page:
        edited(page, selfie_jpegs[person])
        compared = 0
        for settings in SETTINGS:
            boxes = {"look": "corporate", "light": "look", "shape": "square", "clothes": "own"}
            boxes |= {name: value for name, value in settings.items() if name in boxes}
            if page.locator(f'.editor [name=clothes][value="{boxes["clothes"]}"]').is_disabled():
                boxes["clothes"] = "own"
            choose(page, **boxes)
            set_range(page, "head", settings.get("head", 4))
            for name in ("kelvin", "strength", "blur"):
                if name in settings:
                    set_range(page, name, settings[name])
            shown(page, "Old Money" if boxes["look"] == "old-money" else "Corporate")
            if page.get_by_text("end too close to your face").is_visible():
                continue  # this photo has no room for a wide picture
            address = page.get_by_role("link", name="Download portrait").get_attribute("href")
            full = page.request.get(address or "")
            assert full.status == 200, full.text()
            ours = pixels(page)
            with Image.open(io.BytesIO(full.body())) as image:
                small = image.convert("RGB").resize(ours.shape[1::-1], Image.Resampling.BOX)
            difference = np.abs(np.asarray(small, np.float64) - ours).mean()
            assert difference <= ALIKE, (settings, difference)
            compared += 1
        assert compared >= len(SETTINGS) - 1
        watch.clean()


def test_the_light_follows_the_arrow_keys_at_once(
    chromium: Browser, place: Place, watch: Watch, selfie_jpegs: list[bytes]
) -> None:
    with visit(chromium, place.url, watch, reduced_motion="reduce") as page:
        edited(page, selfie_jpegs[0])
        light = sphere(page)
        expect(light).to_have_attribute("aria-valuenow", "-40")
        expect(light).to_have_attribute("aria-valuetext", "from the left, from above")
        before = pixels(page)
        asked = len(watch.requests)
        light.focus()
        for _ in range(20):
            page.keyboard.press("ArrowRight")
        for _ in range(8):
            page.keyboard.press("ArrowDown")
        expect(light).to_have_attribute("aria-valuenow", "60")
        expect(light).to_have_attribute("aria-valuetext", "from far right, from below")
        until(lambda: bool(np.abs(pixels(page) - before).mean() > 1), PATIENCE_S)
        for _ in range(5):
            light.evaluate(DRAWN, {"key": "ArrowLeft"})
        # Nothing of it was asked of the server.
        assert [url for url in watch.requests[asked:] if "/studio-" in url] == []
        for key in ("ArrowRight",) * 40:
            page.keyboard.press(key)
        expect(light).to_have_attribute("aria-valuenow", "90")  # and no further
        # A named light is as it is named, though it was chosen before.
        choose(page, light="left")
        expect(light).to_have_attribute("aria-valuenow", "-62")
        light.press("ArrowRight")
        page.locator(".editor [name=light][value=left]").click()
        expect(light).to_have_attribute("aria-valuenow", "-62")
        watch.clean()


def test_the_walls_blur_follows_at_once_and_is_exact_soon(
    chromium: Browser, place: Place, watch: Watch, selfie_jpegs: list[bytes]
) -> None:
    with visit(chromium, place.url, watch) as page:
        edited(page, selfie_jpegs[0])
        blur = page.locator(".editor [name=blur]")
        asked = len(watch.requests)
        blur.focus()
        # Walls to begin with.
        until(
            lambda: len([url for url in watch.requests[asked:] if "studio-wall" in url]) == 3,
            PATIENCE_S,
        )
        for value in (9, 3, 8, 1, 7):
            blur.evaluate(DRAWN, {"value": value})
            shown(page, "Corporate")
        exact = [url for url in watch.requests if "blur=0.7" in url]
        assert len(exact) == 1
        watch.clean()


def test_a_finger_moves_the_light_and_not_the_page(
    chromium: Browser, place: Place, watch: Watch, selfie_jpegs: list[bytes]
) -> None:
    with visit(chromium, place.url, watch, viewport=PHONE, has_touch=True, is_mobile=True) as page:
        edited(page, selfie_jpegs[0])
        light = sphere(page)
        light.scroll_into_view_if_needed()
        page.evaluate(FRAMES)
        box = light.bounding_box()
        assert box is not None
        scrolled = page.evaluate("() => scrollY")
        touch = page.context.new_cdp_session(page)

        def finger(kind: str, across: float, down: float) -> None:
            points = [{"x": box["x"] + across * box["width"], "y": box["y"] + down * box["height"]}]
            event = {"type": kind, "touchPoints": [] if kind == "touchEnd" else points}
            touch.send("Input.dispatchTouchEvent", event)

        finger("touchStart", 0.5, 0.5)
        for step in range(8):
            finger("touchMove", 0.5 + 0.05 * step, 0.5 - 0.04 * step)
        finger("touchEnd", 0, 0)
        text = light.get_attribute("aria-valuetext") or ""
        assert text.startswith("from far right") or text.startswith("from the right"), text
        assert text.endswith("from above"), text
        assert page.evaluate("() => scrollY") == scrolled
        # The picture is still in sight.
        picture = page.locator(".editor [data-slot=picture]").bounding_box()
        assert picture is not None
        assert picture["y"] >= 0
        assert picture["y"] + picture["height"] <= PHONE["height"]
        watch.clean()


def test_the_original_is_seen_as_long_as_the_button_is_held(
    chromium: Browser, place: Place, watch: Watch, selfie_jpegs: list[bytes]
) -> None:
    with visit(chromium, place.url, watch) as page:
        edited(page, selfie_jpegs[0])
        choose(page, light="firm")
        shown(page, "Corporate")
        as_chosen = pixels(page)
        button = page.get_by_role("button", name="Hold to see the original")
        button.focus()
        for press, release in (
            (lambda: page.keyboard.down(" "), lambda: page.keyboard.up(" ")),
            (lambda: (button.hover(), page.mouse.down()), lambda: page.mouse.up()),
        ):
            press()
            expect(button).to_have_attribute("aria-pressed", "true")
            until(lambda: bool(np.abs(pixels(page) - as_chosen).mean() > 3), PATIENCE_S)
            release()
            expect(button).to_have_attribute("aria-pressed", "false")
            until(lambda: np.array_equal(pixels(page), as_chosen), PATIENCE_S)
        watch.clean()


def test_something_is_taken_away_by_mouse_and_keys_and_brought_back(
    chromium: Browser, place: Place, watch: Watch, selfie_jpegs: list[bytes]
) -> None:
    with visit(chromium, place.url, watch) as page:
        edited(page, selfie_jpegs[0])
        news = page.locator("#editor").get_by_role("status")
        whole = pixels(page)
        toggle = page.get_by_role("button", name="Take something away")
        back = page.get_by_role("button", name="Bring it back")
        expect(back).to_be_hidden()
        toggle.click()
        expect(toggle).to_have_attribute("aria-pressed", "true")
        field = page.get_by_role("application", name="Take something away")
        box = field.bounding_box()
        assert box is not None
        # Over the chest, with the mouse.
        page.mouse.move(box["x"] + 0.4 * box["width"], box["y"] + 0.9 * box["height"])
        page.mouse.down()
        page.mouse.move(box["x"] + 0.6 * box["width"], box["y"] + 0.9 * box["height"], steps=6)
        page.mouse.up()
        expect(news).to_have_text("It is gone from this photo.")
        until(lambda: bool(np.abs(pixels(page) - whole).mean() > 0.2), PATIENCE_S)
        expect(back).to_be_visible()
        once = pixels(page)
        changed = np.abs(once - whole).max(axis=2) > 60  # more than the light about it
        rows, columns = np.nonzero(changed)
        height, width = changed.shape
        assert rows.min() > 0.8 * height
        assert 0.33 * width < columns.min() < columns.max() < 0.67 * width

        field.focus()
        page.keyboard.press("ArrowDown")
        page.keyboard.press(" ")
        until(lambda: bool(np.abs(pixels(page) - once).mean() > 0.1), PATIENCE_S)
        back.click()
        expect(news).to_have_text("It is back.")
        until(lambda: np.array_equal(pixels(page), once), PATIENCE_S)
        page.reload()
        shown(page, "Corporate")
        assert np.array_equal(pixels(page), once)
        expect(back).to_be_visible()
        back.click()
        until(lambda: np.array_equal(pixels(page), whole), PATIENCE_S)
        expect(back).to_be_hidden()
        expect(toggle).to_be_focused()
        watch.clean()


def test_settings_stay_with_their_photo_over_a_reload(
    chromium: Browser, place: Place, watch: Watch, selfie_jpegs: list[bytes]
) -> None:
    with visit(chromium, place.url, watch) as page:
        enter(page)
        add_photos(page, [selfie_jpegs[0], selfie_jpegs[3]])
        strip = page.get_by_role("group", name="Photo")
        expect(strip.get_by_role("radio")).to_have_count(2)
        shown(page, "Corporate")
        # The best one is first, and chosen.
        best = place.app.state.editor.best_first(session_of(page, place))
        expect(strip.get_by_role("radio").first).to_have_value(best[0])
        expect(strip.get_by_role("radio").first).to_be_checked()
        strip.get_by_role("radio").nth(1).check()
        choose(page, look="old-money", shape="4:5")
        sphere(page).press("ArrowUp")
        shown(page, "Old Money")
        where = sphere(page).get_attribute("aria-valuetext")
        strip.get_by_role("radio").nth(0).check()
        expect(page.locator(".editor [data-slot=picture]")).to_have_attribute("data-photo", best[0])
        shown(page, "Corporate")
        strip.get_by_role("radio").nth(1).check()
        shown(page, "Old Money")
        page.reload()  # within a moment of the last choice
        shown(page, "Old Money")
        kept = page.evaluate("() => sessionStorage.getItem('likeness-editor')")
        assert json.loads(kept)["photo"] == best[1]
        assert "data:" not in kept
        assert len(kept) < 2000  # names and numbers only
        expect(page.locator(".editor [data-slot=picture]")).to_have_attribute("data-photo", best[1])
        expect(page.locator('.editor [name=shape][value="4:5"]')).to_be_checked()
        assert sphere(page).get_attribute("aria-valuetext") == where
        watch.clean()


def test_clothes_that_are_not_clear_cannot_be_toned(
    chromium: Browser,
    place: Place,
    watch: Watch,
    selfie_jpegs: list[bytes],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def unclear(sitter: Sitter) -> bool:
        return False

    monkeypatch.setattr(sitters, "clothes_are_clear", unclear)
    with visit(chromium, place.url, watch) as page:
        edited(page, selfie_jpegs[0])
        group = page.get_by_role("group", name="Clothes")
        for tone in TONES:
            expect(group.locator(f"[value={tone}]")).to_be_disabled()
        expect(group.get_by_text("cannot be told from skin and hair")).to_be_visible()
        watch.clean()


def test_a_heart_keeps_the_portrait_at_full_size(
    chromium: Browser, place: Place, watch: Watch, selfie_jpegs: list[bytes]
) -> None:
    with visit(chromium, place.url, watch) as page:
        edited(page, selfie_jpegs[0])
        keep = page.get_by_role("button", name="Keep", exact=True)
        started = time.monotonic()
        keep.click()
        expect(page.locator("#editor").get_by_role("status")).to_contain_text("Kept")
        assert time.monotonic() - started < 10  # how fast it is on a quiet machine: benchmarks
        expect(keep).to_have_attribute("aria-pressed", "true")
        tile = page.locator(".tile[data-id=kept-001]")
        expect(tile).to_be_visible()
        expect(tile.get_by_role("button", name="Favourite")).to_have_attribute(
            "aria-pressed", "true"
        )
        # The choosing goes on, and what is kept is taken for what it is.
        expect(stage(page, "choosing")).to_have_count(1)
        session = session_of(page, place)
        (record,) = place.job_queue.portraits(session)
        assert (record.id, record.way, record.photo) == ("kept-001", "photo", "photo-01")
        full = picture_of(place.services.vault.open(session, "portrait", "kept-001"))
        assert full.shape[0] >= pixels(page).shape[0]

        choose(page, light="left")
        expect(keep).to_have_attribute("aria-pressed", "false")  # that one is not kept
        choose(page, light="look")
        expect(keep).to_have_attribute("aria-pressed", "true")
        keep.click()
        expect(keep).to_have_attribute("aria-pressed", "false")
        expect(tile.get_by_role("button", name="Favourite")).to_have_attribute(
            "aria-pressed", "false"
        )
        assert len(place.job_queue.portraits(session)) == 1
        watch.clean()


def test_only_the_latest_choice_is_shown(
    chromium: Browser, place: Place, watch: Watch, selfie_jpegs: list[bytes]
) -> None:
    with visit(chromium, place.url, watch) as page:
        edited(page, selfie_jpegs[0])
        page.get_by_role("radio", name="Corporate", exact=True).focus()
        asked = len(watch.requests)
        for _ in range(9):
            page.keyboard.press("ArrowRight")
        shown(page, "Old Money")
        # Each wall once, and no portrait: those are drawn here.
        later = [url for url in watch.requests[asked:] if "/studio-" in url and "webp" not in url]
        assert len(later) <= 3
        assert not [url for url in later if "/studio-portrait" in url]
        watch.clean()


def test_another_photo_can_be_chosen_and_the_section_goes_with_the_last(
    chromium: Browser, place: Place, watch: Watch, selfie_jpegs: list[bytes]
) -> None:
    phone = {"viewport": {"width": 320, "height": 700}, "has_touch": True, "is_mobile": True}
    with visit(chromium, place.url, watch, **phone) as page:
        edited(page, selfie_jpegs[0], selfie_jpegs[3])
        strip = page.get_by_role("group", name="Photo")
        expect(strip.get_by_role("radio")).to_have_count(2)
        other = strip.locator("input:not(:checked)")
        wanted = other.get_attribute("value") or ""
        first = pixels(page)
        other.check()
        expect(page.locator(".editor [data-slot=picture]")).to_have_attribute("data-photo", wanted)
        after = pixels(page)
        assert after.shape != first.shape or np.abs(after - first).mean() > 1
        assert page.evaluate("() => document.documentElement.scrollWidth") <= 320
        for number in (1, 2):
            page.get_by_role("button", name=f"Remove me-{number}.jpg").click()
            expect(page.locator(".photo")).to_have_count(2 - number)
        expect(page.locator("#editor")).to_be_hidden()
        assert page.evaluate("() => sessionStorage.getItem('likeness-editor')") is None
        watch.clean()


def test_it_stays_while_portraits_are_made_and_afterwards(
    chromium: Browser, place: Place, watch: Watch, selfie_jpegs: list[bytes]
) -> None:
    with visit(chromium, place.url, watch, viewport=PHONE) as page:
        edited(page, selfie_jpegs[0])
        with place.job_queue.staying_at("generating"):
            page.get_by_role("button", name="Create my portraits").click()
            expect(stage(page, "working")).to_have_count(1)
            expect(page.locator("#editor")).to_be_visible()
        expect(stage(page, "done")).to_have_count(1)
        expect(page.locator("#editor")).to_be_visible()
        expect(page.get_by_role("heading", name="True to photo")).to_be_visible()
        expect(page.get_by_role("heading", name="Painted", exact=True)).to_be_hidden()
        assert place.job_queue.orders[-1].way == "photo"
        session = session_of(page, place)
        cache = place.app.state.editor.sitters
        assert cache.held(session.id) == {"photo-01"}
        watch.session_ends(page)
        place.services.sessions.erase(session.id, "user")
        assert cache.held(session.id) == set()
