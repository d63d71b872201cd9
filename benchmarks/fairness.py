"""How long one visitor's photo waits while another brings thirty, or files made to take long."""

from __future__ import annotations

import io
import statistics
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import httpx
from PIL import Image

import settings as configuration
from benchmarks.measure import Measurement
from benchmarks.pages import enter
from dev.own_server import own_server

TIMES = 5
UPLOADS_AT_ONCE, PHOTOS_EACH = 3, 10
BOMBS, SCANS = 6, 3000


def decode_fair() -> dict[str, Measurement]:
    """Seconds from one photo sent to its verdict, while another visitor's thirty are waiting, and
    while six progressive JPEGs of 3,000 scans are; the reference is the same alone."""
    samples = sorted((configuration.ROOT / "web" / "samples").glob("*.jpg"))
    photos = [sample.read_bytes() for sample in samples]
    with own_server(LOG_LEVEL="warning") as (_, url), ThreadPoolExecutor(8) as browsers:
        _verdict(url, photos[0])  # loads the models, starts the processes
        alone = statistics.median(_verdict(url, photos[0]) for _ in range(TIMES))
        beside = []
        for _ in range(TIMES):
            other = enter(url)
            ten = (photos * PHOTOS_EACH)[:PHOTOS_EACH]
            floods = [browsers.submit(_upload, other, ten) for _ in range(UPLOADS_AT_ONCE)]
            while not other.get("/status").json()["photos"]["list"]:
                time.sleep(0.05)
            beside.append(_verdict(url, photos[0]))
            assert not any(flood.done() for flood in floods), "the other visitor was through"
            for flood in floods:
                flood.result().raise_for_status()
        bombed = []
        for _ in range(TIMES):
            other = enter(url)
            hostile = browsers.submit(_upload, other, [_bomb()] * BOMBS)
            bombed.append(_verdict(url, photos[0]))
            hostile.result()
    return {
        "decode_fair": Measurement(statistics.median(beside), "s", "ratio <= 5", alone),
        "decode_bombs": Measurement(statistics.median(bombed), "s", "ratio <= 3", alone),
    }


def _upload(visitor: httpx.Client, photos: Sequence[bytes]) -> httpx.Response:
    files = [("files", ("photo.jpg", photo, "image/jpeg")) for photo in photos]
    return visitor.post("/studio/gradio_api/upload", files=files, timeout=300)


def _verdict(url: str, photo: bytes) -> float:
    """Seconds until a new visitor's photo is judged."""
    visitor = enter(url)
    started = time.perf_counter()
    _upload(visitor, [photo]).raise_for_status()
    return time.perf_counter() - started


def _bomb() -> bytes:
    """Half a megabyte of progressive JPEG whose last scan comes 3,000 times."""
    buffer = io.BytesIO()
    Image.new("RGB", (7000, 7000), (120, 90, 80)).save(buffer, "JPEG", progressive=True, quality=50)
    data = buffer.getvalue()
    at = data.rindex(b"\xff\xda")
    return data[:at] + data[at:-2] * SCANS + data[-2:]
