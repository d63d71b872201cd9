"""What a page says when photos, cookies or a proxy are not as they should be."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, FilePayload, Page, Route, expect

from tests.support.browser import Watch, enter, kept, settled, visit, with_preferences
from tests.support.faces import encoded, photos
from tests.support.proxy import free_port, plain_proxy
from tests.support.web import Place, served

pytestmark = pytest.mark.browser

NGINX = "<html><head><title>{0}</title></head><body><center><h1>{0}</h1></center></body></html>"
# As a system drops a file whose type it does not know.
DROP = """async ([button, data, name]) => {
  const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
  const carried = new DataTransfer();
  carried.items.add(new File([bytes], name, { type: "" }));
  const field = document.querySelector(button);
  for (const type of ["dragenter", "dragover", "drop"]) {
    field.dispatchEvent(new DragEvent(type, { dataTransfer: carried, bubbles: true }));
  }
}"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with served(tmp_path_factory.mktemp("scratch"), max_photo_mb=2) as place:
        yield place


def add(page: Page, *files: FilePayload) -> None:
    settled(page)
    page.locator("#files input[type=file]").set_input_files(list(files))


def heic(picture: Image.Image) -> bytes:
    import pillow_heif

    buffer = io.BytesIO()
    pillow_heif.from_pillow(picture).save(buffer, quality=80)
    return buffer.getvalue()


@pytest.mark.parametrize("locale", ["en-GB", "de-DE"])
def test_one_photo_above_the_limit_does_not_refuse_the_others(
    chromium: Browser, place: Place, watch: Watch, selfie_jpegs: list[bytes], locale: str
) -> None:
    large = bytes(range(256)) * 9000
    with visit(chromium, place.url, watch, locale=locale) as page:
        page.goto("/")
        page.get_by_role("checkbox").check()
        page.locator(".door .link").click()
        add(
            page,
            FilePayload(name="large.jpg", mimeType="image/jpeg", buffer=large),
            FilePayload(name="good.jpg", mimeType="image/jpeg", buffer=selfie_jpegs[0]),
            FilePayload(name="film.mov", mimeType="video/quicktime", buffer=b"no photo"),
        )
        shown = page.locator(".photo")
        expect(shown).to_have_count(3)
        expect(page.locator(".photo.accepted .label")).to_contain_text("good.jpg")
        sentence = "larger than 2 MB" if locale == "en-GB" else "größer als 2 MB"
        expect(shown.filter(has_text="large.jpg")).to_contain_text(sentence)
        expect(shown.filter(has_text="film.mov")).to_contain_text("JPEG, PNG, WebP")
        assert page.locator(".toast-body").count() == 0
        watch.clean()


def test_a_heic_of_no_type_is_for_the_server_to_judge(
    chromium: Browser, place: Place, watch: Watch
) -> None:
    import base64

    data = heic(Image.fromarray(photos("a")[0]))
    with visit(chromium, place.url, watch) as page:
        enter(page)
        settled(page)
        page.evaluate(DROP, ["#files button", base64.b64encode(data).decode(), "IMG_1.HEIC"])
        expect(page.locator(".photo.accepted")).to_contain_text("IMG_1.HEIC")
        kept(page, 1)
        settled(page).click()
        assert page.locator("#files input[type=file]").get_attribute("accept") == (
            "image/*,.heic,.heif"
        )


def test_a_browser_that_keeps_no_cookies_is_told_so(
    chromium: Browser, place: Place, tmp_path: Path, selfie_jpegs: list[bytes]
) -> None:
    blocked = {"default_content_setting_values": {"cookies": 2}}
    with with_preferences(chromium, tmp_path, blocked) as context:
        page = context.new_page()
        for begin in ("look around", "choose a photo"):
            page.goto(place.url)
            page.get_by_role("checkbox", name="The photos I add").check()
            if begin == "look around":
                page.get_by_role("button", name="Look around first").click()
            else:
                with page.expect_file_chooser() as chooser:
                    page.locator("#choose").click()
                chooser.value.set_files(
                    FilePayload(name="me.jpg", mimeType="image/jpeg", buffer=selfie_jpegs[0])
                )
            expect(page.get_by_role("status").first).to_contain_text("keeps no cookies")
            assert page.get_by_text("was erased").count() == 0
            assert page.get_by_role("button", name="Choose a photo").is_visible()


def test_a_cookie_that_is_lost_on_the_way_is_no_erasure(
    chromium: Browser, place: Place, watch: Watch
) -> None:
    with visit(chromium, place.url, watch) as page:
        enter(page)
        watch.session_ends(page)
        page.context.clear_cookies()
        page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
        expect(page.get_by_text("No session was found in this browser")).to_be_visible()
        assert page.get_by_text("was erased").count() == 0


@pytest.mark.parametrize(
    ("status", "title", "sentence"),
    [
        (413, "413 Request Entity Too Large", "too large on its way to us"),
        (502, "502 Bad Gateway", "does not answer just now"),
        (504, "504 Gateway Time-out", "does not answer just now"),
    ],
)
def test_what_a_proxy_refuses_is_said_in_our_words(
    chromium: Browser,
    place: Place,
    watch: Watch,
    selfie_jpegs: list[bytes],
    status: int,
    title: str,
    sentence: str,
) -> None:
    photo = FilePayload(name="me.jpg", mimeType="image/jpeg", buffer=selfie_jpegs[0])

    def refused(route: Route) -> None:
        route.fulfill(status=status, content_type="text/html", body=NGINX.format(title))

    with visit(chromium, place.url, watch) as page:
        page.route("**/gradio_api/upload*", refused)
        told_on_both_pages(page, photo, sentence)
        told = page.locator(".toast-body").inner_text()
        assert "<" not in told
        assert str(status) not in told


def told_on_both_pages(page: Page, photo: FilePayload, sentence: str) -> None:
    """Bring a photo on the first page, then in the studio: each says why it did not arrive."""
    page.goto("/")
    page.get_by_role("checkbox", name="The photos I add").check()
    with page.expect_file_chooser() as chooser:
        page.locator("#choose").click()
    chooser.value.set_files(photo)
    expect(page.locator("#trouble")).to_contain_text(sentence)
    page.goto("/studio/")
    add(page, photo)
    expect(page.locator(".toast-body")).to_contain_text(sentence)


def two_megabytes(picture: Image.Image) -> bytes:
    """A photo above nginx's own limit of 1 MB, and below ours."""
    data = encoded(np.asarray(picture.resize((1000, 1000))), quality=95)
    return data + bytes(1_500_000 - len(data))


@pytest.mark.parametrize("said", ["too large on its way to us", "does not answer just now"])
def test_a_real_proxy_in_between(
    chromium: Browser, place: Place, watch: Watch, tmp_path: Path, said: str
) -> None:
    """One with a limit of 1 MB, and one that finds nobody behind it."""
    photo = FilePayload(
        name="me.jpg", mimeType="image/jpeg", buffer=two_megabytes(Image.fromarray(photos("a")[0]))
    )
    nobody = f"http://127.0.0.1:{free_port()}"
    small = encoded(np.asarray(Image.fromarray(photos("a")[0]).resize((300, 300))))
    if said.startswith("does"):
        photo["buffer"] = small
    uploads = nobody if said.startswith("does") else ""
    with (
        plain_proxy(tmp_path, place.url, uploads) as url,
        visit(chromium, url, watch) as page,
    ):
        told_on_both_pages(page, photo, said)
        assert page.locator(".toast-body").get_by_text("nginx").count() == 0


def test_a_connection_that_breaks_is_said_in_our_words_too(
    chromium: Browser, place: Place, watch: Watch, selfie_jpegs: list[bytes]
) -> None:
    with visit(chromium, place.url, watch, locale="de-DE") as page:
        page.goto("/")
        page.get_by_role("checkbox").check()
        page.locator(".door .link").click()
        settled(page)
        page.route("**/gradio_api/upload*", lambda route: route.abort("connectionreset"))
        add(page, FilePayload(name="me.jpg", mimeType="image/jpeg", buffer=selfie_jpegs[0]))
        expect(page.locator(".toast-body")).to_contain_text("Der Server antwortet gerade nicht.")
        assert "error" not in page.locator(".toast-body").inner_text().lower()


def test_a_photo_of_another_format_is_opened_too(place: Place) -> None:
    """The test of the test: what stands in for a phone's HEIC is one."""
    assert heic(Image.fromarray(photos("a")[0]))[4:8] == b"ftyp"
    assert encoded(photos("a")[0])[:2] == b"\xff\xd8"
