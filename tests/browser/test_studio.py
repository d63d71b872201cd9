"""The studio in a real Chromium, with a studio behind it that only pretends to learn.

The same walk with a real job is tests/browser/test_main_job.py.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import cv2
import numpy as np
import pytest
from playwright.sync_api import Browser, Locator, expect

from tests.support.browser import (
    PHONE,
    Watch,
    add_photos,
    come_in,
    enter,
    finished,
    open_looks,
    order_portraits,
    session_of,
    stage,
    visit,
)
from tests.support.web import Place, served

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with served(tmp_path_factory.mktemp("scratch"), step_s=0.3, portraits=12) as place:
        yield place


def read_qr(image: Locator) -> str:
    """What a phone's camera would read."""
    expect(image).to_be_visible()
    pixels = cv2.imdecode(np.frombuffer(image.screenshot(), np.uint8), cv2.IMREAD_COLOR)
    wide = cv2.copyMakeBorder(pixels, 40, 40, 40, 40, cv2.BORDER_CONSTANT, value=(255, 255, 255))
    return cv2.QRCodeDetector().detectAndDecode(cv2.resize(wide, None, fx=3, fy=3))[0]


def test_the_whole_walk(
    chromium: Browser, place: Place, watch: Watch, selfie_jpegs: list[bytes], tmp_path: Path
) -> None:
    with visit(chromium, place.url, watch) as page:
        come_in(page)
        add_photos(page, [*selfie_jpegs[:4], b"a text that calls itself a photo"])
        expect(page.locator(".photo.accepted")).to_have_count(4)
        expect(page.locator(".photo:not(.accepted)")).to_contain_text("not a photo we can open")
        expect(page.locator(".meter")).to_contain_text("4 photos for the studio")
        expect(page.get_by_label("Keep my model")).to_be_hidden()
        page.get_by_label("Painted by a model of your face").check()
        expect(page.locator(".meter")).to_contain_text("4 good photos")
        expect(page.get_by_label("Keep my model")).to_be_visible()
        expect(page.locator("[data-slot=chosen]")).to_have_text("2 looks chosen.")
        open_looks(page)
        page.get_by_role("checkbox", name="Old Money").check()
        expect(page.locator("[data-slot=chosen]")).to_have_text("3 looks chosen.")
        page.get_by_label("Keep my model").check()
        with place.job_queue.staying_at("training"):
            order_portraits(page)
            expect(page.locator("#job h2")).to_have_text("Learning your face")
            expect(page.get_by_role("progressbar")).to_be_visible()

            # Reload in the middle: the page is where it was.
            page.reload()
            expect(stage(page, "working")).to_have_count(1)
        expect(page.locator("button.portrait").first).to_be_visible()

        portraits = finished(page)
        expect(portraits).to_have_count(12)
        expect(page.get_by_text("Less like you (2)")).to_be_visible()
        expect(page.locator(".countdown")).to_have_text("Everything is erased in 24 hours")
        order = place.job_queue.orders[-1]
        assert set(order.styles) == {"corporate", "linkedin-classic", "old-money"}
        assert order.keep_adapter is True
        assert order.way == "painted"

        page.get_by_role("combobox", name="Size").select_option("square-400")
        with page.expect_download() as download:
            page.get_by_role("link", name="Download all").click()
        bundle = tmp_path / "portraits.zip"
        download.value.save_as(bundle)
        with zipfile.ZipFile(bundle) as opened:
            assert opened.testzip() is None
            assert len(opened.namelist()) == 12

        page.get_by_role("button", name="Delete my model").click()
        page.get_by_role("button", name="Yes, delete my model").click()
        expect(page.locator("[data-does=ask-delete-model]")).to_be_hidden()

        page.get_by_role("button", name="Delete everything").click()
        page.get_by_role("button", name="Yes, delete everything").click()
        expect(page).to_have_url(f"{place.url}/goodbye")
        assert page.context.cookies() == []
        for address in ("/privacy", "/receipt", "/return"):
            page.goto(address)
        hosts = {urlsplit(url).netloc for url in watch.requests if not url.startswith("blob:")}
        assert hosts - {""} == {urlsplit(place.url).netloc}
        assert len(watch.requests) > 50
        watch.clean()
        # The watch does notice: a picture from elsewhere is refused, and that is told.
        with page.expect_console_message(lambda message: message.text.startswith("policy: ")):
            page.evaluate("() => { new Image().src = 'http://elsewhere.example/picture.png' }")
        assert any("policy: img-src refused http://elsewhere" in told for told in watch.complaints)
        for address in ("/portrait/portrait-001", "/portraits.zip", "/photo/photo-01", "/status"):
            assert page.request.get(address).status == 404


A_POLL_AFTER_THE_ERASURE = """
const send = window.fetch;
window.fetch = async (address, options) => {
  const answer = await send(address, options);
  if (String(address).endsWith("/session/delete")) {
    document.dispatchEvent(new Event("visibilitychange"));
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
  return answer;
};
"""
"""Asks for the status once the session is gone, half a second before the page learns of it."""


def test_every_tab_says_that_all_is_erased(chromium: Browser, place: Place, watch: Watch) -> None:
    with visit(chromium, place.url, watch) as page:
        enter(page)
        other = page.context.new_page()
        other.goto("/studio/")
        expect(other.locator(".meter")).to_be_visible()
        page.add_init_script(A_POLL_AFTER_THE_ERASURE)
        page.reload()
        page.get_by_role("button", name="Delete everything").click()
        page.route("**/session/delete", lambda route: route.abort("connectionrefused"))
        page.get_by_role("button", name="Yes, delete everything").click()
        expect(page.locator("#delete-all [data-slot=problem]")).to_be_visible()
        with page.expect_response("**/status*"):  # nothing is erased, and it goes on asking
            page.unroute("**/session/delete")
        expect(other.locator("#gone")).to_be_hidden()
        watch.failures.clear()
        page.get_by_role("button", name="Yes, delete everything").click()
        expect(page.get_by_role("heading", name="Everything is erased")).to_be_visible()
        expect(page).to_have_url(f"{place.url}/goodbye")
        expect(other.locator("#gone")).to_be_visible()
        expect(other.locator("#gone a")).to_have_text("Go to the start page")
        expect(other.locator("#files")).to_have_count(0)
        watch.clean()


def test_a_second_visitor_sees_nothing_of_the_first(
    chromium: Browser, place: Place, watch: Watch, selfie_jpegs: list[bytes]
) -> None:
    with visit(chromium, place.url, watch) as ann, visit(chromium, place.url, watch) as bob:
        enter(ann)
        add_photos(ann, selfie_jpegs[:4], name="ann")
        expect(ann.locator(".photo")).to_have_count(4)
        enter(bob)
        expect(bob.locator(".meter")).to_contain_text("One good photo of you is enough")
        assert bob.locator(".photo").count() == 0
        assert "ann-" not in bob.content()
        watch.clean()
        picture = ann.locator(".photo img").first
        expect(picture).to_have_attribute("src", re.compile("/photo/photo-"))
        address = picture.get_attribute("src")
        assert bob.request.get(address or "").status == 404


def test_the_private_link_continues_on_a_phone(
    chromium: Browser, place: Place, watch: Watch, selfie_jpegs: list[bytes]
) -> None:
    with visit(chromium, place.url, watch) as page, visit(
        chromium, place.url, watch, viewport=PHONE, has_touch=True, is_mobile=True
    ) as phone:  # fmt: skip
        enter(page)
        add_photos(page, selfie_jpegs[:1])
        expect(page.locator(".photo.accepted")).to_have_count(1)
        page.get_by_role("button", name="Continue on another device").first.click()
        field = page.get_by_label("Private link", exact=True)
        expect(field).to_have_value(f"{place.url}/return#{page.context.cookies()[0]['value']}")
        link = field.input_value()
        assert read_qr(page.locator(".qr img")) == link
        page.keyboard.press("Escape")
        expect(field).to_have_value("")

        phone.goto(link)
        assert "#" not in phone.url
        phone.get_by_role("button", name="Open my session").click()
        expect(phone.locator(".photo.accepted")).to_have_count(1)
        # Nothing sticks out of a narrow screen.
        width = "() => document.documentElement.scrollWidth"
        assert phone.evaluate(width) <= PHONE["width"]
        watch.clean()


def test_a_photo_can_be_removed_with_the_keyboard(
    chromium: Browser, place: Place, watch: Watch, selfie_jpegs: list[bytes]
) -> None:
    with visit(chromium, place.url, watch) as page:
        enter(page)
        add_photos(page, selfie_jpegs[:2])
        expect(page.locator(".photo")).to_have_count(2)
        # A photo that is removed while the editor loads its parts would be refused to it.
        expect(page.locator(".editor figure")).to_have_attribute("aria-busy", "false")
        page.get_by_role("button", name="Remove me-1.jpg").focus()
        page.keyboard.press("Enter")
        expect(page.locator(".photo")).to_have_count(1)
        expect(page.get_by_role("button", name="Remove me-2.jpg")).to_be_focused()
        watch.clean()


CAMERA_SHOWS = """() => {
  const video = document.querySelector("#camera video");
  return video && video.videoWidth > 0 && video.readyState >= 2;
}"""
COPY_A_PICTURE = """async () => {
  const canvas = new OffscreenCanvas(64, 64);
  canvas.getContext("2d").fillRect(0, 0, 64, 64);
  const blob = await canvas.convertToBlob({ type: "image/png" });
  await navigator.clipboard.write([new ClipboardItem({ "image/png": blob })]);
}"""


def test_camera_and_clipboard_bring_photos_too(
    chromium: Browser, place: Place, watch: Watch
) -> None:
    rights = ["camera", "clipboard-read", "clipboard-write"]
    with visit(chromium, place.url, watch, permissions=rights) as page:
        enter(page)
        page.get_by_role("button", name="Use the camera").click()
        page.get_by_text("Click to Access Webcam").click()
        page.wait_for_function(CAMERA_SHOWS)  # before its first frame there is nothing to capture
        page.get_by_label("capture photo").click()
        expect(page.locator(".photo")).to_have_count(1)
        expect(page.locator(".photo")).to_contain_text("no face")
        page.evaluate(COPY_A_PICTURE)
        page.get_by_label("Paste from clipboard").click()
        expect(page.locator(".photo")).to_have_count(2)
        watch.clean()


def test_a_session_that_ended_elsewhere_says_so(
    chromium: Browser, place: Place, watch: Watch
) -> None:
    with visit(chromium, place.url, watch) as page:
        enter(page)
        session = session_of(page, place)
        watch.session_ends(page)
        place.services.sessions.erase(session.id, "user")
        page.reload()
        expect(page.get_by_text("That session has ended")).to_be_visible()
        watch.clean()


def test_a_lost_connection_is_said_calmly_and_recovers(
    chromium: Browser, place: Place, watch: Watch
) -> None:
    with visit(chromium, place.url, watch) as page:
        enter(page)
        page.context.set_offline(True)
        offline = page.get_by_text("The connection is lost")
        page.locator("#order").click()  # something is pressed: the page asks at once
        expect(offline).to_be_visible()
        page.context.set_offline(False)
        expect(offline).to_be_hidden()
        assert watch.foreign == []


def test_an_order_without_photos_is_a_sentence(
    chromium: Browser, place: Place, watch: Watch
) -> None:
    with visit(chromium, place.url, watch) as page:
        enter(page)
        page.get_by_role("button", name="Create my portraits").click()
        refused = page.locator("#order [role=alert]")
        expect(refused).to_contain_text("One good photo of you is needed")
        way = page.get_by_label("Painted by a model of your face")
        way.check()
        # Mended, or so the page thinks: what stood there is gone, and nothing covers the bar.
        expect(refused).to_be_hidden()
        expect(page.get_by_role("button", name="Add 4 more photos for this")).to_be_visible()
        page.get_by_role("button", name="Create my portraits").click()
        expect(refused).to_contain_text("tick the box that you agree")
        page.get_by_role("checkbox", name="I agree").check()
        expect(refused).to_be_hidden()
        page.get_by_role("button", name="Create my portraits").click()
        expect(refused).to_contain_text("4 good photos are needed")
        page.get_by_role("button", name="Delete everything").click(trial=True)
        assert page.get_by_test_id("toast-body").count() == 0
        watch.clean()


def test_the_large_view_follows_the_arrow_keys(
    chromium: Browser, place: Place, watch: Watch
) -> None:
    with visit(chromium, place.url, watch) as page:
        enter(page)
        place.job_queue.deliver(session_of(page, place), 3)
        page.reload()
        finished(page).first.click()
        caption = page.locator("#viewer p")
        expect(caption).to_have_text("Corporate · 1 / 3")
        page.keyboard.press("ArrowRight")
        expect(caption).to_have_text("Corporate · 2 / 3")
        page.keyboard.press("ArrowLeft")
        page.keyboard.press("ArrowLeft")
        expect(caption).to_have_text("Corporate · 3 / 3")
        page.keyboard.press("Escape")
        expect(page.locator("#viewer")).to_be_hidden()
        watch.clean()
