"""A job queue in which no model learns or draws anything, and looks for it.

It keeps to the interface of `job_queue.JobQueue`, "trains" for as long as it is told, and puts
drawn pictures into the real vault.
"""

from __future__ import annotations

import io
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict

from PIL import Image, ImageDraw

from errors import BadOrder, UnknownSession
from messages import Message
from pipeline.compositing.look import PhotoLook
from pipeline.job_counts import Census, JobCounts
from pipeline.orders import Order, OrderedWay, Progress, Way
from pipeline.photos.album import Album
from pipeline.planning.pace import Countdown
from pipeline.portraits.score import PortraitRecord, rank
from pipeline.portraits.sheet import is_kept, load_sheet
from pipeline.portraits.style import Style
from privacy.sessions import Session, Sessions
from privacy.vault import Vault

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

_COLOURS = ("#b9c0c7", "#9db7d3", "#6b4f3a", "#8e2f3c", "#777777")


class FakeJobQueue:
    """One thread per job; each step takes `step_s`, also while it is changed. Stops like the real
    one."""

    gpu_failed = False

    def __init__(self, sessions: Sessions, vault: Vault, album: Album, step_s: float) -> None:
        self.step_s = step_s
        self.orders: list[Order] = []
        self._stays_at = ""
        self.counts = JobCounts(sessions.tally)
        self._sessions, self._vault, self._album = sessions, vault, album
        self._progress: dict[str, Progress] = {}
        self._ways: dict[str, OrderedWay] = {}
        self._stopping: dict[str, threading.Event] = {}
        self._threads: dict[str, threading.Thread] = {}
        sessions.on_erase.append(self._forget)

    def submit(self, session: Session, order: Order, address: str | None = None) -> None:
        if unknown := [key for key in order.styles if key not in STYLES]:
            raise BadOrder("order.unknown_style", key=repr(unknown[0]), known=", ".join(STYLES))
        needed = 4 if "painted" in order.ways else 1
        if sum(record.accepted for record in self._album.records(session)) < needed:
            if needed == 1:
                raise BadOrder("order.no_photo")
            raise BadOrder("order.no_photos", needed=4)
        self.orders.append(order)
        self._ways[session.id] = order.way
        self._stopping[session.id] = threading.Event()
        self._progress[session.id] = Progress("queued", place=1, message=Message("job.ahead.next"))
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

    def close(self) -> None:
        """Stop all jobs, before what they write to is closed."""
        for session_id in list(self._threads):
            self.stop(session_id)

    def portraits(self, session: Session) -> list[PortraitRecord]:
        return rank(load_sheet(self._vault, session))

    def census(self) -> Census:
        """All of them run at once: none waits."""
        jobs = [(self._ways[name], progress.phase) for name, progress in self._progress.items()]
        return Census.of(jobs, working=True)

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
            trained = way != "painted" or self._trained(session, order, stopping)
            if not trained or not self._made(session, order, way, stopping):
                stopped = True
                break
        if stopped:
            show[session.id] = Progress("stopped", message=Message("job.sentence.stopped"))
            return
        if order.keep_adapter:
            self._vault.put(session, "adapter", "adapter", b"a model")
        self._sessions.delivered(session)
        self.counts.ended(order.way, "done", Countdown(0.0))
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
        records = [r for r in load_sheet(self._vault, session) if not is_kept(r.id)]
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
