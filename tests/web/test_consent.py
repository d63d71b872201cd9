"""The consent as a file: its form, its words, and who gets it."""

from __future__ import annotations

import html
from collections.abc import Iterator
from datetime import datetime
from hashlib import sha256
from typing import Any

import httpx
import pytest

from tests.support.gradio_client import order_portraits
from tests.support.hand import Hand
from tests.support.web import Place, served

GDPR = {"eu-gdpr:A7-3", "eu-gdpr:A15", "eu-gdpr:A17", "eu-gdpr:A20"}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, clock: Hand) -> Iterator[Place]:
    options = {"operator": "ACME", "contact": "privacy@acme.example", "undelivered_hours": 30}
    with served(tmp_path_factory.mktemp("scratch"), now=clock, **options) as place:
        yield place


def receipt_of(client: httpx.Client) -> dict[str, Any]:
    answer = client.get("/session/consent")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/ld+json"
    name = 'attachment; filename="likeness-consent.json"'
    assert answer.headers["content-disposition"] == name
    found: dict[str, Any] = answer.json()
    return found


def prefixes_in(value: Any) -> set[str]:
    """The prefixes of all terms: keys, and what stands under @type."""
    if isinstance(value, list):
        return set().union(*map(prefixes_in, value))
    if isinstance(value, dict):
        types = value.get("@type", [])
        terms = [*value, *([types] if isinstance(types, str) else types)]
        own = {term.partition(":")[0] for term in terms if not term.startswith("@")}
        return own | prefixes_in(list(value.values()))
    return set()


def test_the_receipt_says_who_asked_for_what_how_long_and_when(
    place: Place, ann: httpx.Client, clock: Hand
) -> None:
    receipt = receipt_of(ann)
    context = receipt.pop("@context")
    assert prefixes_in(receipt) <= context.keys()
    assert receipt["@type"] == "dpv:ConsentReceipt"
    (record,) = receipt["dpv:hasRecordOfActivity"]
    assert record["@type"] == "dpv:ConsentRecord"
    assert record["@id"] == f"urn:uuid:{record['dct:identifier']}"
    operator = record["dpv:hasDataController"]
    assert (operator["dpv:hasName"], operator["dpv:hasContact"]) == ("ACME", "privacy@acme.example")
    process = record["dpv:hasProcess"]
    assert process["dpv:hasPersonalData"] == "pd:Picture"
    assert process["dpv:hasRecipient"] == []
    storage = process["dpv:hasStorageCondition"]
    assert [kept["dpv:hasDuration"] for kept in storage] == ["PT24H", "PT30H"]
    status = record["dpv:hasConsentStatus"]
    assert "dpv:ConsentGiven" in status["@type"]
    assert datetime.fromisoformat(status["dpv:isIndicatedAtTime"]).timestamp() == int(clock())
    rights = record["dpv:hasRight"]
    assert {right["@type"][1] for right in rights} == GDPR
    withdrawal = record["dpv:hasConsentControl"]
    assert withdrawal["@type"] == "dpv:WithdrawConsent"
    assert withdrawal["dpv:isExercisedAt"] == f"{place.url}/studio/"


def test_the_hash_is_that_of_the_words_that_the_page_shows(
    place: Place, ann: httpx.Client, stranger: httpx.Client
) -> None:
    (record,) = receipt_of(ann)["dpv:hasRecordOfActivity"]
    notice = record["dpv:hasNotice"]
    assert notice["schema:sha256"] == sha256(notice["schema:text"].encode()).hexdigest()
    page = html.unescape(stranger.get("/").text)
    *lines, tick = notice["schema:text"].splitlines()
    assert len(lines) == 5
    for term, words in (line.split(": ", 1) for line in lines):
        assert f"<dt>{term}</dt>" in page
        assert f"<dd>{words}</dd>" in page
    assert f"<span>{tick}</span>" in page
    assert "30 hours" in notice["schema:text"]


def test_it_is_kept_in_the_language_that_was_read(place: Place) -> None:
    german = {"origin": place.url, "accept-language": "de"}
    with httpx.Client(base_url=place.url, headers=german) as anna:
        anna.post("/session", data={"consent": "yes"})
        anna.headers["accept-language"] = "en"
        (record,) = receipt_of(anna)["dpv:hasRecordOfActivity"]
    assert record["dpv:hasNotice"]["dct:language"] == "de"
    assert record["dpv:hasConsentStatus"]["dpv:hasIndicationMethod"].startswith("Meine Fotos")


def test_what_was_said_then_stays_when_the_clock_goes_on(ann: httpx.Client, clock: Hand) -> None:
    first = receipt_of(ann)
    clock.forward(100)
    second = receipt_of(ann)
    assert first["dpv:hasRecordOfActivity"] == second["dpv:hasRecordOfActivity"]
    assert first["dct:created"] < second["dct:created"]


def test_painted_portraits_are_a_second_consent(ann: httpx.Client) -> None:
    assert "none so far" in order_portraits(ann, 2, "photo")
    assert len(receipt_of(ann)["dpv:hasRecordOfActivity"]) == 1
    # Written down before a face is measured, so whatever becomes of the order.
    assert order_portraits(ann, 2, "painted") != ""
    _, painted = receipt_of(ann)["dpv:hasRecordOfActivity"]
    assert painted["dpv:hasProcess"]["dpv:hasPersonalData"] == "pd:FacialPrint"
    assert painted["dpv:hasLegalBasis"] == "eu-gdpr:A9-2-a"
    assert painted["dpv:hasNotice"]["schema:text"].startswith("I agree that my face is measured")


def test_the_way_to_it_is_shown_to_who_has_a_session(
    ann: httpx.Client, stranger: httpx.Client
) -> None:
    link = 'href="/session/consent"'
    assert link in ann.get("/").text
    assert link in ann.get("/studio-parts").text
    assert link not in stranger.get("/").text
