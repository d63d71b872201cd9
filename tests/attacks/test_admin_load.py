"""Two hundred visitors at once, read by a monitor meanwhile: every number is right."""

from __future__ import annotations

import sqlite3
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from http.cookiejar import CookieJar, DefaultCookiePolicy
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from errors import Stopped
from pipeline import job, memory
from pipeline.job_queue import JobQueue
from pipeline.orders import Limits, Order, OrderedWay
from pipeline.photos.album import Album
from pipeline.planning.planning import Planning
from privacy.sessions import Sessions
from privacy.tally import ON_TIME
from privacy.vault import Vault
from tests.attacks.test_admin import TOKEN, written
from tests.support.waiting import until
from tests.support.web import served

VISITORS, ORDERS, LEAVING = 200, 60, 20
WAYS: tuple[OrderedWay, ...] = ("photo", "painted", "both")


def real_queue(sessions: Sessions, vault: Vault, album: Album, _: float) -> JobQueue:
    """The queue of the server, for jobs that make nothing."""
    planning = Planning(None, Path("/nowhere/calibration.json"), [])
    nothing = cast(Any, None)
    services = job.Services(
        vault=vault,
        sessions=sessions,
        album=album,
        faces=nothing,
        segmenter=nothing,
        mesh=nothing,
        styles=cast(Any, {"corporate": SimpleNamespace(key="corporate")}),
        limits=Limits(1, 200, 20),
        load_base=nothing,
        planning=planning,
    )
    return JobQueue(services, queue_length=VISITORS)


def numbers(client: httpx.Client) -> Counter[str]:
    """What `/metrics` says, labels left out: families summed."""
    said = client.get("/metrics", headers={"authorization": f"Bearer {TOKEN}"}).text
    found: Counter[str] = Counter()
    for family in text_string_to_metric_families(said):
        for sample in family.samples:
            outcome = sample.labels.get("outcome") or sample.labels.get("punctuality") or ""
            found[" ".join([sample.name, outcome]).strip()] += sample.value  # type: ignore[assignment]
    return found


def monitored(client: httpx.Client, done: threading.Event) -> list[Counter[str]]:
    """What a monitor reads until everybody has come."""
    read = [numbers(client)]
    while not done.wait(0.5):
        read.append(numbers(client))
    return read


@pytest.mark.fact(70)
def test_numbers_are_right_while_two_hundred_come_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = threading.Event()

    def run(*_: object, stop: Any, **__: object) -> job.Report:
        while not opened.wait(0.02):
            if stop():
                raise Stopped
        return job.Report()

    monkeypatch.setattr(job, "run", run)
    monkeypatch.setattr(job, "release", lambda: None)
    monkeypatch.setattr(memory, "give_back", lambda: None)
    good = [SimpleNamespace(accepted=True, is_sample=False)]
    monkeypatch.setattr(Album, "records", lambda *_: good)
    options = {"admin": str(written(tmp_path)), "queue": real_queue}
    with served(tmp_path / "scratch", **options) as place:
        queue = cast(JobQueue, place.job_queue)
        headers = {"origin": place.url}
        forgetful = CookieJar(DefaultCookiePolicy(allowed_domains=[]))
        with httpx.Client(
            base_url=place.url, headers=headers, cookies=forgetful, timeout=60
        ) as client:

            def visit(number: int) -> dict[str, str]:
                """Begin, order if one of the last, read the page; the cookie."""
                begun = client.post("/session", data={"consent": "yes"})
                name, _, ticket = begun.headers["set-cookie"].partition(";")[0].partition("=")
                if number >= VISITORS - ORDERS:
                    session = place.services.sessions.open(ticket)
                    queue.submit(session, Order((), 2, way=WAYS[number % 3]))
                cookie = {"cookie": f"{name}={ticket}"}
                assert "Continue where you left off" in client.get("/", headers=cookie).text
                return cookie

            def leave(cookie: dict[str, str]) -> None:
                assert client.post("/session/delete", headers=cookie).status_code == 200

            with ThreadPoolExecutor(16) as visitors, ThreadPoolExecutor(1) as monitor:
                done = threading.Event()
                read = monitor.submit(monitored, client, done)
                cookies = list(visitors.map(visit, range(VISITORS)))
                done.set()
                seen = [one["likeness_sessions_open"] for one in read.result()]
                assert seen == sorted(seen)
                now = numbers(client)
                assert now["likeness_sessions_open"] == VISITORS
                assert now["likeness_jobs_running"] == 1
                assert now["likeness_jobs_waiting"] == ORDERS - 1
                list(visitors.map(leave, cookies[-LEAVING:]))
            opened.set()
            until(lambda: not (queue.census().waiting or queue.census().running), 60)
            last = numbers(client)
            assert last["likeness_sessions_open"] == VISITORS - LEAVING
            assert last["likeness_jobs_total done"] == ORDERS - LEAVING
            assert last["likeness_jobs_waiting"] + last["likeness_jobs_running"] == 0
            assert last["likeness_jobs_total stopped"] == LEAVING
            assert last["likeness_job_duration_seconds_count"] == ORDERS - LEAVING
            assert last["likeness_erasures_total on_time"] == LEAVING
            assert last["likeness_erasures_total late"] == last["likeness_erasures_overdue"] == 0
            with closing(sqlite3.connect(tmp_path / "scratch" / "likeness.db")) as database:
                kept = dict(database.execute("SELECT name, number FROM tally").fetchall())
            assert kept[ON_TIME] == LEAVING
            assert sum(kept[f"jobs/{way}/done"] for way in WAYS) == ORDERS - LEAVING
        queue.close()
