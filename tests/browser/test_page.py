"""What only a browser shows of the page: one screen at the door, focus, history, pictures."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator

import cv2
import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, FilePayload, Page, expect

from pipeline.photos.ingest import LONG_SIDE
from pipeline.photos.quality import CheckedPhoto
from pipeline.photos.record import FileData
from privacy.sessions import Session
from settings import ROOT
from tests.support.browser import (
    DEVICES,
    PHONE,
    Watch,
    add_photos,
    enter,
    finished,
    kept,
    open_looks,
    order_portraits,
    session_of,
    settled,
    tile,
    visit,
)
from tests.support.faces import encoded, photos
from tests.support.waiting import until
from tests.support.web import Place, served
from web.uploads import PREVIEW

pytestmark = pytest.mark.browser

# Anything painted through the bar would be hit before it.
COVERED = """() => {
  const bar = document.querySelector(".bar").getBoundingClientRect();
  const spots = [0.1, 0.5, 0.9].map((x) => [bar.width * x, bar.bottom - 4]);
  return spots.filter(([x, y]) => !document.elementFromPoint(x, y).closest(".bar")).length;
}"""
# WCAG's contrast of a border with what lies behind it.
CONTRAST = """(element) => {
  const curve = (c) => (c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
  const level = (c) => curve(c / 255);
  const light = (text) => text.match(/[\\d.]+/g).slice(0, 3).map(Number).map(level)
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const card = getComputedStyle(document.querySelector(".sheet")).backgroundColor;
  const [a, b] = [light(getComputedStyle(element).borderTopColor), light(card)];
  return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
}"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with served(tmp_path_factory.mktemp("scratch"), step_s=0.1, portraits=6) as place:
        yield place


@pytest.fixture(scope="module")
def phone_photo() -> tuple[bytes, np.ndarray]:
    """What a phone's camera makes, large, grainy, on its side and described; upright, 256 px."""
    grain = np.random.default_rng(0).integers(-9, 10, (3000, 3000, 3), dtype=np.int16)
    smooth = cv2.resize(photos("a")[0], (3000, 3000), interpolation=cv2.INTER_CUBIC)
    grainy = np.clip(smooth + grain, 0, 255).astype(np.uint8)
    exif = Image.Exif()
    exif[0x010E] = "CANARY"  # what the picture shows
    exif[0x0112] = 6  # lies on its side
    data = io.BytesIO()
    Image.fromarray(np.rot90(grainy)).save(data, "JPEG", quality=92, exif=exif)
    small = cv2.resize(grainy, (256, 256), interpolation=cv2.INTER_AREA)
    return data.getvalue(), small.astype(np.float64)


def payload(name: str, data: bytes) -> FilePayload:
    return FilePayload(name=name, mimeType="image/jpeg", buffer=data)


AT_REST = """() => {
  getComputedStyle(document.body).color; // colours begin to change
  for (const change of document.getAnimations()) change.finish();
}"""


@pytest.mark.parametrize("locale", ["en-GB", "de-DE"])
def test_the_door_is_one_screen_of_a_phone_and_a_photo_begins(
    chromium: Browser, place: Place, watch: Watch, selfie_jpegs: list[bytes], locale: str
) -> None:
    with visit(chromium, place.url, watch, locale=locale, **DEVICES["phone"]) as page:
        page.goto("/")
        button = page.locator("#choose")
        box = button.bounding_box()
        assert box is not None
        assert box["y"] + box["height"] <= PHONE["height"]
        assert page.locator(".promises li").count() == 3
        button.click()  # without the tick nothing begins
        assert page.context.cookies() == []
        page.get_by_role("checkbox").check()
        with page.expect_file_chooser() as chooser:
            button.click()
        chooser.value.set_files([payload("me.jpg", selfie_jpegs[0])])
        expect(page.locator(".photo.accepted")).to_have_count(1)
        expect(page.locator("#editor canvas[data-slot=picture]")).to_be_visible()
        watch.clean()


def test_a_photo_that_cannot_be_used_is_shown_at_the_door_with_the_reason(
    chromium: Browser, place: Place, watch: Watch, selfie_jpegs: list[bytes]
) -> None:
    wall = encoded(np.full((300, 300, 3), (0x20, 0x60, 0xA0), np.uint8), quality=92)
    with visit(chromium, place.url, watch, **DEVICES["phone"]) as page:
        page.goto("/")
        page.get_by_role("checkbox").check()
        page.locator("#photos").set_input_files([payload("wall.jpg", wall)])
        expect(page.get_by_role("alert")).to_contain_text("choose another photo")
        told = page.locator("#turned-away li")
        expect(told).to_have_count(1)
        expect(told).to_contain_text("no face")
        pixel = told.locator("canvas").evaluate(
            "canvas => [...canvas.getContext('2d').getImageData(48, 48, 1, 1).data]"
        )
        assert np.allclose(pixel[:3], (0x20, 0x60, 0xA0), atol=6)
        page.locator("#photos").set_input_files([payload("me.jpg", selfie_jpegs[0])])
        expect(page.locator(".photo.accepted")).to_have_count(1)
        expect(page.locator(".photo")).to_have_count(1)  # the other one was taken back
        watch.clean()


@pytest.mark.parametrize("at", ["the door", "the studio"])
def test_a_phones_photo_goes_over_the_air_at_the_size_that_is_kept(
    chromium: Browser,
    place: Place,
    watch: Watch,
    monkeypatch: pytest.MonkeyPatch,
    phone_photo: tuple[bytes, np.ndarray],
    at: str,
) -> None:
    came: list[bytes] = []
    checked = place.services.album._checked

    def seen(session: Session, data: FileData) -> CheckedPhoto:
        came.append(bytes(data))
        return checked(session, data)

    monkeypatch.setattr(place.services.album, "_checked", seen)
    script = (ROOT / "web" / "static" / "shrink.js").read_text()
    assert f"KEPT_PX = {LONG_SIDE};" in script
    assert f'PREVIEW = "{PREVIEW}";' in script
    phones, before = phone_photo
    assert len(phones) > 2_000_000
    with visit(chromium, place.url, watch) as page:
        photo = payload("me.jpg", phones)
        if at == "the door":
            page.goto("/")
            page.get_by_role("checkbox").check()
            field = page.locator("#photos")
        else:
            enter(page)
            settled(page)
            field = page.locator("#files input[type=file]")
        field.set_input_files([photo])
        expect(page.locator(".photo.accepted")).to_have_count(1)
        until(lambda: len(came) == 2)
        for sent, side, share in zip(came, (800, LONG_SIDE), (0.1, 0.6), strict=True):
            with Image.open(io.BytesIO(sent)) as shrunk:
                assert shrunk.size == (side, side)
                small = np.asarray(shrunk.convert("RGB").resize((256, 256)), np.float64)
            assert len(sent) < share * len(phones)
            assert b"CANARY" not in sent
            assert np.abs(small - before).mean() < 2
        watch.clean()


def test_without_scripts_the_button_still_begins(
    chromium: Browser, place: Place, watch: Watch
) -> None:
    with visit(chromium, place.url, watch, java_script_enabled=False) as page:
        page.goto("/")
        page.get_by_role("checkbox").check()
        page.get_by_role("button", name="Choose a photo").click()
        expect(page).to_have_url(f"{place.url}/studio/")


def test_photos_that_were_turned_away_are_shown_and_one_on_its_side_is_set_upright(
    chromium: Browser, place: Place, watch: Watch, selfie_jpegs: list[bytes]
) -> None:
    side = Image.open(io.BytesIO(selfie_jpegs[2])).rotate(90, expand=True)
    nobody = encoded(np.full((300, 300, 3), (0x55, 0x66, 0x77), np.uint8), quality=92)
    with visit(chromium, place.url, watch) as page:
        enter(page)
        settled(page)
        field, photos = page.locator("#files input[type=file]"), page.locator(".photo")
        field.set_input_files([payload("wall.jpg", nobody)])
        expect(photos).to_have_count(1)  # two at a time are looked at: numbers follow that
        settled(page)
        field.set_input_files(
            [
                payload("side.jpg", encoded(np.asarray(side), quality=92)),
                payload("good.jpg", selfie_jpegs[0]),
            ]
        )
        expect(photos).to_have_count(3)
        expect(photos.last).to_contain_text("wall.jpg")  # good ones first, whenever they came
        bad = photos.filter(has_text="wall.jpg")
        expect(bad).to_contain_text("no face")
        expect(bad.locator("[data-slot=label]")).to_have_text("1 · wall.jpg")
        picture = bad.locator("img")
        expect(picture).to_be_visible()
        assert (picture.get_attribute("src") or "").startswith("blob:")
        expect(page.locator("[data-slot=verdicts]")).to_contain_text("Good")
        lying = photos.filter(has_text="side.jpg")
        expect(page.locator(".photo.accepted")).to_have_count(2)
        shown = lying.locator("img")
        expect(shown).to_have_attribute("src", re.compile("/photo/photo-"))  # as it was kept
        expect(shown).to_have_js_property("complete", True)
        width, height = shown.evaluate("image => [image.naturalWidth, image.naturalHeight]")
        upright = photos.filter(has_text="good.jpg").locator("img")
        expect(upright).to_have_attribute("src", re.compile("/photo/photo-"))
        expect(upright).to_have_js_property("complete", True)
        standing = upright.evaluate("image => image.naturalHeight >= image.naturalWidth")
        assert (height >= width) == standing
        watch.clean()


COUNT_FRAMES = """window.asked = 0;
const ask = window.requestAnimationFrame.bind(window);
window.requestAnimationFrame = (draw) => { window.asked += 1; return ask(draw); };"""
REST = """async () => {
  const before = window.asked;
  await new Promise((done) => setTimeout(done, 500));
  return window.asked - before;
}"""


def test_a_page_where_nothing_happens_lets_a_phone_rest(
    chromium: Browser, place: Place, watch: Watch
) -> None:
    with visit(chromium, place.url, watch) as page:
        page.add_init_script(COUNT_FRAMES)
        enter(page)
        settled(page)
        assert page.evaluate("window.asked") > 0  # it does count
        until(lambda: page.evaluate(REST) <= 3)  # sixty a second would be thirty
        watch.clean()


def focused(page: Page) -> str:
    return str(page.evaluate("document.activeElement.tagName + '#' + document.activeElement.id"))


def test_the_focus_is_never_lost(
    chromium: Browser, place: Place, watch: Watch, selfie_jpegs: list[bytes]
) -> None:
    with visit(chromium, place.url, watch) as page:
        enter(page)
        add_photos(page, [selfie_jpegs[0]])
        kept(page, 1)
        settled(page)
        page.get_by_role("button", name="Remove me-1.jpg").press("Enter")
        expect(page.locator(".photo")).to_have_count(0)
        expect(page.locator("#files button").first).to_be_focused()
        page.route("**/photos/samples", lambda route: route.fulfill(status=204))
        page.get_by_role("button", name="Try it with sample photos").press("Enter")
        expect(page.locator("#photos h2")).to_be_focused()
        assert not focused(page).startswith("BODY")


def test_radios_have_one_name_and_every_group_is_told(
    chromium: Browser, place: Place, watch: Watch
) -> None:
    with visit(chromium, place.url, watch) as page:
        enter(page)
        page.get_by_role("radio", name="6", exact=True).focus()
        page.keyboard.press("ArrowRight")
        page.keyboard.press("ArrowRight")
        expect(page.get_by_role("radio", name="24", exact=True)).to_be_checked()
        open_looks(page)
        for group in ("How they are made", "How many portraits", "Work"):
            expect(page.get_by_role("group", name=group, exact=True)).to_be_visible()
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
            page.evaluate(AT_REST)
            for field in ("#files", "#count label", ".cards label", "button.fold"):
                assert page.locator(field).first.evaluate(CONTRAST) >= 3, (scheme, field)
        watch.clean()


def test_nothing_is_painted_through_the_bar_and_nothing_glides(
    chromium: Browser, place: Place, watch: Watch
) -> None:
    with visit(chromium, place.url, watch, **DEVICES["phone"]) as page:
        page.emulate_media(reduced_motion="reduce")
        enter(page)
        open_looks(page)
        for down in range(0, 2400, 240):
            page.evaluate("(y) => scrollTo(0, y)", down)
            assert page.evaluate(COVERED) == 0, down
        page.evaluate(
            "() => { Element.prototype.scrollIntoView = (how) => { window.how = how; }; }"
        )
        place.job_queue.deliver(session_of(page, place), 2)
        page.reload()
        finished(page)
        page.evaluate(
            "() => { Element.prototype.scrollIntoView = (how) => { window.how = how; }; }"
        )
        page.get_by_role("button", name="Make more portraits").click()
        assert page.evaluate("window.how.behavior") == "auto"


def test_back_closes_the_large_view_and_tiles_are_told_apart(
    chromium: Browser, place: Place, watch: Watch
) -> None:
    with visit(chromium, place.url, watch) as page:
        enter(page)
        place.job_queue.deliver(session_of(page, place), 3)
        page.reload()
        expect(finished(page)).to_have_count(3)
        names = page.locator(".tile img").evaluate_all("(images) => images.map((i) => i.alt)")
        assert len(set(names)) == 3
        expect(page.get_by_role("button", name="Favourite: portrait 2")).to_be_visible()
        tile(page, 1).locator(".portrait").click()
        expect(page.locator("#viewer")).to_be_visible()
        expect(page.locator("#viewer [role=status]")).to_have_text("Corporate · 1 / 3")
        page.go_back()
        expect(page.locator("#viewer")).to_be_hidden()
        expect(page).to_have_url(f"{place.url}/studio/")
        expect(tile(page, 1).locator(".portrait")).to_be_focused()
        watch.clean()


def test_waiting_has_words_and_a_bar_from_the_first_second(
    chromium: Browser, place: Place, watch: Watch, selfie_jpegs: list[bytes]
) -> None:
    with visit(chromium, place.url, watch) as page:
        enter(page)
        add_photos(page, selfie_jpegs[:4])
        expect(page.locator(".photo.accepted")).to_have_count(4)
        with place.job_queue.staying_at("preparing"):
            order_portraits(page)
            expect(page.locator("#job h2")).not_to_be_empty()
            assert float(page.get_by_role("progressbar").get_attribute("value") or 0) > 0
        expect(finished(page)).to_have_count(6)
        watch.clean()


def test_a_private_link_asks_before_another_session_is_left(
    chromium: Browser, place: Place, watch: Watch
) -> None:
    with visit(chromium, place.url, watch) as ann, visit(chromium, place.url, watch) as bob:
        for page in (ann, bob):
            enter(page)
        ann.get_by_role("button", name="Continue on another device").click()
        field = ann.get_by_label("Private link", exact=True)
        expect(field).not_to_have_value("")
        assert field.evaluate("(field) => field.scrollLeft") == 0
        link, before = field.input_value(), bob.context.cookies()[0]["value"]
        bob.goto(link)
        bob.get_by_role("button", name="Open my session").click()
        expect(bob.get_by_role("alert")).to_contain_text("Another session is open")
        assert bob.context.cookies()[0]["value"] == before
        bob.get_by_role("button", name="Leave it and open the link").click()
        expect(bob.locator(".countdown")).to_contain_text("Erased in")
        assert bob.context.cookies()[0]["value"] == ann.context.cookies()[0]["value"]


def test_the_next_person_at_a_shared_computer_starts_afresh(
    chromium: Browser, place: Place, watch: Watch, selfie_jpegs: list[bytes]
) -> None:
    with visit(chromium, place.url, watch) as page:
        enter(page)
        add_photos(page, [selfie_jpegs[0]], name="ann")
        expect(page.locator(".photo")).to_have_count(1)
        session = session_of(page, place)
        page.goto("/")
        page.get_by_text("Somebody else at this computer?").click()
        page.get_by_role("button", name="Forget it here").click()
        expect(page.get_by_role("button", name="Choose a photo")).to_be_visible()
        assert page.context.cookies() == []
        assert place.services.sessions.alive(session.id)
        enter(page)
        expect(page.locator(".photo")).to_have_count(0)


def test_the_goodbye_says_in_words_what_was_erased(
    chromium: Browser, place: Place, watch: Watch, selfie_jpegs: list[bytes]
) -> None:
    with visit(chromium, place.url, watch) as page:
        enter(page)
        add_photos(page, [selfie_jpegs[0]])
        kept(page, 1)
        page.get_by_role("button", name="Delete everything").click()
        page.get_by_role("button", name="Yes, delete everything").click()
        told = page.get_by_text("because you asked for it: 1 photo.")
        expect(told).to_be_visible()
        numbers = page.get_by_text("Secret number r")
        expect(numbers).to_be_hidden()
        page.get_by_text("For auditors").click()
        expect(numbers).to_be_visible()
        watch.clean()
