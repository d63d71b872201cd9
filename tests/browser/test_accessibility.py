"""axe-core and thumbs: every step of the walk on a phone, and as it is in a desktop's window, light
and dark. Colours are the same on both."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect
from pyrage.x25519 import Identity

from dev.fetch_dev import AXE
from tests.support.browser import (
    DESKTOP,
    DEVICES,
    PHONE,
    Watch,
    add_photos,
    come_in,
    enter,
    finished,
    heart,
    order_portraits,
    session_of,
    stage,
    tile,
    visit,
)
from tests.support.hand_in import PORTAL_SECRET, into_folder
from tests.support.web import Place, served

pytestmark = [pytest.mark.browser, pytest.mark.slow]

PORTAL = {"url": "https://portal.corp.example/done", "secret": PORTAL_SECRET}

# Only what holds up somebody: axe calls that serious and critical.
RUN_AXE = """async (rules) => {
  const { violations } = await axe.run(document, { resultTypes: ["violations"], ...rules });
  return violations.filter((v) => v.impact === "serious" || v.impact === "critical")
    .flatMap((v) => v.nodes.map((n) => `${v.id}: ${n.target.join(" ")} ${n.failureSummary}`));
}"""
# Dark differs from light in its colours only, and a phone in everything else.
RULES: dict[str, dict[Any, dict]] = {
    "desktop": {"light": {}, "dark": {"runOnly": ["color-contrast"]}},
    "phone": {"light": {"rules": {"color-contrast": {"enabled": False}}}},
}
# What can be pressed is at least 44 px high and wide, or stands within a sentence. A field inside
# a label is as large as its label.
SMALL_TARGETS = """() => {
  const pressed = "a[href], button, input, select, textarea, summary, [tabindex='0']";
  const modal = document.querySelector("dialog[open]");
  const inSentence = (e) => e.matches("a") && getComputedStyle(e).display === "inline"
    && e.parentElement.textContent.trim() !== e.textContent.trim();
  return [...(modal ?? document).querySelectorAll(pressed)].filter((e) => {
    if (!e.checkVisibility({ visibilityProperty: true, opacityProperty: true })) return false;
    const box = (e.closest("label") ?? e).getBoundingClientRect();
    return box.width > 1 && !inSentence(e) && (box.width < 43.9 || box.height < 43.9);
  }).map((e) => {
    const box = (e.closest("label") ?? e).getBoundingClientRect();
    return `${Math.round(box.width)} x ${Math.round(box.height)}: ${e.outerHTML.slice(0, 120)}`;
  });
}"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    company = tmp_path_factory.mktemp("company")
    file = into_folder(company, Identity.generate(), ask="Your name", done=PORTAL)
    with served(tmp_path_factory.mktemp("scratch"), portraits=12, hand_in=file) as place:
        yield place


def steps(page: Page, place: Place, selfies: list[bytes]) -> Iterator[str]:
    """Everything that a visitor may come to see, one after the other, by name."""
    page.goto("/?state=a-word-of-the-portal")
    yield "welcome"
    come_in(page)
    yield "studio"
    page.get_by_role("button", name="Use the camera").click()
    page.get_by_role("radio", name="Painted by a model of your face").check()
    page.get_by_role("button", name="Create my portraits").click()
    expect(page.locator("#order [role=alert]")).to_be_visible()
    page.get_by_role("button", name="Choose looks").click()
    yield "order refused"
    add_photos(page, [*selfies[:4], b"a text that calls itself a photo"])
    expect(page.locator(".photo.accepted")).to_have_count(4)
    expect(page.locator("#files [download]")).to_have_count(0)  # the field is empty again
    yield "photos"
    page.get_by_role("button", name="Continue on another device").first.click()
    expect(page.locator("#private-link")).to_be_visible()
    yield "private link"
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Delete everything").click()
    yield "delete everything"
    page.keyboard.press("Escape")
    with place.job_queue.staying_at("training"):
        order_portraits(page)
        expect(page.locator("#job h2")).to_have_text("Learning your face")
        yield "waiting"
        page.get_by_role("button", name="Stop", exact=True).click()
        expect(stage(page, "choosing")).to_have_count(1)
    yield "stopped"
    session = session_of(page, place)
    place.services.vault.put(session, "adapter", "adapter", b"a model")
    for look in ("corporate", "old-money"):
        place.job_queue.deliver(session, 4, look)
    page.reload()
    finished(page)
    with page.expect_response("**/heart"):
        heart(page, 1).click()
    page.get_by_text("Caption, names and AI mark").click()
    page.get_by_text("Less like you").click()
    yield "portraits"
    page.get_by_role("button", name="Delete my model").click()
    yield "delete my model"
    page.keyboard.press("Escape")
    tile(page, 1).locator(".portrait").click()
    yield "large view"
    page.keyboard.press("Escape")
    hand_in(page)
    yield "hand-in"
    page.get_by_label("Your name").fill("Ann Example")
    page.get_by_label("Your name").press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator(".given li")).to_contain_text("3 portraits go to HR, Munich in 1 hour")
    yield "handed in"
    page.get_by_role("button", name="Take it back").press("Enter")
    expect(page.locator(".given li")).to_contain_text("HR, Munich did not get them")
    page.get_by_role("button", name="Ask colleagues").click()
    link = page.get_by_label("Link for colleagues")
    expect(link).not_to_have_value("")
    address = link.input_value()
    yield "share"
    page.goto(address)
    expect(page.get_by_role("listitem")).to_have_count(1)
    page.get_by_role("button", name="I like this one").click()
    yield "shared"
    page.goto("/shared#nothing")
    expect(page.get_by_role("alert")).to_be_visible()
    yield "link that has ended"
    page.goto("/return#nothing")
    yield "return"
    page.get_by_role("button", name="Open my session").click()
    expect(page.get_by_role("alert")).to_be_visible()
    yield "link that opens nothing"
    page.goto("/receipt")
    yield "receipt"
    page.get_by_role("button", name="Look it up").click()
    expect(page.get_by_role("alert")).to_be_visible()
    yield "no such receipt"
    page.goto("/check")
    yield "check"
    picture = page.get_by_label("A PNG, JPEG or WebP")
    picture.set_input_files({"name": "a.jpg", "mimeType": "image/jpeg", "buffer": selfies[0]})
    picture.focus()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="No mark found")).to_be_visible()
    yield "checked"
    page.goto("/privacy")
    yield "privacy"
    page.goto("/studio/")
    finished(page)
    page.get_by_role("button", name="Delete everything").click()
    page.get_by_role("button", name="Yes, delete everything").click()
    expect(page.get_by_role("heading", name="Everything is erased")).to_be_visible()
    back = page.get_by_role("link", name="Back to the portal")
    expect(back).to_have_attribute("href", re.compile("state=a-word-of-the-portal&outcome=deleted"))
    yield "goodbye"
    page.goto("/nothing-here")
    yield "nothing"
    enter(page)
    session = session_of(page, place)
    place.services.sessions.erase(session.id, "user")
    expect(page.locator("#gone")).to_be_visible()
    yield "ended"


def hand_in(page: Page) -> None:
    """Open the dialog: the one favourite is chosen, and two more; a fourth is refused."""
    page.get_by_role("button", name="Give to HR, Munich").press("Enter")
    boxes, goes = page.locator("#hand-in [type=checkbox]"), page.locator("#hand-in .goes li")
    expect(goes).to_have_text([re.compile(r"portrait-001\.png: 320 × 320 px, \d+ KB")])
    expect(boxes.first).to_be_focused()
    for _ in range(3):
        page.keyboard.press("Tab")
        page.keyboard.press("Space")
    expect(page.locator("#hand-in [role=alert]")).to_have_text("Please choose one to 3 portraits.")
    expect(boxes.nth(3)).to_be_focused()
    page.keyboard.press("Space")
    expect(goes).to_have_count(3)


def test_nothing_on_any_step_holds_somebody_up(
    chromium: Browser, place: Place, watch: Watch, selfie_jpegs: list[bytes]
) -> None:
    problems: list[str] = []
    seen: list[str] = []
    with visit(chromium, place.url, watch, **DEVICES["phone"]) as page:
        for step in steps(page, place, selfie_jpegs):
            seen.append(step)
            page.wait_for_load_state()  # with its styles
            if not page.evaluate("'axe' in window"):  # another page than before
                page.evaluate(AXE.path.read_text())  # as the debugger does: the policy stays
            for device, size in (("desktop", DESKTOP), ("phone", PHONE)):
                page.set_viewport_size(size)  # type: ignore[arg-type]
                for scheme, rules in RULES[device].items():
                    page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
                    found = page.evaluate(RUN_AXE, rules)
                    problems += [f"{step}, {device}, {scheme}: {problem}" for problem in found]
            problems += [f"{step}: {problem}" for problem in page.evaluate(SMALL_TARGETS)]
            width = page.evaluate("document.documentElement.scrollWidth")
            if width > PHONE["width"]:
                problems.append(f"{step}: {width} px wide")
    assert not problems, "\n".join(problems)
    assert len(seen) == 26
    assert watch.foreign == []
    assert watch.complaints == []
