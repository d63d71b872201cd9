"""The door: leaving a session to the next person, and a link that asks first."""

from __future__ import annotations

from contextlib import closing

import httpx

from tests.support.web import Place, session_of, visitor


def test_a_link_into_another_session_asks_first(ann: httpx.Client, place: Place) -> None:
    ticket = ann.get("/session/link").json()["path"].partition("#")[2]
    with closing(visitor(place)) as bob:
        before = bob.cookies["likeness"]
        asked = bob.post("/session/return", json={"ticket": ticket})
        assert asked.status_code == 409
        assert "Another session is open" in asked.json()["sentence"]
        assert bob.cookies["likeness"] == before
        let_in = bob.post("/session/return", json={"ticket": ticket, "instead": True})
        assert let_in.json() == {"next": "/studio/"}
        assert bob.cookies["likeness"] == ticket
        # One's own link, again: there is nothing to ask.
        assert bob.post("/session/return", json={"ticket": ticket}).status_code == 200


def test_a_wrong_link_is_a_404_before_anything_is_asked(ann: httpx.Client) -> None:
    answer = ann.post("/session/return", json={"ticket": "x.y", "instead": True})
    assert answer.status_code == 404
    assert ann.get("/status").status_code == 200


def test_leaving_forgets_the_session_in_this_browser_only(ann: httpx.Client, place: Place) -> None:
    session, ticket = session_of(place, ann), ann.cookies["likeness"]
    answer = ann.post("/session/leave")
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    assert "likeness" not in ann.cookies
    assert place.services.sessions.alive(session.id)
    assert ann.post("/session/return", json={"ticket": ticket}).status_code == 200


def test_the_known_visitor_can_go_on_or_make_room(ann: httpx.Client) -> None:
    page = ann.get("/").text
    assert "Continue where you left off" in page
    assert 'action="/session/leave"' in page
    assert 'id="choose"' not in page
