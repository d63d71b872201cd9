"""What an open page costs and how long it waits: the real server, a job that trains, 200 pages.

The pages poll as web/static/studio.js does while a job runs, from a process of their own, each
with a session of its own. The reference is the same with nothing to train.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import ssl
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import httpx
import psutil

import settings as configuration
from benchmarks.measure import Measurement
from dev.own_server import own_server
from tests.support.gradio_client import event_of, gradio_config, send_event

PAGES = 200
PAUSE_S = 1.5  # WORKING in web/static/studio.js
WARM_UP_S = 5.0
IDLE_S, BUSY_S = 20.0, 40.0
CPU_S = 5.0
STARTS = 3
TRAINING_WITHIN_S = 180.0


@dataclass(frozen=True)
class Server:
    """`python app.py`, ready to answer. `seconds` from its start to its first answer."""

    process: psutil.Process
    url: str
    seconds: float

    def resident_mb(self) -> float:
        """Of the server and its children, MB."""
        everybody = [self.process, *self.process.children(recursive=True)]
        return sum(one.memory_info().rss for one in everybody) / 1e6

    def cpu_percent(self) -> float:
        """Of one core, while nobody asks anything, %."""
        return self.process.cpu_percent(CPU_S)


@contextmanager
def server() -> Iterator[Server]:
    """A server on an empty scratch folder, with the settings that everybody starts with."""
    started = time.perf_counter()
    with own_server(LOG_LEVEL="warning") as (process, url):
        while not _answers(url):
            time.sleep(0.005)
        seconds = time.perf_counter() - started
        yield Server(psutil.Process(process.pid), url, seconds)


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health").status_code == 200
    except httpx.TransportError:
        return False


def enter(url: str) -> httpx.Client:
    """A visitor with a session, as a browser would come in."""
    visitor = httpx.Client(base_url=url, headers={"origin": url}, timeout=60)
    visitor.post("/session", data={"consent": "yes"})
    return visitor


def train(visitor: httpx.Client) -> None:
    """Bring the sample photos, order with what the page offers, return when the training runs."""
    visitor.post("/photos/samples").raise_for_status()
    config = gradio_config(visitor)
    event = event_of(config, "create")
    values = {part["id"]: part["props"].get("value") for part in config["components"]}
    send_event(visitor, event, [values[part] for part in event["inputs"]])
    until = time.monotonic() + TRAINING_WITHIN_S
    while (job := visitor.get("/status").json()["job"]) is None or job["phase"] != "training":
        if time.monotonic() > until:
            raise TimeoutError(f"no training: {job}")
        time.sleep(0.5)


def poll_p95(url: str, tickets: list[str], seconds: float) -> float:
    """The 95th percentile of what a page waits for /status, ms."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.pages", url, str(seconds)],
        cwd=configuration.ROOT,
        input=json.dumps(tickets),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    waits: list[float] = json.loads(done.stdout)
    return 1000 * statistics.quantiles(waits, n=20)[-1]


def run() -> dict[str, Measurement]:
    starts = []
    for _ in range(STARTS - 1):
        with server() as first:
            starts.append(first.seconds)
    with server() as ours:
        starts.append(ours.seconds)
        visitors = [enter(ours.url) for _ in range(PAGES)]
        for address in ("/", "/studio/", "/studio-parts", "/privacy"):
            visitors[0].get(address).raise_for_status()
        cpu = ours.cpu_percent()
        tickets = [visitor.cookies["likeness"] for visitor in visitors]
        idle = poll_p95(ours.url, tickets, IDLE_S)
        resident = ours.resident_mb()
        train(visitors[0])
        busy = poll_p95(ours.url, tickets, BUSY_S)
    return {
        "poll_p95": Measurement(busy, "ms, beside an idle server", "<= 250", idle),
        "start_seconds": Measurement(statistics.median(starts), "s", "<= 3"),
        "idle_rss_mb": Measurement(resident, "MB", "<= 350"),
        "idle_cpu": Measurement(cpu, "% of a core", "<= 3"),
    }


# --- the process of the pages --------------------------------------------------------------------


async def _page(
    url: str, ticket: str, delay: float, until: float, trust: ssl.SSLContext
) -> list[float]:
    """One open page; how long each of its polls took after the warm-up, s."""
    waits, marks = [], {"photos": "", "portraits": ""}
    counted_from = time.perf_counter() + WARM_UP_S
    await asyncio.sleep(delay)
    # The context is for no TLS here, but to build one per client takes longer than the bench.
    async with httpx.AsyncClient(
        base_url=url, cookies={"likeness": ticket}, timeout=60, verify=trust
    ) as client:
        while (asked := time.perf_counter()) < until:
            answer = await client.get("/status", params=marks)
            if asked > counted_from:
                waits.append(time.perf_counter() - asked)
            told = answer.raise_for_status().json()
            marks = {"photos": told["photos_mark"], "portraits": told["portraits_mark"]}
            await asyncio.sleep(PAUSE_S)
    return waits


async def _pages(url: str, tickets: list[str], seconds: float) -> list[float]:
    until = time.perf_counter() + WARM_UP_S + seconds
    trust = ssl.create_default_context()
    pages = [
        _page(url, ticket, PAUSE_S * place / len(tickets), until, trust)
        for place, ticket in enumerate(tickets)
    ]
    return [wait for waits in await asyncio.gather(*pages) for wait in waits]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Poll like open pages; tickets on stdin.")
    parser.add_argument("url")
    parser.add_argument("seconds", type=float)
    chosen = parser.parse_args()
    print(json.dumps(asyncio.run(_pages(chosen.url, json.load(sys.stdin), chosen.seconds))))
