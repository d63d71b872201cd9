"""Votes with names that nobody gave out."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import ExitStack
from contextlib import closing as closed
from pathlib import Path

import httpx
import pytest

from tests.support.web import Place, served, session_of, visitor
from web.routes import guests

VOTER = "likeness-voter"
PORTRAIT = "portrait-001"


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    monkeypatch.setattr(guests, "NEW_VOTERS_PER_ADDRESS", 4)
    with served(tmp_path / "scratch") as place:
        yield place


@pytest.fixture
def open_browser(place: Place) -> Iterator[ExitStack]:
    with ExitStack() as closing:
        yield closing


def owner(place: Place, closing: ExitStack) -> httpx.Client:
    client = closing.enter_context(closed(visitor(place)))
    place.job_queue.deliver(session_of(place, client), 1)
    assert client.post(f"/portrait/{PORTRAIT}/heart", json={"on": True}).status_code == 204
    return client


def browser(place: Place, closing: ExitStack) -> httpx.Client:
    client = httpx.Client(base_url=place.url, headers={"origin": place.url})
    return closing.enter_context(client)


def enter(client: httpx.Client, of: httpx.Client) -> int:
    key = of.post("/session/share").json()["path"].partition("#")[2]
    return client.post("/shared/open", json={"ticket": key}).status_code


def vote(client: httpx.Client) -> int:
    return client.post(f"/shared/portrait/{PORTRAIT}/vote", json={"on": True}).status_code


def votes(of: httpx.Client) -> int:
    return sum(of.get("/status").json()["hearts"]["votes"].values())


def name_of(client: httpx.Client, name: str | None = None) -> str:
    if name is not None:
        client.cookies.delete(VOTER)
        client.cookies.set(VOTER, name, path="/shared")
    return next(cookie.value or "" for cookie in client.cookies.jar if cookie.name == VOTER)


@pytest.mark.fact(41)
def test_invented_names_do_not_vote(place: Place, open_browser: ExitStack) -> None:
    ann = owner(place, open_browser)
    guest = browser(place, open_browser)
    assert enter(guest, ann) == 204
    given = name_of(guest)
    assert vote(guest) == 204
    name, ours, here = given.split(".")
    invented = [
        *(secrets.token_urlsafe(16) for _ in range(100)),
        f"{secrets.token_urlsafe(16)}.{ours}.{here}",
        f"{name}.{ours}.{ours}",
        f"{name}.{ours}",
        f"{name}.{ours}.{here[:-1]}",
        "..",
    ]
    for text in invented:
        name_of(guest, text)
        assert vote(guest) == 404
        assert guest.get("/shared/portraits").status_code == 404
    assert votes(ann) == 1
    name_of(guest, given)
    assert vote(guest) == 204
    assert votes(ann) == 1


@pytest.mark.fact(41)
def test_a_name_that_is_not_ours_is_replaced_and_counted(
    place: Place, open_browser: ExitStack
) -> None:
    ann = owner(place, open_browser)
    guest = browser(place, open_browser)
    answers = []
    for _ in range(20):
        mine = secrets.token_urlsafe(16)
        name_of(guest, mine)
        answers.append(enter(guest, ann))
        if answers[-1] == 204:
            guest.cookies.delete(VOTER, domain="", path="/shared")
            assert mine not in name_of(guest)
            assert vote(guest) == 204
        guest.cookies.clear()
    assert answers == [204] * 4 + [429] * 16
    assert votes(ann) == 4


@pytest.mark.fact(41)
def test_a_browser_is_one_voter_whichever_links_it_opens_between(
    place: Place, open_browser: ExitStack
) -> None:
    ann, bob = owner(place, open_browser), owner(place, open_browser)
    guest = browser(place, open_browser)
    assert enter(guest, ann) == 204
    for_ann = name_of(guest)
    assert [enter(guest, ann) for _ in range(10)] == [204] * 10  # no new name, so not counted
    assert vote(guest) == 204
    assert enter(guest, bob) == 204
    for_bob = name_of(guest)
    assert for_ann.split(".")[:2] == for_bob.split(".")[:2]
    assert for_ann != for_bob
    name_of(guest, for_ann)
    assert vote(guest) == 404
    assert votes(bob) == 0
    assert enter(guest, bob) == 204
    assert enter(guest, ann) == 204
    assert vote(guest) == 204
    assert votes(ann) == 1
