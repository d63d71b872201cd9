"""A browser that asks for a language hears nothing else, wherever the words come from."""

from __future__ import annotations

import html
import json
import re
import time
from collections.abc import Iterator
from contextlib import closing

import httpx
import pytest

from tests.support.gradio_client import (
    element_place,
    event_of,
    gradio_config,
    refusal,
    send_event,
    usual_inputs,
)
from tests.support.languages import OTHERS, english_in
from tests.support.web import Place, session_of, upload, visitor
from words import catalogue

ACCEPTS = {name: {"accept-language": name} for name in OTHERS} | {
    "de": {"accept-language": "de-DE,de;q=0.9,en;q=0.5"},
    "fr": {"accept-language": "fr-CA,fr;q=0.9"},
    "es": {"accept-language": "es-MX"},
}
ITALIAN = {"accept-language": "it-IT,it;q=0.9"}
PAGE = {"accept": "text/html"}


@pytest.fixture(params=OTHERS)
def tongue(request: pytest.FixtureRequest) -> str:
    """A language beside English."""
    return str(request.param)


@pytest.fixture
def anna(place: Place) -> Iterator[httpx.Client]:
    """A visitor with a German browser."""
    with closing(visitor(place)) as client:
        client.headers.update(ACCEPTS["de"])
        yield client


def test_english_would_be_noticed(ann: httpx.Client, tongue: str) -> None:
    assert len(english_in(ann.get("/privacy").text, tongue)) > 30
    assert english_in(ann.get("/status").text, tongue)


def test_every_page_speaks_the_language_of_the_browser(anna: httpx.Client, tongue: str) -> None:
    for address, key in {
        "/": "welcome.known",
        "/privacy": "privacy.heading",
        "/receipt": "receipt.heading",
        "/return": "return.heading",
        "/shared": "shared.heading",
        "/goodbye": "goodbye.heading",
        "/studio-parts": "delete_all.heading",
        "/no-such-page": "nothing.heading",
    }.items():
        answer = anna.get(address, headers=PAGE | ACCEPTS[tongue])
        assert catalogue(tongue)[key] in html.unescape(answer.text)
        assert english_in(answer.text, tongue) == set()
        assert f'<html lang="{tongue}" dir="ltr">' in answer.text
        assert answer.headers["content-language"] == tongue
        assert answer.headers["vary"] == "Accept-Language"


def test_that_there_is_no_session_is_said_in_it(place: Place, tongue: str) -> None:
    with closing(visitor(place)) as client:
        client.headers.update(ACCEPTS[tongue])
        place.services.sessions.erase(session_of(place, client).id, "expired")
        ended = client.get("/?ended=1", headers=PAGE).text
        client.cookies.clear()
        refused = client.get("/?cookies=0", headers=PAGE).text
    assert catalogue(tongue)["welcome.ended"] in html.unescape(ended)
    assert catalogue(tongue)["welcome.without_cookie"] in html.unescape(refused)
    assert english_in(ended + refused, tongue) == set()


def test_the_first_page_speaks_it(place: Place, tongue: str) -> None:
    headers = ACCEPTS[tongue]
    for answer in (
        httpx.get(f"{place.url}/", headers=headers),
        httpx.post(f"{place.url}/session", headers=headers | {"origin": place.url}),  # no tick
    ):
        assert catalogue(tongue)["welcome.heading"] in html.unescape(answer.text)
        assert english_in(answer.text, tongue) == set()


@pytest.mark.parametrize("headers", [ITALIAN, {}, {"accept-language": "en-GB,de;q=0.9"}])
def test_everybody_else_reads_english(place: Place, headers: dict[str, str]) -> None:
    answer = httpx.get(f"{place.url}/", headers=headers)
    assert "Then we forget your face." in answer.text
    assert '<html lang="en" dir="ltr">' in answer.text
    assert answer.headers["content-language"] == "en"


def test_what_is_the_same_for_all_has_no_language(place: Place) -> None:
    answer = httpx.get(f"{place.url}/static/css/common.css", headers=ACCEPTS["de"])
    assert answer.status_code == 200
    assert "content-language" not in answer.headers


def test_gradios_page_takes_the_language_of_the_server(anna: httpx.Client) -> None:
    """Also where a browser's first language is one that only Gradio speaks."""
    accepts = {**ACCEPTS, "en": ITALIAN}
    for name, headers in [*accepts.items(), ("de", {"accept-language": "it,de"})]:
        text = anna.get("/studio/", headers=headers).text
        assert f'lang="{name}"' in text
        assert "document.documentElement.lang" in text
    translations = gradio_config(anna)["i18n_translations"]
    assert translations["de"]["order.create"] == "Meine Porträts machen"
    assert translations["de"]["style.black-white"] == "Schwarz-Weiß\nNichts als Licht."
    assert translations["de"]["style.corporate"] == "Corporate\nGrey studio, even light."
    for name in OTHERS:
        assert list(translations[name]) == list(translations["en"])


def test_status_and_verdicts_are_german(
    anna: httpx.Client, place: Place, selfie_jpegs: list[bytes]
) -> None:
    upload(anna, *selfie_jpegs[:2], b"a text that calls itself a photo", b"")
    text = anna.get("/status").text
    assert english_in(text, "de") == set()
    status = json.loads(text)
    sentences = [photo["sentence"] for photo in status["photos"]["list"]]
    assert sorted(sentences)[0].startswith("Das ist kein Foto, das wir öffnen können.")
    assert (
        sorted(sentences)[1] == "Diese Datei ist leer. Bitte wählen Sie das Foto noch einmal aus."
    )
    assert status["photos"]["meter"]["painted"] == "2 gut bisher. Noch 2, und Sie können anfangen."
    assert status["time"]["sentence"].endswith(" gelöscht")
    # The same records, read by the same person in another browser.
    english = anna.get("/status", headers=ITALIAN).json()["photos"]["list"]
    assert {photo["sentence"] for photo in english} >= {
        "This photo is good.",
        "This file is empty. Please choose the photo again.",
    }


@pytest.mark.parametrize(
    ("order", "words"),
    [
        ({}, "Bitte wählen Sie zuerst mindestens einen Stil."),
        ({"looks": ["corporate"]}, "Ein gutes Foto von Ihnen ist nötig"),
        (
            {"looks": ["corporate"], "way": "painted"},
            "gute Fotos sind nötig, um ein Gesicht zu lernen",
        ),
        ({"looks": ["corporate"], "count": "many"}, "wie viele Porträts Sie möchten"),
    ],
)
def test_a_bad_order_is_answered_in_german(
    anna: httpx.Client, order: dict[str, object], words: str
) -> None:
    config = gradio_config(anna)
    create = event_of(config, "create")
    data = usual_inputs(config, create)
    first_looks, count = 0, element_place(config, create, "count")
    data[first_looks], data[count] = order.get("looks", []), order.get("count", 6)
    data[element_place(config, create, "way")] = order.get("way", "photo")
    data[element_place(config, create, "agree")] = True
    _, messages = send_event(anna, create, data)
    assert words in refusal(messages)


def test_what_a_thread_said_is_told_in_the_readers_language(
    anna: httpx.Client, place: Place, selfie_jpegs: list[bytes]
) -> None:
    upload(anna, *selfie_jpegs[:4])
    config = gradio_config(anna)
    create = event_of(config, "create")
    data = usual_inputs(config, create)
    data[0] = ["corporate"]
    data[element_place(config, create, "count")] = 200
    send_event(anna, create, data)
    while anna.get("/status").json()["job"]["phase"] != "generating":
        time.sleep(0.02)
    job = anna.get("/status").json()["job"]
    assert job["title"] == "Ihre Porträts entstehen"
    assert re.fullmatch(r"\d+ von 200 Porträts", job["detail"])
    anna.post("/job/stop")
    while anna.get("/status").json()["job"]["phase"] == "generating":
        time.sleep(0.02)
    told = anna.get("/status").json()["job"]
    assert (told["title"], told["sentence"]) == ("Angehalten", "Angehalten, wie Sie es wollten.")


def test_refusals_speak_it(anna: httpx.Client, place: Place, tongue: str) -> None:
    anna.headers.update(ACCEPTS[tongue])
    place.job_queue.deliver(session_of(place, anna), 1)
    foreign = anna.post("/job/stop", headers={"origin": "https://elsewhere.example"})
    refused = [
        foreign,
        anna.get("/portrait/portrait-099"),
        anna.get("/portrait/portrait-001", params={"size": "huge"}),
        anna.post("/portraits/wish", json={"caption": "x" * 61}),
        anna.post("/portraits/wish", json={"caption": "\u4e00"}),
        anna.post("/portraits/wish", json={"marked": "perhaps"}),
        anna.post("/session/share"),
        anna.put("/status"),
        anna.post("/studio/gradio_api/upload", content=b"nothing"),
    ]
    told = set(catalogue(tongue).values())
    for answer in refused:
        assert answer.status_code >= 400
        is_json = answer.headers["content-type"] == "application/json"
        sentence = answer.json()["sentence"] if is_json else answer.text
        fitting = [words for words in told if sentence == words or fits(words, sentence)]
        assert fitting, sentence
        assert english_in(sentence, tongue) == set()


def fits(words: str, sentence: str) -> bool:
    """Whether a sentence is these words, filled in."""
    parts = [re.escape(part) for part in re.split("{.*?}", words)]
    return len(parts) > 1 and re.fullmatch(".+".join(parts), sentence) is not None


def test_a_receipt_is_german(anna: httpx.Client, selfie_jpegs: list[bytes]) -> None:
    upload(anna, selfie_jpegs[0])
    anna.post("/session/delete")
    text = html.unescape(anna.get("/goodbye").text)
    assert "Gelöscht in der Stunde ab" in text
    assert "weil Sie es so wollten: 1 Foto." in text
    assert english_in(text, "de") == set()
    file = anna.post(
        "/receipt/likeness-receipt.json",
        data={"receipt": re.search('name="receipt" value="([0-9a-f]{64})"', text)[1]},  # type: ignore[index]
    )
    assert file.json()["what"].startswith("Beleg einer Likeness-Sitzung.")
