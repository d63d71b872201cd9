"""Limits stop a flood, not a company behind one address, and tell a person what to do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from privacy.keys import ShareTicket, Ticket
from tests.support.web import Place, served, session_of, visitor

PAGE = {"accept": "text/html,application/xhtml+xml"}
START = {"consent": "yes"}


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    with served(tmp_path / "scratch", starts_per_address=2) as place:
        yield place


def somebody(place: Place, **headers: str) -> httpx.Client:
    return httpx.Client(base_url=place.url, headers={"origin": place.url} | headers, timeout=30)


@pytest.mark.fact(46)
def test_too_many_starts_are_a_page_for_a_person_and_json_for_a_script(place: Place) -> None:
    with somebody(place) as client:
        for _ in range(2):
            assert client.post("/session", data=START).status_code == 303
            client.cookies.clear()
        script = client.post("/session", data=START)
        person = client.post("/session", data=START, headers=PAGE | {"accept-language": "de"})
    for answer in (script, person):
        assert answer.status_code == 429
        assert 500 < int(answer.headers["retry-after"]) <= 600
    assert script.json()["sentence"].endswith("In 10 minutes at the latest it works.")
    assert person.headers["content-type"].startswith("text/html")
    assert "Bitte warten Sie" in person.text
    assert "{" not in person.text


@pytest.mark.fact(46)
@pytest.mark.slow
def test_coming_back_is_not_counted_and_guessing_is(place: Place) -> None:
    with closing(visitor(place)) as ann, somebody(place) as client:
        ticket = {"ticket": ann.cookies["likeness"]}
        returns = {client.post("/session/return", json=ticket).status_code for _ in range(320)}
        assert returns == {200}
        guesses = [
            client.post("/session/return", json={"ticket": Ticket.random().text()})
            for _ in range(301)
        ]
        assert {answer.status_code for answer in guesses[:300]} == {404}
        assert guesses[300].status_code == 429
        assert int(guesses[300].headers["retry-after"]) > 60


@pytest.mark.fact(46)
@pytest.mark.slow
def test_opening_a_shared_link_is_not_counted_and_guessing_is(place: Place) -> None:
    with closing(visitor(place)) as ann, somebody(place) as client:
        place.job_queue.deliver(session_of(place, ann), 1)
        assert ann.post("/portrait/portrait-001/heart", json={"on": True}).status_code == 204
        key = ann.post("/session/share").json()["path"].partition("#")[2]
        opened = {client.post("/shared/open", json={"ticket": key}).status_code for _ in range(320)}
        assert opened == {204}
        guesses = [
            client.post("/shared/open", json={"ticket": ShareTicket.random().text()}).status_code
            for _ in range(301)
        ]
        assert (set(guesses[:300]), guesses[300]) == ({404}, 429)
