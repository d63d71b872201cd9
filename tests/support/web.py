"""The web layer over real parts, except that no model learns or draws anything.

`FakeJobQueue` is the only fake.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import httpx
import uvicorn
from fastapi import FastAPI

import settings as configuration
from app import listen
from pipeline.assembly import cutter
from pipeline.compositing.face_mesh import FaceMesh
from pipeline.compositing.segmenter import Segmenter
from pipeline.photos import cpu_budget
from pipeline.photos.album import Album
from pipeline.photos.arrivals import Keeping
from pipeline.photos.detection import Faces
from pipeline.photos.ingest import Decoder
from pipeline.planning.planning import Planning
from pipeline.portraits import signing
from pipeline.portraits.mattes import Mattes
from privacy.clock import Clock
from privacy.database import Database
from privacy.keys import MasterKey
from privacy.receipt_log import ReceiptLog
from privacy.sessions import Session, Sessions
from privacy.vault import Vault
from settings import Settings
from tests.support.fake_job_queue import STYLES, FakeJobQueue
from web.brand.kit import load as load_brand
from web.entrance import Entrance
from web.hand_in.service import open_desk
from web.http.connections import config
from web.server import build
from web.services import Services
from web.units import HOUR_S, MB


@dataclass(frozen=True)
class Place:
    """An application, its parts, and where it is served (if it is)."""

    app: FastAPI
    services: Services
    job_queue: FakeJobQueue
    url: str = ""


@contextmanager
def place(
    scratch: Path,
    *,
    now: Callable[[], float] = time.time,
    step_s: float = 0.02,
    queue: Callable[[Sessions, Vault, Album, float], Any] = FakeJobQueue,
    **settings: object,
) -> Iterator[Place]:
    """The application over real sessions, vault and album in `scratch`."""
    beside = {"receipts": scratch.with_name(f"{scratch.name}-receipts")}
    chosen: Settings = configuration.load(scratch=scratch, **(beside | settings))
    scratch.mkdir(mode=0o700, exist_ok=True)
    with ExitStack() as closing:
        database = Database(scratch / "likeness.db")
        closing.callback(database.close)
        vault = Vault(scratch / "vault", database)
        clock = Clock(database, now)
        sessions = Sessions(
            database,
            vault,
            MasterKey.ram(),
            clock,
            retention_s=chosen.retention_hours * HOUR_S,
            undelivered_s=chosen.undelivered_hours * HOUR_S,
        )
        receipt_log = ReceiptLog(chosen.receipts, configuration.VERSION)
        closing.callback(receipt_log.close)
        sessions.receipts.attach(receipt_log)
        decoder = Decoder(
            max_bytes=chosen.max_photo_mb * MB,
            max_pixels=chosen.max_photo_megapixels * MB,
            cpu_s_per_hour=cpu_budget.SECONDS,
        )
        closing.callback(decoder.close)
        faces = Faces(chosen.models / "faces")
        segmenter = Segmenter(chosen.models / "faces")
        album = Album(
            vault,
            decoder,
            faces,
            cutter(segmenter),
            Keeping(chosen.max_photos, 768, 768),
        )
        brand = load_brand(chosen.brand, chosen.styles)
        styles = brand.styles or STYLES
        job_queue = queue(sessions, vault, album, step_s)
        closing.callback(job_queue.close)
        mesh = FaceMesh(chosen.models / "faces")
        planning = Planning(None, chosen.receipts / "calibration", [])
        hand_in, done = open_desk(chosen, sessions, clock.now)
        services = Services(
            chosen,
            sessions,
            vault,
            album,
            Mattes(album, segmenter.matte, styles),
            cast(Any, job_queue),
            styles,
            faces,
            mesh,
            planning,
            Entrance(chosen, now),
            now,
            signer=signing.load(chosen.c2pa_key, chosen.c2pa_chain, chosen.c2pa_sign),
            brand=brand,
            hand_in=hand_in,
            done=done,
        )
        yield Place(build(chosen, services), services, job_queue)


@contextmanager
def served(scratch: Path, **options: object) -> Iterator[Place]:
    """The same, served by a real uvicorn on a free port of 127.0.0.1, as `app.py` does."""
    with place(scratch, **options) as built, listen("127.0.0.1", 0) as listening:  # type: ignore[arg-type]
        server = uvicorn.Server(
            config(built.app, built.services.settings.trusted_proxies, timeout_graceful_shutdown=1)
        )
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        _wait_for(url)
        try:
            yield Place(built.app, built.services, built.job_queue, url)
        finally:
            server.should_exit = True
            thread.join(5)


def _wait_for(url: str) -> None:
    for _ in range(200):
        try:
            httpx.get(f"{url}/health")
        except httpx.TransportError:
            time.sleep(0.05)
        else:
            return
    raise TimeoutError(url)


def visitor(where: Place) -> httpx.Client:
    """A browser's cookie jar with a fresh session, and the Origin that a browser would send."""
    client = httpx.Client(base_url=where.url, headers={"origin": where.url}, timeout=30)
    answer = client.post("/session", data={"consent": "yes"})
    assert answer.status_code == 303, answer.text
    return client


def upload(client: httpx.Client, *photos: bytes, name: str = "me.jpg") -> httpx.Response:
    files = [("files", (name, photo, "image/jpeg")) for photo in photos]
    return client.post("/studio/gradio_api/upload", files=files)


def session_of(where: Place, client: httpx.Client) -> Session:
    """The opened session behind a client's cookie."""
    return where.services.sessions.open(client.cookies["likeness"])
