"""A portrait is set in motion in a real Chromium: the film plays, pauses and goes round."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.support.browser import PHONE, Watch, enter, session_of, visit
from tests.support.web import Place, served
from web.editor import Wanted

pytestmark = pytest.mark.browser

TIME = "film => film.currentTime"
GOES_ROUND = """film => new Promise(done => {
  let before = film.currentTime;
  const watch = () => {
    if (film.currentTime < before) return done(film.duration);
    before = film.currentTime;
    requestAnimationFrame(watch);
  };
  watch();
})"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with served(tmp_path_factory.mktemp("scratch")) as place:
        yield place


def opened(page: Page, place: Place, photo: bytes) -> Locator:
    """The dialog of a portrait that was kept in the editor."""
    enter(page)
    session, editor = session_of(page, place), place.app.state.editor
    place.services.album.add(session, photo, "me.jpg")
    editor.keep(session, "photo-01", Wanted("old-money"))
    place.job_queue.deliver(session, 1)
    page.reload()
    page.locator(".tile[data-id=kept-001] button.portrait").click()
    page.get_by_role("button", name="Make it move").click()
    return page.get_by_role("dialog", name="A portrait that moves")


def test_it_plays_pauses_goes_round_and_rests_where_less_motion_is_wished(
    chromium: Browser, watch: Watch, place: Place, selfie_jpegs: list[bytes]
) -> None:
    with visit(chromium, place.url, watch) as page:
        dialog = opened(page, place, selfie_jpegs[0])
        picture, film = dialog.locator("img"), dialog.locator("video")
        expect(dialog.locator("figure")).to_have_attribute("aria-busy", "false")
        moving = picture.get_attribute("src")
        dialog.get_by_role("button", name="Pause").click()
        assert picture.get_attribute("src") not in (None, moving)
        dialog.get_by_role("button", name="Play").click()
        expect(picture).to_have_attribute("src", moving or "")
        dialog.get_by_role("button", name="Make the file").click()
        expect(dialog.get_by_role("link", name="Download")).to_be_visible()
        assert film.evaluate(GOES_ROUND) == pytest.approx(3, abs=0.05)
        dialog.get_by_role("button", name="Pause").press("Enter")
        stands = film.evaluate(TIME)
        assert film.evaluate("film => film.paused")
        assert film.evaluate(TIME) == stands
        with page.expect_download() as download:
            dialog.get_by_role("link", name="Download").click()
        assert download.value.suggested_filename == "kept-001-calm.mp4"
        page.keyboard.press("Escape")
        expect(page.get_by_role("button", name="Make it move")).to_be_focused()
        page.keyboard.press("ArrowRight")
        page.get_by_role("button", name="Make it move").click()
        expect(dialog.get_by_role("alert")).to_contain_text("only portraits made from your own")
    less = {"viewport": PHONE, "reduced_motion": "reduce"}
    with visit(chromium, place.url, watch, **less) as page:
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        dialog = opened(page, place, selfie_jpegs[0])
        expect(dialog.locator("figure")).to_have_attribute("aria-busy", "false")
        expect(dialog.locator("img")).to_be_visible()
        assert not any("moving/preview" in url for url in asked)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        with page.expect_response(lambda answer: "moving/preview" in answer.url):
            dialog.get_by_role("button", name="Play").click()
        expect(dialog.get_by_role("button", name="Pause")).to_be_visible()
    watch.clean()
