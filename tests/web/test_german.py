"""A browser that asks for German hears nothing else, wherever the words come from."""

from __future__ import annotations

import html
import json
import re
import time
from collections.abc import Iterator
from contextlib import closing

import httpx
import pytest

from tests.support.german import english_in
from tests.support.gradio_client import (
    element_place,
    event_of,
    gradio_config,
    refusal,
    send_event,
    usual_inputs,
)
from tests.support.web import Place, session_of, upload, visitor
from words import catalogue

GERMAN = {"accept-language": "de-DE,de;q=0.9,en;q=0.5"}
ITALIAN = {"accept-language": "it-IT,it;q=0.9"}
PAGE = {"accept": "text/html"}


@pytest.fixture
def anna(place: Place) -> Iterator[httpx.Client]:
    """A visitor with a German browser."""
    with closing(visitor(place)) as client:
        client.headers.update(GERMAN)
        yield client


def test_english_would_be_noticed(ann: httpx.Client) -> None:
    assert len(english_in(ann.get("/privacy").text)) > 30
    assert english_in(ann.get("/status").text)


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("/", "Auf diesem Gerät haben Sie bereits eine Sitzung."),
        ("/privacy", "Was hier mit Ihrem Gesicht geschieht"),
        ("/receipt", "Einen Beleg nachschlagen"),
        ("/return", "Willkommen zurück"),
        ("/shared", "Welche Porträts gefallen Ihnen?"),
        ("/goodbye", "Alles ist gelöscht"),
        ("/studio-parts", "Jetzt alles löschen?"),
        ("/no-such-page", "Hier ist nichts"),
    ],
)
def test_every_page_is_german(anna: httpx.Client, address: str, words: str) -> None:
    answer = anna.get(address, headers=PAGE)
    assert words in html.unescape(answer.text)
    assert english_in(answer.text) == set()
    assert '<html lang="de">' in answer.text
    assert answer.headers["content-language"] == "de"
    assert answer.headers["vary"] == "Accept-Language"


def test_that_there_is_no_session_is_said_in_german(place: Place) -> None:
    with closing(visitor(place)) as client:
        client.headers.update(GERMAN)
        place.services.sessions.erase(session_of(place, client).id, "expired")
        ended = client.get("/?ended=1", headers=PAGE).text
        client.cookies.clear()
        refused = client.get("/?cookies=0", headers=PAGE).text
    assert "Sie können gern neu anfangen." in ended
    assert "nimmt Ihr Browser hier keine Cookies an" in refused
    assert english_in(ended) | english_in(refused) == set()


def test_the_first_page_is_german(place: Place) -> None:
    for answer in (
        httpx.get(f"{place.url}/", headers=GERMAN),
        httpx.post(f"{place.url}/session", headers=GERMAN | {"origin": place.url}),  # no tick
    ):
        assert "Danach vergessen wir Ihr Gesicht." in answer.text
        assert english_in(answer.text) == set()


@pytest.mark.parametrize("headers", [ITALIAN, {}, {"accept-language": "en-GB,de;q=0.9"}])
def test_everybody_else_reads_english(place: Place, headers: dict[str, str]) -> None:
    answer = httpx.get(f"{place.url}/", headers=headers)
    assert "Then we forget your face." in answer.text
    assert '<html lang="en">' in answer.text
    assert answer.headers["content-language"] == "en"


def test_what_is_the_same_for_all_has_no_language(place: Place) -> None:
    answer = httpx.get(f"{place.url}/static/css/common.css", headers=GERMAN)
    assert answer.status_code == 200
    assert "content-language" not in answer.headers


def test_gradios_page_takes_the_language_of_the_server(anna: httpx.Client) -> None:
    """Also where a browser's first language is one that only Gradio speaks."""
    for headers, name in ((GERMAN, "de"), (ITALIAN, "en"), ({"accept-language": "it,de"}, "de")):
        text = anna.get("/studio/", headers=headers).text
        assert f'lang="{name}"' in text
        assert "document.documentElement.lang" in text
    translations = gradio_config(anna)["i18n_translations"]
    assert translations["de"]["order.create"] == "Meine Porträts machen"
    assert translations["de"]["style.black-white"] == "Schwarz-Weiß\nNichts als Licht."
    assert translations["de"]["style.corporate"] == "Corporate\nGrey studio, even light."
    assert list(translations["de"]) == list(translations["en"])


def test_status_and_verdicts_are_german(
    anna: httpx.Client, place: Place, selfie_jpegs: list[bytes]
) -> None:
    upload(anna, *selfie_jpegs[:2], b"a text that calls itself a photo", b"")
    text = anna.get("/status").text
    assert english_in(text) == set()
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


def test_what_a_thread_said_is_told_in_german(
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


def test_refusals_are_german(anna: httpx.Client, place: Place) -> None:
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
    told = set(catalogue("de").values())
    for answer in refused:
        assert answer.status_code >= 400
        is_json = answer.headers["content-type"] == "application/json"
        sentence = answer.json()["sentence"] if is_json else answer.text
        german = [words for words in told if sentence == words or fits(words, sentence)]
        assert german, sentence
        assert english_in(sentence) == set()


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
    assert english_in(text) == set()
    file = anna.post(
        "/receipt/likeness-receipt.json",
        data={"receipt": re.search('name="receipt" value="([0-9a-f]{64})"', text)[1]},  # type: ignore[index]
    )
    assert file.json()["what"].startswith("Beleg einer Likeness-Sitzung.")
