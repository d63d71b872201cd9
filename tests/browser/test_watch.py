"""The watch tells loads that the end of a session cut off from loads that are broken."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from tests.support.browser import CUT_STREAMS, Watch, enter, session_of, visit
from tests.support.web import Place, served

pytestmark = pytest.mark.browser

LOOK = "/look/magazine.webp"  # not one of the fake looks: nobody ever gets this picture


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with served(tmp_path_factory.mktemp("scratch")) as place:
        yield place


def load(page: Page, address: str = LOOK) -> None:
    page.evaluate("(address) => { new Image().src = address }", address)


def test_a_load_that_the_end_of_the_session_cut_off_is_no_failure(
    chromium: Browser, place: Place, watch: Watch
) -> None:
    held: list[Route] = []
    with visit(chromium, place.url, watch) as page:
        enter(page)
        page.route(f"**{LOOK}", lambda route: held.append(route))
        with page.expect_request(f"**{LOOK}"):
            load(page)
        watch.session_ends(page)
        place.services.sessions.erase(session_of(page, place).id, "user")
        with page.expect_response(f"**{LOOK}"):
            held[0].continue_()
        assert f"404 {LOOK}" in watch.cut_off
        expect(page.get_by_role("heading", name="This session has ended")).to_be_visible()
        watch.clean()


def test_what_is_missing_before_the_end_or_after_it_is_a_failure(
    chromium: Browser, place: Place, watch: Watch
) -> None:
    with visit(chromium, place.url, watch) as page:
        enter(page)
        with page.expect_response(f"**{LOOK}"):
            load(page)
        assert watch.failures == [f"404 {LOOK}"]
        watch.session_ends(page)
        with page.expect_response("**/static/no-such-file"):
            load(page, "/static/no-such-file")  # nobody's, so the end of no session explains it
        place.services.sessions.erase(session_of(page, place).id, "user")
        expect(page.get_by_role("heading", name="This session has ended")).to_be_visible()
        with page.expect_response("**/photo/photo-01"):
            load(page, "/photo/photo-01")  # the page knows, and should not have asked
        expected = [f"404 {LOOK}", "404 /static/no-such-file", "404 /photo/photo-01"]
        assert watch.failures == expected


def test_a_load_that_the_server_breaks_off_is_a_failure_and_one_given_up_is_none(
    chromium: Browser, place: Place, watch: Watch
) -> None:
    with visit(chromium, place.url, watch) as page:
        page.route("**/broken", lambda route: route.abort("connectionreset"))
        page.route("**/given-up", lambda route: None)
        page.goto("/privacy")
        with page.expect_event("requestfailed"):
            load(page, "/broken")
        with page.expect_request("**/given-up"):
            load(page, "/given-up")
        page.goto("/receipt")
        assert watch.failures == ["net::ERR_CONNECTION_RESET /broken"]


def test_a_stream_that_is_cut_off_is_no_complaint_once_the_session_is_over(
    chromium: Browser, place: Place, watch: Watch
) -> None:
    with visit(chromium, place.url, watch) as page:
        page.goto("/privacy")
        page.evaluate("(told) => console.error(told)", CUT_STREAMS[1])
        assert watch.complaints == [CUT_STREAMS[1]]
        watch.complaints.clear()
        watch.session_ends(page)
        page.evaluate("(told) => console.error(told)", CUT_STREAMS[1])
        watch.clean()
        page.evaluate("() => console.error('TypeError: x is not a function')")
        assert watch.complaints == ["TypeError: x is not a function"]
