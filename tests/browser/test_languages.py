"""The whole walk in Chromiums of other languages: no English of ours or of Gradio's is left."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.support.browser import (
    Watch,
    add_photos,
    finished,
    kept,
    stage,
    visit,
)
from tests.support.languages import OTHERS, english_in
from tests.support.web import Place, served
from words import catalogue

pytestmark = pytest.mark.browser

# What can be read or heard: text in open and closed parts, and what stands in attributes.
EVERYTHING = """() => {
  const all = [...document.querySelectorAll("body *")]
    .filter((e) => !e.closest("script, style, template"));
  const texts = all.flatMap((e) => [...e.childNodes])
    .filter((n) => n.nodeType === Node.TEXT_NODE).map((n) => n.data.trim());
  const heard = all.flatMap((e) => ["aria-label", "title", "placeholder", "alt"]
    .map((name) => e.getAttribute(name)));
  return [document.title, ...texts, ...heard].filter(Boolean);
}"""
# In Gradio's words and in ours, where a piece of the catalogue is too short to count.
ENGLISH_WORDS = re.compile(
    r"\b(the|your|you|and|of|to|for|from|photo|capture|upload|click|drop|close|warning|select|"
    r"remove|number|range|value|share|download|settings|loading)\b",
    re.IGNORECASE,
)
ALIKE = {"fr": {"photo"}}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with served(tmp_path_factory.mktemp("scratch"), step_s=0.3, portraits=6) as place:
        yield place


def require(name: str, page: Page) -> None:
    """Looks of the fakes that have no words in it are named in English; so are file names."""
    assert page.evaluate("document.documentElement.lang") == name
    told = [words for words in page.evaluate(EVERYTHING) if "\n" not in words]
    assert len(told) > 5
    assert english_in("\n".join(told), name) == set()
    alike = ALIKE.get(name, set())
    left = [words for words in told if {*ENGLISH_WORDS.findall(words.lower())} - alike]
    assert left == []


def test_the_walk_speaks_one_language_from_the_first_page_to_the_last(
    chromium: Browser, place: Place, watch: Watch, selfie_jpegs: list[bytes]
) -> None:
    with visit(chromium, place.url, watch, locale="de-DE", permissions=["camera"]) as page:
        page.goto("/")
        require("de", page)
        page.get_by_role("checkbox").check()
        page.get_by_role("button", name="Erst einmal umsehen").click()
        expect(page.locator(".countdown")).to_have_text(
            "Alles wird spätestens in 48 Stunden gelöscht"
        )
        expect(page).to_have_title("Ihr Studio – Likeness")

        page.get_by_label("Von einem Modell Ihres Gesichts gemalt").check()
        page.get_by_role("button", name="Meine Porträts machen").click()
        refused = page.locator("#order [role=alert]")
        expect(refused).to_contain_text("setzen Sie das Häkchen")
        page.get_by_role("checkbox", name="Ich bin einverstanden").check()
        expect(refused).to_be_hidden()
        page.get_by_role("button", name="Meine Porträts machen").click()
        expect(refused).to_contain_text("4 gute Fotos sind nötig")
        page.get_by_role("button", name="Die Kamera benutzen").click()
        expect(page.get_by_text("Kamera einschalten")).to_be_visible()
        require("de", page)
        page.get_by_text("Kamera einschalten").click()
        expect(page.get_by_label("Foto aufnehmen")).to_be_visible()
        require("de", page)

        add_photos(page, [*selfie_jpegs[:4], b"a text that calls itself a picture"], name="ich")
        kept(page, 4)
        expect(page.locator(".photo:not(.accepted)")).to_contain_text("das wir öffnen können")
        page.get_by_role("button", name="Stile auswählen").click()
        page.get_by_label("Schwarz-Weiß").last.check()
        expect(page.locator("[data-slot=chosen]")).to_have_text("3 Stile gewählt.")
        require("de", page)

        with place.job_queue.staying_at("training"):
            page.get_by_role("button", name="Meine Porträts machen").click()
            expect(stage(page, "working")).to_have_count(1)
            expect(page.locator("#job h2")).to_have_text("Wir lernen Ihr Gesicht kennen")
            require("de", page)
        expect(finished(page)).to_have_count(6)
        expect(page.get_by_role("button", name="Schwarz-Weiß", exact=True)).to_be_visible()
        require("de", page)

        # The same session, with all that is in it, in other browsers.
        for name in sorted({*OTHERS} - {"de"}):
            with visit(chromium, place.url, watch, locale=name) as other:
                other.context.add_cookies(page.context.cookies())  # type: ignore[arg-type]
                other.goto("/studio/")
                expect(other.locator(".countdown")).to_contain_text(re.compile(r"\d"))
                expect(finished(other)).to_have_count(6)
                button = other.get_by_role("button", name=catalogue(name)["portraits.more"])
                expect(button).to_have_count(1)
                require(name, other)

        page.get_by_role("button", name="Alles löschen").click()
        page.get_by_role("button", name="Ja, alles löschen").click()
        expect(page.get_by_role("heading", name="Alles ist gelöscht")).to_be_visible()
        require("de", page)
        watch.clean()
