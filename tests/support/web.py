"""The web layer over real parts, except that no model learns or draws anything.

`FakeJobQueue` is the only fake: it keeps to the interface of `job_queue.JobQueue`, "trains" for
as long as it is told, and puts drawn pictures into the real vault.
"""

from __future__ import annotations

import io
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

import httpx
import uvicorn
from fastapi import FastAPI
from PIL import Image, ImageDraw

import settings as configuration
from app import listen
from errors import BadOrder, UnknownSession
from pipeline.assembly import cutter
from pipeline.compositing.face_mesh import FaceMesh
from pipeline.compositing.look import PhotoLook
from pipeline.compositing.segmenter import Segmenter
from pipeline.orders import Order, Progress, Way
from pipeline.photos.album import Album, Keeping
from pipeline.photos.detection import Faces
from pipeline.photos.ingest import Decoder
from pipeline.planning.planning import Planning
from pipeline.portraits.score import PortraitRecord, rank
from pipeline.portraits.sheet import load_sheet
from pipeline.portraits.style import Style
from privacy.clock import Clock
from privacy.database import Database
from privacy.keys import MasterKey
from privacy.receipt_log import ReceiptLog
from privacy.sessions import Session, Sessions
from privacy.vault import Vault
from settings import Settings
from web.server import build
from web.services import Services
from web.units import HOUR_S, MB
from words import say

STYLES = {
    style.key: style
    for style in (
        Style(
            "corporate",
            "Corporate",
            "Grey studio, even light.",
            "work",
            "{subject}",
            photo=PhotoLook("canvas", "#85888f", 0.4),
        ),
        Style(
            "linkedin-classic", "LinkedIn Classic", "Soft blue, a clear face.", "work", "{subject}"
        ),
        Style(
            "old-money",
            "Old Money",
            "Dark wood, warm lamp.",
            "editorial",
            "{subject}",
            photo=PhotoLook("canvas", "#5a2a22", 0.4, light="left"),
        ),
        Style(
            "corporate-baddie", "Corporate Baddie", "Glossy light, deep red.", "social", "{subject}"
        ),
        Style(
            "black-white",
            "Black & White",
            "Nothing but light.",
            "monochrome",
            "{subject}",
            translations={"de": {"name": "Schwarz-Weiß", "description": "Nichts als Licht."}},
        ),
    )
}
AS_THE_LOOK = ("look", "look", "painted")
"""Shape and backdrop of an order as the page sends them when nobody chose, and the painted way."""

_COLOURS = ("#b9c0c7", "#9db7d3", "#6b4f3a", "#8e2f3c", "#777777")


class FakeJobQueue:
    """One thread per job; each step takes `step_s`, also while it is changed. Stops like the real
    one."""

    def __init__(self, sessions: Sessions, vault: Vault, album: Album, step_s: float) -> None:
        self.step_s = step_s
        self.orders: list[Order] = []
        self._stays_at = ""
        self._sessions, self._vault, self._album = sessions, vault, album
        self._progress: dict[str, Progress] = {}
        self._stopping: dict[str, threading.Event] = {}
        self._threads: dict[str, threading.Thread] = {}
        sessions.on_erase.append(self._forget)

    def submit(self, session: Session, order: Order) -> None:
        if any(key not in STYLES for key in order.styles):
            raise BadOrder("There is no such look.")
        needed = 4 if "painted" in order.ways else 1
        if sum(record.accepted for record in self._album.records(session)) < needed:
            raise BadOrder(
                say("order.no_photo") if needed == 1 else say("order.no_photos", needed=4)
            )
        self.orders.append(order)
        self._stopping[session.id] = threading.Event()
        self._progress[session.id] = Progress("queued", place=1, sentence=say("job.ahead.next"))
        thread = threading.Thread(target=self._work, args=(session, order), daemon=True)
        self._threads[session.id] = thread
        thread.start()

    def progress(self, session_id: str) -> Progress | None:
        return self._progress.get(session_id)

    def stop(self, session_id: str, wait_s: float = 5.0) -> bool:
        if session_id in self._stopping:
            self._stopping[session_id].set()
            self._threads[session_id].join(wait_s)
        return True

    def portraits(self, session: Session) -> list[PortraitRecord]:
        return rank(load_sheet(self._vault, session))

    def deliver(
        self, session: Session, count: int, style: str = "corporate", way: Way = "painted"
    ) -> None:
        """What a finished job leaves behind, at once."""
        for _ in range(count):
            self._add(session, style, way)
        self._sessions.delivered(session)

    @contextmanager
    def staying_at(self, phase: str) -> Iterator[None]:
        """Jobs that come to this phase go on no further until the block ends."""
        self._stays_at = phase
        try:
            yield
        finally:
            self._stays_at = ""

    def _stopped(self, phase: str, stopping: threading.Event, steps: float = 1.0) -> bool:
        """Wait for as long as so many steps take; whether the job is to stop."""
        began = time.monotonic()
        while self._stays_at == phase or time.monotonic() - began < steps * self.step_s:
            if stopping.wait(0.01):
                return True
        return stopping.is_set()

    def _forget(self, session_id: str) -> None:
        self.stop(session_id)
        self._progress.pop(session_id, None)

    def _work(self, session: Session, order: Order) -> None:
        stopping, show = self._stopping[session.id], self._progress
        show[session.id] = Progress("preparing", count=order.count)
        stopped = self._stopped("preparing", stopping)
        for way in () if stopped else order.ways:
            trained = way == "photo" or self._trained(session, order, stopping)
            if not trained or not self._made(session, order, way, stopping):
                stopped = True
                break
        if stopped:
            show[session.id] = Progress("stopped", sentence=say("job.sentence.stopped"))
            return
        if order.keep_adapter:
            self._vault.put(session, "adapter", "adapter", b"a model")
        self._sessions.delivered(session)
        show[session.id] = Progress("done", made=order.count, count=order.count)

    def _trained(self, session: Session, order: Order, stopping: threading.Event) -> bool:
        for step in range(1, 6):
            self._progress[session.id] = Progress(
                "training", step=step, steps=5, count=order.count, seconds_left=90.0
            )
            if self._stopped("training", stopping):
                return False
        return True

    def _made(self, session: Session, order: Order, way: Way, stopping: threading.Event) -> bool:
        for made in range(order.count):
            if self._stopped("generating", stopping, 0.5):
                return False
            try:
                self._add(session, order.styles[made % len(order.styles)], way)
            except UnknownSession:
                return False
            self._progress[session.id] = Progress("generating", made=made + 1, count=order.count)
        return True

    def _add(self, session: Session, style: str, way: Way = "painted") -> None:
        records = load_sheet(self._vault, session)
        number = len(records) + 1
        likeness = 0.9 - 0.05 * (number % 7)
        record = PortraitRecord(
            f"portrait-{number:03d}", style, number, likeness, doubtful=number % 5 == 0, way=way
        )
        self._vault.put(session, "portrait", record.id, picture(number))
        rows = [asdict(row) for row in (*records, record)]
        self._vault.put(session, "sheet", "portraits", json.dumps(rows).encode())


def picture(number: int) -> bytes:
    """A drawn portrait, PNG, 320 px: a head and shoulders, each number another colour."""
    image = Image.new("RGB", (320, 320), _COLOURS[number % len(_COLOURS)])
    draw = ImageDraw.Draw(image)
    draw.ellipse((20, 230, 300, 500), fill="#2f3640")
    draw.ellipse((100, 60, 220, 210), fill="#e3bd9f")
    draw.text((10, 300), str(number), fill="#ffffff")
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


@dataclass(frozen=True)
class Place:
    """An application, its parts, and where it is served (if it is)."""

    app: FastAPI
    services: Services
    job_queue: FakeJobQueue
    url: str = ""


@contextmanager
def place(
    scratch: Path, *, now: Callable[[], float] = time.time, step_s: float = 0.02, **settings: object
) -> Iterator[Place]:
    """The application over real sessions, vault and album in `scratch`."""
    beside = {"receipts": scratch.with_name(f"{scratch.name}-receipts")}
    chosen: Settings = configuration.load(scratch=scratch, **(beside | settings))
    scratch.mkdir(mode=0o700, exist_ok=True)
    with ExitStack() as closing:
        database = Database(scratch / "likeness.db")
        closing.callback(database.close)
        vault = Vault(scratch / "vault", database)
        sessions = Sessions(
            database,
            vault,
            MasterKey.ram(),
            Clock(database, now),
            retention_s=chosen.retention_hours * HOUR_S,
            undelivered_s=chosen.undelivered_hours * HOUR_S,
        )
        receipt_log = ReceiptLog(chosen.receipts, configuration.VERSION)
        closing.callback(receipt_log.close)
        sessions.receipts.attach(receipt_log)
        decoder = Decoder(
            max_bytes=chosen.max_photo_mb * MB,
            max_pixels=chosen.max_photo_megapixels * MB,
        )
        closing.callback(decoder.close)
        faces = Faces(chosen.models / "faces")
        album = Album(
            vault,
            decoder,
            faces,
            cutter(Segmenter(chosen.models / "faces")),
            Keeping(chosen.max_photos, 768, 768),
        )
        job_queue = FakeJobQueue(sessions, vault, album, step_s)
        mesh = FaceMesh(chosen.models / "faces")
        planning = Planning(None, chosen.receipts / "calibration", [])
        services = Services(
            chosen, sessions, vault, album, cast(Any, job_queue), STYLES, mesh, planning, now
        )
        yield Place(build(chosen, services), services, job_queue)


@contextmanager
def served(scratch: Path, **options: object) -> Iterator[Place]:
    """The same, served by a real uvicorn on a free port of 127.0.0.1, as `app.py` does."""
    with place(scratch, **options) as built, listen("127.0.0.1", 0) as listening:  # type: ignore[arg-type]
        config = uvicorn.Config(
            built.app, log_config=None, access_log=False, server_header=False,
            timeout_graceful_shutdown=1,
        )  # fmt: skip
        server = uvicorn.Server(config)
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


def gradio_config(client: httpx.Client) -> dict[str, Any]:
    """What the server tells Gradio's browser code about the page."""
    page = client.get("/studio/").text
    start = page.index("window.gradio_config = ") + len("window.gradio_config = ")
    config, _ = json.JSONDecoder().raw_decode(page, start)
    return config


def event_of(config: dict[str, Any], elem_id: str) -> dict[str, Any]:
    """The event that a component of the page starts."""
    component = next(c for c in config["components"] if c["props"].get("elem_id") == elem_id)
    return next(
        event
        for event in config["dependencies"]
        if component["id"] in [target[0] for target in event["targets"]]
    )


def send_event(
    client: httpx.Client, event: dict[str, Any], data: list[Any], channel: str = "page1"
) -> tuple[httpx.Response, list[dict[str, Any]]]:
    """Start an event as Gradio's browser code does, and hear what comes of it."""
    joined = client.post(
        "/studio/gradio_api/queue/join",
        json={"data": data, "fn_index": event["id"], "session_hash": channel},
    )
    return joined, hear(client, channel) if joined.status_code == 200 else []


def hear(client: httpx.Client, channel: str) -> list[dict[str, Any]]:
    """Everything on an event stream until the server closes it."""
    messages = []
    address, query = "/studio/gradio_api/queue/data", {"session_hash": channel}
    # A stream that nobody may hear is broken off after its one message.
    with suppress(httpx.RemoteProtocolError), client.stream("GET", address, params=query) as stream:
        for line in stream.iter_lines():
            if line.startswith("data:"):
                messages.append(json.loads(line.removeprefix("data:")))
    return messages
