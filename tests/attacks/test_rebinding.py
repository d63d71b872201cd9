"""Pages of others that drive this server under a name of their own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.support.web import Place, served


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with served(tmp_path_factory.mktemp("scratch")) as place:
        yield place


def start(place: Place, host: str) -> httpx.Response:
    named = {"host": host, "origin": f"http://{host}"}
    return httpx.post(f"{place.url}/session", data={"consent": "yes"}, headers=named)


@pytest.mark.fact(36)
@pytest.mark.parametrize("path", ["/", "/health", "/studio/", "/static/favicon.svg", "/nothing"])
def test_nothing_answers_to_a_rebound_name(place: Place, path: str) -> None:
    answer = httpx.get(f"{place.url}{path}", headers={"host": "evil.example:7860"})
    assert answer.status_code == 421
    assert "does not go by the name" in answer.json()["sentence"]


@pytest.mark.fact(36)
def test_a_rebound_page_begins_no_session(place: Place) -> None:
    answer = start(place, "evil.example:7860")
    assert answer.status_code == 421
    assert not answer.cookies
    assert start(place, "192.168.1.20:7860").status_code == 303
    assert start(place, "workstation:7860").status_code == 303


@pytest.mark.fact(36)
def test_a_person_reads_what_to_set(place: Place) -> None:
    asked = {"host": "headshots.corp.example", "accept": "text/html"}
    page = httpx.get(place.url, headers=asked)
    assert page.status_code == 421
    assert "LIKENESS_HOSTS" in page.text
    assert "headshots.corp.example" not in page.text


@pytest.mark.fact(36)
def test_a_given_name_works(tmp_path: Path) -> None:
    with served(tmp_path / "scratch", hosts="headshots.corp.example") as place:
        assert start(place, "headshots.corp.example").status_code == 303
        assert start(place, "workstation").status_code == 421
