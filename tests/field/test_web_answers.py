"""Answers to what monitors, proxies and people without a script ask for."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from tests.support.web import Place, served, session_of, upload, visitor

PERSON = {"accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with served(tmp_path_factory.mktemp("field") / "scratch") as place:
        yield place


@pytest.mark.parametrize(
    "path", ["/", "/health", "/privacy", "/receipt", "/static/favicon.svg", "/studio/", "/nowhere"]
)
def test_head_is_get_without_the_body(place: Place, path: str) -> None:
    with closing(visitor(place)) as client:
        got, head = client.get(path), client.head(path)
    assert head.status_code == got.status_code
    assert head.content == b""
    for name in ("content-type", "content-security-policy", "x-content-type-options"):
        assert head.headers.get(name) == got.headers.get(name)


def test_head_of_a_download_makes_no_picture(place: Place, selfie_jpegs: list[bytes]) -> None:
    with closing(visitor(place)) as client:
        assert upload(client, selfie_jpegs[0]).status_code == 200
        assert client.head("/photo/photo-01").status_code == 200
        assert client.head("/photo/photo-09").status_code == 404
        assert client.get("/status").status_code == 200  # the connection goes on


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/status", 404), ("POST", "/session", 403), ("GET", "/portrait/%00", 404)],
)
def test_a_person_never_sees_raw_json(place: Place, method: str, path: str, status: int) -> None:
    answer = httpx.request(method, place.url + path, headers=PERSON, data={"consent": "yes"})
    assert answer.status_code == status
    assert answer.headers["content-type"].startswith("text/html")
    assert "<h1>" in answer.text
    script = httpx.request(method, place.url + path, headers={"accept": "*/*"})
    assert set(script.json()) == {"sentence"}


def test_a_form_that_is_too_large_is_a_page_too(place: Place) -> None:
    headers = PERSON | {"origin": place.url}
    answer = httpx.post(f"{place.url}/receipt", content=b"x" * 100_000, headers=headers)
    assert answer.status_code == 413
    assert "<h1>" in answer.text
    assert answer.headers["connection"] == "close"


def test_a_proxy_that_rewrites_host_is_told_what_to_set(place: Place) -> None:
    asked = {"origin": "http://headshots.corp.example", "host": "backend:7860"}
    answer = httpx.post(f"{place.url}/session", data={"consent": "yes"}, headers=PERSON | asked)
    assert answer.status_code == 403
    assert "proxy_set_header Host" in answer.text
    assert "set-cookie" not in answer.headers


def test_consent_of_a_browser_that_keeps_no_cookie(place: Place) -> None:
    headers = PERSON | {"origin": place.url}
    answer = httpx.post(f"{place.url}/session", data={"consent": "yes"}, headers=headers)
    while answer.is_redirect:  # each request as if it were the first
        answer = httpx.get(place.url + answer.headers["location"], headers=PERSON)
    assert answer.status_code == 200
    assert "your browser keeps no cookies" in answer.text
    assert "was erased" not in answer.text


def test_an_https_origin_is_foreign_to_a_plain_server(place: Place, tmp_path: Path) -> None:
    assert [start_from(place, scheme) for scheme in ("https", "http")] == [403, 303]
    with served(tmp_path / "scratch", https=True) as behind_tls:
        assert [start_from(behind_tls, scheme) for scheme in ("https", "http")] == [303, 403]


def start_from(place: Place, scheme: str) -> int:
    """The status of a start whose page was at that scheme and this host."""
    origin = f"{scheme}://{place.url.removeprefix('http://')}"
    answer = httpx.post(f"{place.url}/session", data={"consent": "yes"}, headers={"origin": origin})
    return answer.status_code


@pytest.mark.parametrize("known", [True, False], ids=["of the studio", "of nothing"])
def test_a_script_that_was_refused_is_not_missing_for_a_year(place: Place, known: bool) -> None:
    """Pages ask for some of theirs late, when the session may have ended."""
    with closing(visitor(place)) as client:
        page = client.get("/studio/").text
        found = re.search(r"assets/index-[\w-]+\.js", page)
        assert found
        script = f"/studio/{found[0]}" if known else "/studio/assets/nothing-at-all.js"
        if known:
            kept = client.get(script)
            assert (kept.status_code, kept.headers["cache-control"]) == (
                200,
                "private, max-age=31536000, immutable",
            )
        place.services.sessions.erase(session_of(place, client).id, "user")
        refused = client.get(script)
    assert refused.status_code == 404
    assert refused.headers["cache-control"] == "no-store"


def test_what_stands_for_all_is_not_kept_where_it_is_missing(place: Place) -> None:
    with closing(visitor(place)) as client:
        missing = client.get("/static/nothing-at-all.js")
    assert (missing.status_code, missing.headers["cache-control"]) == (404, "no-store")
