"""Requests that take long, in masses, while another visitor asks how things are.

What is slow about each is held up here until the other visitor was answered; so one thread more
than the kind may have would be seen, and no clock decides.
"""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from privacy.keys import Ticket
from tests.support.waiting import until
from tests.support.web import Place, served, session_of, visitor
from web.http import heavy
from web.routes import portraits

THREADS = 40  # of the server, for everything


@dataclass
class Barrier:
    """Slow work that does not end before it may."""

    open: threading.Event = field(default_factory=threading.Event)
    inside: int = 0
    most: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def before(self, work: Callable[..., Any]) -> Callable[..., Any]:
        def held_up(*arguments: Any, **named: Any) -> Any:
            with self.lock:
                self.inside += 1
                self.most = max(self.most, self.inside)
            self.open.wait(60)
            with self.lock:
                self.inside -= 1
            return work(*arguments, **named)

        return held_up


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    with served(tmp_path / "scratch") as built:
        yield built


@pytest.fixture
def ann(place: Place) -> Iterator[httpx.Client]:
    with closing(visitor(place)) as client:
        place.job_queue.deliver(session_of(place, client), 3)
        yield client


@pytest.fixture
def bob(place: Place) -> Iterator[httpx.Client]:
    with closing(visitor(place)) as client:
        yield client


Cookies = Callable[[], dict[str, str]]


def flood(place: Place, asked: str, count: int, cookies: Cookies) -> list[httpx.Response]:
    """The same request many times at once, each over a connection of its own."""
    method, path = asked.split(" ")

    async def one() -> httpx.Response:
        head = {"origin": place.url, "accept": "*/*"}
        async with httpx.AsyncClient(
            base_url=place.url, headers=head, cookies=cookies(), timeout=120, verify=False
        ) as client:
            return await client.request(method, path)

    async def all_of_them() -> list[httpx.Response]:
        return list(await asyncio.gather(*(one() for _ in range(count))))

    return asyncio.run(all_of_them())


def withstood(
    place: Place, bob: httpx.Client, asked: str, barrier: Barrier, cookies: Cookies, count: int
) -> Counter[int]:
    """Flood the server while its slow work stands still, and ask as another visitor; then let it
    go on. How often each status was answered."""
    with ThreadPoolExecutor(1) as attacker:
        answers = attacker.submit(flood, place, asked, count, cookies)
        try:
            until(lambda: barrier.inside > 0)
            for _ in range(20):
                assert bob.get("/status").status_code == 200
            assert not answers.done()
        finally:
            barrier.open.set()
        refused = [a for a in answers.result() if a.status_code in (429, 503)]
        for answer in refused:
            assert int(answer.headers["retry-after"]) == heavy.RETRY_S
            assert list(answer.json()) == ["sentence"]
        assert barrier.most < THREADS / 4
        assert bob.get("/status").status_code == 200
        return Counter(answer.status_code for answer in answers.result())


def ticket_of(client: httpx.Client) -> Cookies:
    ticket = client.cookies["likeness"]
    return lambda: {"likeness": ticket}


@pytest.mark.slow
@pytest.mark.fact(47)
@pytest.mark.parametrize(
    ("asked", "slow"),
    [
        ("GET /portrait/portrait-001/download?size=print", "one"),
        ("GET /portraits.zip", "archive"),
        ("GET /portrait/portrait-001?size=400&tone=darker", "one"),
    ],
)
def test_downloads_and_previews_leave_threads_for_others(
    place: Place,
    ann: httpx.Client,
    bob: httpx.Client,
    asked: str,
    slow: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    barrier = Barrier()
    monkeypatch.setattr(portraits, slow, barrier.before(getattr(portraits, slow)))
    statuses = withstood(place, bob, asked, barrier, ticket_of(ann), 300)
    assert set(statuses) <= {200, 429}
    assert statuses[200] > 2
    assert ann.get(asked.split(" ")[1]).status_code == 200  # nobody is locked out afterwards


@pytest.mark.slow
@pytest.mark.fact(47)
def test_samples_leave_threads_for_others(
    place: Place, ann: httpx.Client, bob: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    barrier = Barrier()
    album = place.services.album
    monkeypatch.setattr(album, "add", barrier.before(album.add))
    statuses = withstood(place, bob, "POST /photos/samples", barrier, ticket_of(ann), 120)
    assert statuses[204] == 1
    assert set(statuses) <= {204, 400, 429}


@pytest.mark.slow
@pytest.mark.fact(47)
def test_goodbyes_with_invented_cookies_leave_threads_for_others(
    place: Place, bob: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    barrier = Barrier()
    receipts = place.services.sessions.receipts
    monkeypatch.setattr(receipts, "find", barrier.before(receipts.find))

    def invented() -> dict[str, str]:
        return {"likeness-receipt": Ticket.random().receipt().hex()}

    assert withstood(place, bob, "GET /goodbye", barrier, invented, 120) == {200: 120}


@pytest.mark.slow
@pytest.mark.fact(47)
def test_erasures_that_wait_for_a_job_leave_threads_for_others(
    place: Place, ann: httpx.Client, bob: httpx.Client
) -> None:
    barrier = Barrier()
    place.services.sessions.on_erase.append(barrier.before(lambda _: None))
    statuses = withstood(place, bob, "POST /session/delete", barrier, ticket_of(ann), 80)
    assert statuses[200] >= 1
    assert set(statuses) <= {200, 404, 429}
    assert ann.get("/status").status_code == 404


@pytest.mark.fact(47)
def test_a_stop_does_not_wait_for_the_job(
    place: Place, ann: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []

    def stop(session_id: str, wait_s: float = 5.0) -> bool:
        waits.append(wait_s)
        return not threading.Event().wait(wait_s)

    monkeypatch.setattr(place.job_queue, "stop", stop)
    answers = flood(place, "POST /job/stop", 80, ticket_of(ann))
    assert [answer.status_code for answer in answers] == [204] * 80
    assert waits == [0] * 80


@pytest.mark.slow
@pytest.mark.fact(47)
def test_who_waited_too_long_is_told_to_come_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind = heavy.Kind("GET /goodbye", places=1, each=9, wait_s=0.2)
    monkeypatch.setattr(heavy, "ANYBODY", (kind,))
    with served(tmp_path / "scratch") as place, closing(visitor(place)) as bob:
        barrier = Barrier()
        receipts = place.services.sessions.receipts
        monkeypatch.setattr(receipts, "find", barrier.before(receipts.find))
        held = {"likeness-receipt": Ticket.random().receipt().hex()}
        with ThreadPoolExecutor(1) as first:
            opened = first.submit(flood, place, "GET /goodbye", 1, lambda: held)
            until(lambda: barrier.inside == 1)
            late = bob.get("/goodbye", headers={"accept": "text/html"})
            barrier.open.set()
            assert [answer.status_code for answer in opened.result()] == [200]
        assert late.status_code == 503
        assert late.headers["retry-after"] == str(heavy.RETRY_S)
        assert "try again in a moment" in late.text
        assert bob.get("/goodbye").status_code == 200
