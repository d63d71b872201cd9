"""The receipt at the goodbye, its look-up, and the page /privacy: for visitors and auditors."""

from __future__ import annotations

import html
import json
import re
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from privacy.keys import Ticket
from privacy.receipt_lines import VerifierKey, read
from tests.support.web import Place, served, session_of, upload, visitor
from web.routes.privacy import CHECKLIST, GLANCE

FILE = "/receipt/likeness-receipt.json"


@pytest.fixture
def left(place: Place, ann: httpx.Client, selfie_jpegs: list[bytes]) -> tuple[httpx.Client, str]:
    """A visitor who has deleted everything, and their r."""
    r = Ticket.parse(ann.cookies["likeness"]).receipt().hex()
    upload(ann, selfie_jpegs[0])
    place.job_queue.deliver(session_of(place, ann), 3)
    assert ann.post("/session/delete").json() == {"next": "/goodbye"}
    return ann, r


def test_the_goodbye_shows_the_receipt_once(left: tuple[httpx.Client, str]) -> None:
    ann, r = left
    page = ann.get("/goodbye").text
    assert r in page
    assert "because you asked for it: 1 photo, 3 portraits." in page
    assert not ann.cookies
    again = ann.get("/goodbye").text
    assert r not in again
    assert "Everything is erased" in again


def test_an_erasure_before_anything_was_kept_is_told_so(ann: httpx.Client) -> None:
    upload(ann, b"no photo")
    ann.post("/session/delete")
    assert "because you asked for it: nothing was kept yet." in ann.get("/goodbye").text


def test_the_receipt_travels_in_a_cookie_of_the_goodbye_alone(
    ann: httpx.Client, place: Place
) -> None:
    answer = ann.post("/session/delete")
    _, cookie = answer.headers.get_list("set-cookie")
    assert cookie.split("; ")[1:] == ["Path=/goodbye", "HttpOnly", "Max-Age=600", "SameSite=Lax"]


def test_with_https_the_receipts_cookie_is_secure(tmp_path: Path) -> None:
    with served(tmp_path / "scratch", https=True) as place:
        origin = place.url.replace("http:", "https:")
        client = httpx.Client(base_url=place.url, headers={"origin": origin})
        answer = client.post("/session", data={"consent": "yes"})
        ticket = re.search("likeness=([^;]+)", answer.headers["set-cookie"])[1]
        named = {"cookie": f"__Host-likeness={ticket}"}
        answer = client.post("/session/delete", headers=named)
        _, cookie = answer.headers.get_list("set-cookie")
        assert cookie.startswith("__Secure-likeness-receipt=")
        assert "; Secure; " in cookie
        assert "set up for HTTPS" in client.get("/privacy").text


def test_who_added_no_photo_has_no_receipt(ann: httpx.Client) -> None:
    ann.post("/session/delete")
    page = ann.get("/goodbye").text
    assert "Everything is erased" in page
    assert "Your receipt" not in page


def test_the_file_holds_all_that_a_check_needs(left: tuple[httpx.Client, str]) -> None:
    ann, r = left
    answer = ann.post(FILE, data={"receipt": r})
    assert answer.headers["content-disposition"] == 'attachment; filename="likeness-receipt.json"'
    receipt = answer.json()
    line = read(receipt["line"].encode(), VerifierKey.parse(receipt["public_key"]))
    assert (receipt["r"], receipt["event"], receipt["reason"]) == (r, "erased", "user")
    assert (receipt["hash"], receipt["log_id"]) == (line["receipt"], line["id"])
    assert (receipt["time"], receipt["signature"]) == (line["time"], line["sig"])
    assert receipt["line"] in ann.get("/receipts/log").text.splitlines()
    assert "python -m privacy.verify_log" in receipt["how_to_check"]


def test_a_receipt_is_found_by_whatever_was_kept(
    left: tuple[httpx.Client, str], stranger: httpx.Client
) -> None:
    ann, r = left
    file = ann.post(FILE, data={"receipt": r}).content
    answers = [
        stranger.post("/receipt", data={"receipt": f"  {r.upper()}\n"}),
        stranger.post("/receipt", data={"receipt": file.decode()}),
        stranger.post("/receipt", files={"file": ("likeness-receipt.json", file)}),
        stranger.post("/receipt", data={"receipt": ""}, files={"file": ("x", file)}),
    ]
    for answer in answers:
        assert answer.status_code == 200
        assert "because you asked for it" in answer.text
        assert "No line in the log" not in answer.text


def test_whoever_was_erased_by_time_finds_the_receipt_with_their_private_link(
    place: Place, ann: httpx.Client, stranger: httpx.Client
) -> None:
    session = session_of(place, ann)
    place.services.sessions.touch_first_photo(session)
    link = f"{place.url}{ann.get('/session/link').json()['path']}"
    answer = stranger.post("/receipt", data={"receipt": link})
    assert "Everything had to be erased by" in answer.text
    place.services.sessions.erase(session.id, "expired")  # as the sweep does
    answer = stranger.post("/receipt", data={"receipt": link})
    assert "because its time was up after delivery" in answer.text
    # This browser still has the cookie: one press.
    assert "This browser still knows your session" in ann.get("/receipt").text
    assert "its time was up" in ann.post("/receipt", data={"own": "yes"}).text
    assert "still knows" not in stranger.get("/receipt").text


def test_a_wrong_r_is_one_sentence(stranger: httpx.Client) -> None:
    for text in ("0" * 64, "nonsense", ""):
        answer = stranger.post("/receipt", data={"receipt": text})
        assert answer.status_code == 404
        assert answer.text.count('class="problem"') == 1
        assert "No line in the log belongs to that." in answer.text
        assert stranger.post(FILE, data={"receipt": text}).status_code == 404


def test_a_line_that_waits_is_said(
    place: Place, ann: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(events: object) -> None:
        raise OSError(28, "No space left on device")

    receipts = place.services.sessions.receipts
    place.services.sessions.touch_first_photo(session_of(place, ann))
    monkeypatch.setattr(receipts.log, "append", full)
    assert ann.post("/session/delete").status_code == 200
    assert "could not be written to the log yet" in ann.get("/goodbye").text
    monkeypatch.undo()
    receipts.flush()


# --- /privacy ---------------------------------------------------------------------------------


def test_privacy_tells_the_live_settings(tmp_path: Path) -> None:
    settings = {
        "retention_hours": 7,
        "undelivered_hours": 13,
        "operator": "Ann & Sons",
        "contact": "works council, room 12",
    }
    with served(tmp_path / "scratch", **settings) as place:
        page = html.unescape(httpx.get(f"{place.url}/privacy").text)
    for told in ("7 hours", "13 hours", "Ann & Sons", "works council, room 12"):
        assert told in page
    assert "24 hours" not in page
    assert "48 hours" not in page
    assert "not set up for HTTPS" in page
    assert "in its memory only" in page


def test_privacy_answers_every_line_and_leads_to_the_log(
    place: Place, stranger: httpx.Client
) -> None:
    page = stranger.get("/privacy").text
    assert page.count("<dt>") == len(GLANCE) + len(CHECKLIST)
    assert place.services.sessions.receipts.log.key.text in html.unescape(page)
    for address in ("/receipt", "/receipts/log"):
        assert f'href="{address}"' in page
        assert stranger.get(address).status_code == 200


@pytest.mark.fact(32)
@pytest.mark.parametrize("walls", [True, False])
def test_privacy_tells_what_holds_the_decoder(
    stranger: httpx.Client, walls: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.photos.sandbox.supported", lambda: walls)
    page = html.unescape(stranger.get("/privacy").text)
    assert ("The kernel lets it open no file" in page) == walls
    assert ("has no seccomp" in page) == (not walls)


def test_a_key_file_is_told_as_one(tmp_path: Path) -> None:
    with served(tmp_path / "scratch", master_key=str(tmp_path / "key")) as place:
        assert "a file that only its owner can read" in httpx.get(f"{place.url}/privacy").text


def test_what_privacy_says_of_the_mark_of_ai_is_so(place: Place, ann: httpx.Client) -> None:
    place.job_queue.deliver(session_of(place, ann), 1)
    assert "the IPTC mark that says a trained algorithm made it" in ann.get("/privacy").text
    assert b"trainedAlgorithmicMedia" in ann.get("/portrait/portrait-001").content


@pytest.mark.parametrize("address", ["/", "/privacy", "/receipt", "/goodbye", "/return"])
def test_every_page_leads_to_privacy_and_receipts(stranger: httpx.Client, address: str) -> None:
    page = stranger.get(address).text
    assert page.count('href="/privacy"') >= 1
    assert 'href="/receipt"' in page
    assert "<script>" not in page
    assert "style=" not in page


def test_the_checkpoint_is_served_once_there_is_one(tmp_path: Path) -> None:
    with served(tmp_path / "scratch") as place:
        address = f"{place.url}/receipts/checkpoint"
        assert httpx.get(address).status_code == 404
        with closing(visitor(place)) as client:
            place.services.sessions.touch_first_photo(session_of(place, client))
        place.services.sessions.receipts.renew_checkpoint()
        assert httpx.get(address).text.startswith("likeness/receipts/")


def test_the_receipt_file_is_json_of_plain_words(left: tuple[httpx.Client, str]) -> None:
    ann, r = left
    receipt = json.loads(ann.post(FILE, data={"receipt": r}).text)
    assert all(isinstance(value, str) for value in receipt.values())
