"""The page /check against whoever sends it files: large, slow, hostile, in masses, or in secret."""

from __future__ import annotations

import html
import re
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest
from structlog.testing import capture_logs

from pipeline.portraits.credentials import marks_of
from tests.attacks.test_web_bodies import PART, begun, status_of
from tests.pipeline.portraits.test_credentials import HOSTILE, download
from tests.support.signed import made_chain, made_signer
from tests.support.waiting import until
from tests.support.web import Place, served
from web.http import bodies

MB = 1_000_000
FORM = {"Content-Type": "multipart/form-data; boundary=edge", "Content-Length": str(100 * MB)}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("check")
    key, chain = made_chain(folder / "chain")
    options = {"c2pa_key": key, "c2pa_chain": chain, "max_photo_mb": 4}
    with served(folder / "scratch", **options) as place:
        yield place


def asked(stranger: httpx.Client, file: bytes, name: str = "secret-name.png") -> httpx.Response:
    return stranger.post("/check", files={"file": (name, file)})


def verdict(answer: httpx.Response) -> str:
    found = re.search(r'<h2 id="verdict">(.*?)</h2>', answer.text)
    assert found, answer.text
    return html.unescape(found[1])


def problem(answer: httpx.Response) -> str:
    (sentence,) = re.findall(r'<p class="problem"[^>]*>(.*?)</p>', answer.text)
    return html.unescape(sentence)


@pytest.mark.fact(52)
def test_a_stranger_is_told_what_a_picture_says(
    place: Place, stranger: httpx.Client, tmp_path: Path
) -> None:
    signer = place.services.signer()
    own = download(signer, "webp", "dressed")
    answer = asked(stranger, own)
    assert (answer.status_code, verdict(answer)) == (200, "Made here, and not changed since")
    assert "clothes and room were painted by a model" in answer.text
    assert verdict(asked(stranger, own + b"\0")) == "Made here, but changed since"
    foreign = download(made_signer(tmp_path / "others"))
    assert verdict(asked(stranger, foreign)) == "Signed, but not by this server"
    unsigned = download(None, "jpeg", "photo")
    assert verdict(asked(stranger, unsigned)).startswith("It says how it was made, but nobody")
    assert verdict(asked(stranger, HOSTILE["nested boxes"]())) == "Signed, but not by this server"
    assert verdict(asked(stranger, HOSTILE["only a signature"]())) == "No mark found"


@pytest.mark.fact(52)
@pytest.mark.parametrize("file", [b"", b"%PDF-1.7", b"PK\3\4" + bytes(1000)])
def test_what_is_no_picture_is_one_sentence(stranger: httpx.Client, file: bytes) -> None:
    answer = asked(stranger, file)
    assert answer.status_code == 415
    assert problem(answer).startswith("This is no PNG, JPEG or WebP")


@pytest.mark.fact(52)
def test_a_form_that_is_none_is_one_sentence(stranger: httpx.Client) -> None:
    assert problem(stranger.post("/check", data={"file": "text"})).startswith("The upload arrived")
    broken = {"content-type": "multipart/form-data; boundary=edge"}
    assert stranger.post("/check", content=b"--nothing", headers=broken).status_code == 415
    assert stranger.post("/check", files={"file": (None, b"no file")}).status_code == 415


@pytest.mark.fact(52)
def test_a_large_file_is_not_read_to_its_end(place: Place, stranger: httpx.Client) -> None:
    answer = asked(stranger, bytes(4 * MB + 1))
    assert (answer.status_code, problem(answer)) == (
        413,
        "This file is too large to be checked: at most 4 MB, please.",
    )
    with begun(place, "/check", FORM, PART + bytes(5 * MB)) as connection:  # of 100 MB
        assert status_of(connection) == 413


@pytest.mark.fact(52)
def test_slow_senders_lose_their_place(
    place: Place, stranger: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bodies, "CHECK_DEADLINE_S", 0.5)
    with ExitStack() as held:
        slow = [held.enter_context(begun(place, "/check", FORM, PART)) for _ in range(2)]
        until(lambda: asked(stranger, HOSTILE["only a signature"]()).status_code == 200)
        assert [status_of(connection) for connection in slow] == [408, 408]


@pytest.mark.fact(52)
def test_who_leaves_in_the_middle_leaves_no_line_and_no_place(
    place: Place, stranger: httpx.Client
) -> None:
    with capture_logs() as lines:
        for _ in range(4):
            connection: socket.socket = begun(place, "/check", FORM, PART + bytes(MB))
            connection.close()
        until(lambda: asked(stranger, HOSTILE["only a signature"]()).status_code == 200)
    assert lines == []


@pytest.mark.fact(52)
def test_nothing_of_a_checked_file_is_kept_or_logged(place: Place, stranger: httpx.Client) -> None:
    signer = place.services.signer()
    assert signer is not None
    scratch = place.services.settings.scratch
    before = sorted(scratch.rglob("*"))
    file = download(signer)
    assert marks_of(file, signer).seal == "intact"
    with capture_logs() as lines:
        answer = asked(stranger, file)
        asked(stranger, b"no picture")
    assert lines == []
    assert not stranger.cookies
    assert "secret-name" not in answer.text
    assert answer.headers["cache-control"] == "no-store"
    assert sorted(scratch.rglob("*")) == before


@pytest.mark.fact(52)
def test_a_foreign_page_asks_for_nothing(stranger: httpx.Client) -> None:
    elsewhere = {"origin": "https://elsewhere.example"}
    answer = stranger.post("/check", files={"file": b"x"}, headers=elsewhere)
    assert answer.status_code == 403
