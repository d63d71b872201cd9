"""Sixty people who bring eight photos each at the same moment: who waits how long, and for what.

The real server; visitors in a process of their own, each with one upload and a page that polls. The
reference of the polls is the same server with the same pages before anybody brings anything.
"""

from __future__ import annotations

import asyncio
import json
import ssl
import statistics
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from typing import Any

import cv2
import httpx
import numpy as np
import psutil

import settings as configuration
from benchmarks.measure import Measurement
from benchmarks.pages import PAUSE_S, enter, server

VISITORS, PHOTOS = 60, 8
PHOTO_BYTES = 1_700_000
PREVIEW_PX = 800  # as web/static/shrink.js makes them
IDLE_S = 10.0
LONGEST_S = 180.0
"""Photos without a verdict by then count as if they had got it."""


@dataclass
class Seen:
    """What the pages saw: seconds of each poll, and of each verdict since the uploads began; how
    many photos were cut out at the end."""

    kept: int = 0
    polls: list[float] = field(default_factory=list)
    verdicts: list[list[float]] = field(default_factory=list)


def crowd() -> dict[str, Measurement]:
    """First and 95th-percentile verdicts, polls, and the memory of all the server's processes."""
    with server() as ours:
        tickets = [enter(ours.url).cookies["likeness"] for _ in range(VISITORS)]
        idle = _visit(ours.url, tickets, bring=False)
        most = [0.0]
        ended = threading.Event()
        watching = threading.Thread(target=_watch, args=(ours.process, most, ended))
        watching.start()
        busy = _visit(ours.url, tickets, bring=True)
        ended.set()
        watching.join()
    first = max(times[0] for times in busy.verdicts)
    every = [seconds for times in busy.verdicts for seconds in times]
    return {
        "crowd_first_verdict": Measurement(first, "s, the last of 60 people's first", "<= 10"),
        "crowd_verdict_p95": Measurement(_p95(every), "s", "<= 60"),
        "crowd_poll_p95": Measurement(
            1000 * _p95(busy.polls), "ms, beside an idle server", "<= 150", 1000 * _p95(idle.polls)
        ),
        "crowd_cut_out": Measurement(
            busy.kept, f"of {VISITORS * PHOTOS} photos within {LONGEST_S:.0f} s", "all"
        ),
        "crowd_memory": Measurement(most[0], "MB, proportional set size of all", "<= 600"),
    }


def _p95(values: list[float]) -> float:
    return statistics.quantiles(values, n=20)[-1]


def _watch(process: psutil.Process, most: list[float], ended: threading.Event) -> None:
    """Keep the most memory that the server and its children took together, MB."""
    while not ended.wait(0.5):
        total = 0
        for one in [process, *process.children(recursive=True)]:
            try:
                total += one.memory_full_info().pss
            except psutil.Error:
                continue  # a fork that opened one photo has ended meanwhile
        most[0] = max(most[0], total / 1e6)


def _visit(url: str, tickets: list[str], *, bring: bool) -> Seen:
    """Let the visitors' process run; it prints what its pages saw."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.crowd", url, "bring" if bring else "look"],
        cwd=configuration.ROOT,
        input=json.dumps(tickets),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return Seen(**json.loads(done.stdout))


# --- the process of the visitors -----------------------------------------------------------------


def _photos() -> list[bytes]:
    """Different photos of people who do not exist, as large as a telephone's."""
    samples = sorted((configuration.ROOT / "web" / "samples").glob("*.jpg"))
    made = []
    for number in range(PHOTOS):
        image = cv2.imread(str(samples[number % len(samples)]))
        image = cv2.resize(image, (2400, 2400), interpolation=cv2.INTER_CUBIC)
        rng = np.random.default_rng(number)
        grain = rng.normal(0, 6, image.shape).astype(np.float32)
        image = np.clip(image * rng.uniform(0.9, 1.1) + grain, 0, 255).astype(np.uint8)
        for quality in range(95, 20, -5):
            coded = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()
            if len(coded) <= PHOTO_BYTES:
                break
        made.append(coded)
    return made


async def _page(client: httpx.AsyncClient, seen: Seen, judged: list[float], until: float) -> None:
    """Poll until everything is cut out or the time is over."""
    began, kept = time.perf_counter(), 0
    while (asked := time.perf_counter()) < until and kept < PHOTOS:
        answer = await client.get("/status")
        now = time.perf_counter()
        seen.polls.append(now - asked)
        listed = answer.raise_for_status().json()["photos"]["list"]
        told = len({photo["label"] for photo in listed})  # one that was sent again counts once
        judged += [now - began] * (told - len(judged))
        kept = len({photo["label"] for photo in listed if photo["image"]})
        await asyncio.sleep(PAUSE_S)
    seen.kept += kept


def _preview(photo: bytes) -> bytes:
    """The small picture that the page sends first."""
    image = cv2.imdecode(np.frombuffer(photo, np.uint8), cv2.IMREAD_COLOR)
    small = cv2.resize(image, (PREVIEW_PX, PREVIEW_PX), interpolation=cv2.INTER_AREA)
    return cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, 90])[1].tobytes()


async def _upload(client: httpx.AsyncClient, files: list[Any]) -> None:
    """All photos in one request, as the page sends them; what is refused for now is sent again."""
    while (await client.post("/studio/gradio_api/upload", files=files)).status_code in (429, 503):
        await asyncio.sleep(2)


async def _visitors(url: str, tickets: list[str], bring: bool) -> Seen:
    seen, trust = Seen(), ssl.create_default_context()
    photos = _photos() if bring else []
    fields = [("preview", map(_preview, photos)), ("files", photos)]
    files = [
        (field, (f"{n}.jpg", data, "image/jpeg"))
        for field, pictures in fields
        for n, data in enumerate(pictures)
    ]
    until = time.perf_counter() + (LONGEST_S if bring else IDLE_S)
    clients = [
        httpx.AsyncClient(
            base_url=url,
            cookies={"likeness": ticket},
            headers={"origin": url},
            timeout=LONGEST_S,
            verify=trust,
        )
        for ticket in tickets
    ]
    seen.verdicts = [[] for _ in clients]
    uploads = [asyncio.create_task(_upload(c, files)) for c in clients] if bring else []
    pages = zip(clients, seen.verdicts, strict=True)
    await asyncio.gather(*(_page(client, seen, judged, until) for client, judged in pages))
    for upload in uploads:
        upload.cancel()
    await asyncio.gather(*uploads, return_exceptions=True)
    for judged in seen.verdicts:
        judged += [LONGEST_S] * (PHOTOS - len(judged))
    return seen


if __name__ == "__main__":
    looked = asyncio.run(_visitors(sys.argv[1], json.load(sys.stdin), sys.argv[2] == "bring"))
    print(json.dumps(vars(looked)))
