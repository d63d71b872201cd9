"""The walk under conditions that people have: a phone, a keyboard, a bad network, the back button.

The studio behind it only pretends to learn; its clock is moved by hand.
"""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, FileChooser, FilePayload, Locator, Page, expect
from playwright.sync_api import TimeoutError as PlaywrightTimeout

from tests.support.browser import (
    DEVICES,
    Watch,
    add_photos,
    come_in,
    enter,
    finished,
    heart,
    open_looks,
    order_portraits,
    session_of,
    settled,
    stage,
    tile,
    visit,
)
from tests.support.hand import Hand
from tests.support.web import Place, served

pytestmark = pytest.mark.browser

DAY_S = 24 * 3600.0
WHEN_CLOSED = """(dialog) => ({ event: new Promise((done) => {
  document.querySelector(dialog).addEventListener("close", done, { once: true });
}).then(() => null) })"""
LOOK_AGAIN = "() => { document.dispatchEvent(new Event('visibilitychange')); }"
TABS = 120  # more than any step has
# What Chrome's own tools call slow 4G; latency in ms, the rest in bytes per second.
SLOW = {"offline": False, "latency": 150, "downloadThroughput": 2e5, "uploadThroughput": 9e4}


@pytest.fixture(scope="module")
def hand() -> Hand:
    return Hand()


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, hand: Hand) -> Iterator[Place]:
    scratch = tmp_path_factory.mktemp("scratch")
    with served(scratch, now=hand, step_s=0.5, portraits=6) as place:
        yield place


def reconnect(page: Page) -> None:
    """Reload, then lose the network and find it again."""
    page.reload()
    expect(page.locator("body[data-stage]")).to_have_count(1)
    page.context.set_offline(True)
    for _ in range(2):  # each makes it poll at once, and the second failure is told
        page.evaluate(LOOK_AGAIN)
    expect(page.get_by_text("The connection is lost")).to_be_visible()
    page.context.set_offline(False)
    expect(page.get_by_text("The connection is lost")).to_be_hidden()


def test_every_step_survives_a_reload_and_a_lost_connection(
    chromium: Browser, place: Place, watch: Watch, selfie_jpegs: list[bytes]
) -> None:
    with visit(chromium, place.url, watch, **DEVICES["phone"]) as page:
        page.goto("/")
        page.reload()
        come_in(page)
        reconnect(page)
        add_photos(page, selfie_jpegs[:4])
        expect(page.locator(".photo.accepted")).to_have_count(4)
        reconnect(page)
        expect(page.locator(".photo.accepted")).to_have_count(4)
        open_looks(page)
        page.get_by_role("checkbox", name="Old Money").check()
        page.get_by_role("checkbox", name="LinkedIn Classic").uncheck()
        page.get_by_role("radio", name="24", exact=True).check()
        reconnect(page)
        expect(page.get_by_role("radio", name="24", exact=True)).to_be_checked()
        page.get_by_role("radio", name="6", exact=True).check()
        open_looks(page)
        expect(page.get_by_role("checkbox", name="Old Money")).to_be_checked()
        expect(page.get_by_role("checkbox", name="LinkedIn Classic")).not_to_be_checked()
        expect(page.get_by_text("2 looks chosen")).to_be_visible()
        with place.job_queue.staying_at("training"):
            order_portraits(page)
            reconnect(page)
            expect(stage(page, "working")).to_have_count(1)
        place.job_queue.step_s = 0.2
        expect(finished(page)).to_have_count(6)
        with page.expect_response("**/heart"):
            heart(page, 1).click()
        arranged = [
            page.locator("#portraits").get_by_role("radio", name=name, exact=True)
            for name in ("Portrait 4:5", "Darker")
        ]
        for radio in arranged:
            with page.expect_response("**/portraits/arrangement"):
                radio.check()
        reconnect(page)
        expect(heart(page, 1)).to_have_attribute("aria-pressed", "true")
        for radio in arranged:
            expect(radio).to_be_checked()
        tile(page, 2).locator(".portrait").click()
        page.reload()
        expect(finished(page)).to_have_count(6)
        expect(page.locator("#viewer")).to_be_hidden()
        page.get_by_role("button", name="Delete everything").click()
        page.get_by_role("button", name="Yes, delete everything").click()
        receipt = page.get_by_role("heading", name="Your receipt")
        expect(receipt).to_be_visible()
        page.reload()  # the page shows the receipt once, as it says
        expect(page.get_by_role("heading", name="Everything is erased")).to_be_visible()
        expect(receipt).to_be_hidden()
        assert (
            page.evaluate("() => document.documentElement.scrollWidth")
            <= page.viewport_size["width"]
        )  # type: ignore[index]
        assert watch.foreign == []


def tab_to(page: Page, goal: Locator, key: str = "Tab") -> None:
    """As people do who use no mouse: on with Tab until it is there."""
    for _ in range(TABS):
        page.keyboard.press(key)
        if goal.evaluate("(element) => element === document.activeElement"):
            return
    raise AssertionError(f"the Tab key does not reach {goal}")


def chooser_by_enter(page: Page) -> FileChooser:
    """As people do who press Enter again when nothing opens.

    Chromium opens a chooser only within seconds of the key; on a busy machine Gradio's handler may
    come too late, or not be there yet.
    """
    for _ in range(6):
        try:
            with page.expect_file_chooser(timeout=5000) as chooser:
                page.keyboard.press("Enter")
            return chooser.value
        except PlaywrightTimeout:
            continue
    raise AssertionError("Enter opens no file chooser")


def test_the_whole_walk_with_the_keyboard_alone(
    chromium: Browser, place: Place, watch: Watch, selfie_jpegs: list[bytes]
) -> None:
    with visit(chromium, place.url, watch) as page:
        page.goto("/")
        tab_to(page, page.get_by_role("checkbox"))
        page.keyboard.press("Space")
        tab_to(page, page.get_by_role("button", name="Look around first"))
        page.keyboard.press("Enter")
        expect(page.locator(".countdown")).to_contain_text("Erased in")

        upload = page.get_by_role("button", name="Drop your photos here")
        settled(page)
        tab_to(page, upload)
        expect(upload).to_be_focused()
        chooser_by_enter(page).set_files(
            [
                FilePayload(name=f"{number}.jpg", mimeType="image/jpeg", buffer=photo)
                for number, photo in enumerate(selfie_jpegs[:4])
            ]
        )
        expect(page.locator(".photo.accepted")).to_have_count(4)
        tab_to(page, page.get_by_role("button", name="Choose looks"))
        page.keyboard.press("Enter")
        tab_to(page, page.get_by_role("checkbox", name="Old Money"))
        page.keyboard.press("Space")
        expect(page.locator("[data-slot=chosen]")).to_have_text("3 looks chosen.")
        place.job_queue.step_s = 0.1
        tab_to(page, page.get_by_role("radio", name="From your photos Really"), "Shift+Tab")
        page.keyboard.press("ArrowDown")
        expect(page.get_by_label("Painted by a model of your face")).to_be_checked()
        tab_to(page, page.get_by_role("checkbox", name="I agree"))
        page.keyboard.press("Space")
        tab_to(page, page.get_by_role("button", name="Create my portraits"))
        with place.job_queue.staying_at("training"):
            page.keyboard.press("Enter")

            # What was pressed is gone; the keyboard goes on from the heading of what came instead.
            expect(page.locator("#job h2")).to_be_focused()
            expect(page.locator(".bar [data-slot=news]")).to_have_text("Learning your face")
        finished(page)
        expect(page.locator("#portraits h2")).to_be_focused()
        expect(page.locator(".bar [data-slot=news]")).to_have_text("Your portraits are ready")
        portrait = page.locator("button.portrait").first
        tab_to(page, portrait)
        page.keyboard.press("Enter")
        expect(page.locator("#viewer p")).to_contain_text("1 / 6")
        closed = page.evaluate_handle(WHEN_CLOSED, "#viewer")
        page.keyboard.press("Escape")
        closed.evaluate("({ event }) => event")  # only then has the page put the focus back itself
        expect(portrait).to_be_focused()
        page.keyboard.press("Tab")
        with page.expect_response("**/heart"):
            page.keyboard.press("Space")
        expect(page.locator(".tile .heart").first).to_have_attribute("aria-pressed", "true")

        for name, dialog in (("Ask colleagues", "#share"), ("Continue on", "#private-link")):
            opener = page.get_by_role("button", name=name).first
            tab_to(page, opener)
            page.keyboard.press("Enter")
            expect(page.locator(dialog)).to_be_visible()
            for _ in range(8):  # Tab stays within, but for the browser's own controls
                page.keyboard.press("Tab")
                inside = f"document.activeElement.closest('{dialog}, body') "
                assert page.evaluate(f"{inside} === document.activeElement.closest('dialog') || "
                                     "document.activeElement === document.body")  # fmt: skip
            page.keyboard.press("Escape")
            expect(opener).to_be_focused()

        tab_to(page, page.get_by_role("button", name="Delete everything"))
        page.keyboard.press("Enter")
        expect(page.locator("#delete-all").get_by_role("button", name="Keep it")).to_be_focused()
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", name="Everything is erased")).to_be_visible()
        watch.clean()


def test_two_visitors_at_once_and_a_third_with_a_link(
    chromium: Browser, place: Place, watch: Watch, selfie_jpegs: list[bytes]
) -> None:
    with (
        visit(chromium, place.url, watch) as ann,
        visit(chromium, place.url, watch, **DEVICES["phone"]) as bob,
        visit(chromium, place.url, watch) as colleague,
    ):
        place.job_queue.step_s = 0.3
        for page in (ann, bob):
            enter(page)
            add_photos(page, selfie_jpegs[:1])
        for page in (ann, bob):
            expect(page.locator(".photo.accepted")).to_have_count(1)
        open_looks(ann)
        ann.get_by_role("checkbox", name="Old Money").check()
        with place.job_queue.staying_at("generating"):
            for page in (ann, bob):
                page.get_by_role("button", name="Create my portraits").click()
                expect(stage(page, "working")).to_have_count(1)
        for page in (ann, bob):
            expect(finished(page)).to_have_count(6)
        assert ann.get_by_role("button", name="Old Money", exact=True).count() == 1
        assert bob.get_by_role("button", name="Old Money", exact=True).count() == 0
        with ann.expect_response("**/heart"):
            heart(ann, 2).click()
        ann.get_by_role("button", name="Ask colleagues").click()
        link = ann.get_by_label("Link for colleagues")
        expect(link).not_to_have_value("")
        colleague.goto(link.input_value())
        expect(colleague.get_by_role("listitem")).to_have_count(1)
        # Bob's leaving takes nothing of Ann's.
        bob.get_by_role("button", name="Delete everything").click()
        bob.get_by_role("button", name="Yes, delete everything").click()
        expect(bob.get_by_role("heading", name="Everything is erased")).to_be_visible()
        with colleague.expect_response("**/vote"):
            colleague.get_by_role("button", name="I like this one").click()
        ann.keyboard.press("Escape")
        ann.reload()
        expect(finished(ann)).to_have_count(6)
        expect(tile(ann, 2).locator(".votes")).to_have_text("1 vote")
        watch.clean()


def test_the_back_button_leads_back_and_to_nothing_that_is_erased(
    chromium: Browser, place: Place, watch: Watch
) -> None:
    with visit(chromium, place.url, watch) as page:
        come_in(page)
        place.job_queue.deliver(session_of(page, place), 2)
        page.reload()
        expect(finished(page)).to_have_count(2)
        page.get_by_role("link", name="Privacy and audit").click()
        expect(page.get_by_role("heading", level=1)).to_contain_text("your face")
        page.go_back()
        expect(finished(page)).to_have_count(2)
        page.go_back()
        page.get_by_role("link", name="Continue").click()
        expect(finished(page)).to_have_count(2)
        page.get_by_role("button", name="Delete everything").click()
        page.get_by_role("button", name="Yes, delete everything").click()
        expect(page).to_have_url(f"{place.url}/goodbye")
        for _ in range(4):
            page.go_back()
            assert page.locator("button.portrait").count() == 0
            if urlsplit(page.url).path == "/":
                break
        expect(page.get_by_role("button", name="Look around first")).to_be_visible()
        watch.clean()


def test_a_slow_network_shows_nothing_half_made(
    chromium: Browser, place: Place, watch: Watch, selfie_jpegs: list[bytes]
) -> None:
    with visit(chromium, place.url, watch, **DEVICES["phone"]) as page:
        page.goto("/")
        page.get_by_role("checkbox").check()
        network = page.context.new_cdp_session(page)
        network.send("Network.emulateNetworkConditions", SLOW)
        page.get_by_role("button", name="Look around first").click(no_wait_after=True)
        waiting = page.get_by_text("One moment, the studio is opening.")
        expect(waiting).to_be_visible()
        # While it loads: our paper and our type, and no field that is not ready yet.
        expect(waiting).to_have_css("position", "fixed")
        expect(page.locator("#files")).not_to_be_visible()
        expect(page.locator(".countdown")).to_contain_text("Erased in")
        expect(waiting).to_be_hidden()
        add_photos(page, selfie_jpegs[:4])
        expect(page.locator(".photo.accepted")).to_have_count(4)
        place.job_queue.step_s = 0.1
        with place.job_queue.staying_at("training"):
            order_portraits(page)
        expect(finished(page)).to_have_count(6)
        watch.clean()


def test_a_page_left_open_past_its_time_lets_go_of_everything(
    chromium: Browser, place: Place, watch: Watch, hand: Hand
) -> None:
    with visit(chromium, place.url, watch) as page:
        enter(page)
        place.job_queue.deliver(session_of(page, place), 2)
        page.reload()
        finished(page).first.click()
        hand.forward(DAY_S - 60)
        page.evaluate(LOOK_AGAIN)
        expect(page.locator(".countdown")).to_contain_text("minute")
        expect(page.locator("#viewer")).to_be_visible()
        watch.session_ends(page)
        hand.forward(61)
        page.evaluate(LOOK_AGAIN)
        expect(page.get_by_role("heading", name="This session has ended")).to_be_visible()
        assert page.locator("img[src*='/portrait/']:visible").count() == 0
        assert page.locator("button.portrait").count() == 0
        for _ in range(3):
            page.keyboard.press("Escape")  # behind it is nothing to come back to
        expect(page.get_by_role("button", name="Look around first")).to_be_visible()
        watch.clean()
