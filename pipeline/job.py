"""One job: what a session ordered, made in the ways it was ordered in, kept as it is made.

    photo     cut-outs ─────────────► composed (`photo_job`)             ─┐
    dressed   cut-outs ─► composed ─► clothes and room painted (`photo_job`) ─┤
    painted   photos ─► adapter ────► painted (`painted_job`)             ─┴─► sheet ─► vault

Knows the order of the ways and when a session counts as delivered; it knows nothing of queues and
threads (`job_queue`), nor how a portrait is made. Torch is imported when a painted job runs, never
before.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from errors import BadOrder
from messages import Message
from pipeline.compositing.tone import TONES
from pipeline.orders import CLASS_WORDS, ORDERED_WAYS, Limits, Order, Progress, Report
from pipeline.planning.planning import Planning
from pipeline.portraits.style import CROPS, Style, choose
from privacy import kinds

if TYPE_CHECKING:
    from pipeline.bases.base import Base
    from pipeline.compositing.face_mesh import FaceMesh
    from pipeline.compositing.segmenter import Segmenter
    from pipeline.photos.album import Album
    from pipeline.photos.detection import Faces
    from privacy.sealed import Files
    from privacy.sessions import Session, Sessions
    from privacy.vault import Vault


@dataclass(frozen=True)
class Tools:
    """The parts that make portraits, on the server or on another machine.

    vault: of the sessions whose jobs run here. load_base: given a `stop` that it asks while it
    reads.
    """

    vault: Files
    album: Album
    faces: Faces
    segmenter: Segmenter
    mesh: FaceMesh
    styles: dict[str, Style]
    limits: Limits
    load_base: Callable[[Callable[[], bool]], Base]
    planning: Planning


@dataclass(frozen=True)
class Services(Tools):
    """The parts that the server has beside them."""

    vault: Vault
    sessions: Sessions


@dataclass(frozen=True)
class JobRun:
    """One job while it runs. report: shows progress; stop: becomes true when it is to end."""

    session: Session
    order: Order
    services: Tools
    report: Callable[[Progress], None]
    stop: Callable[[], bool]
    result: Report = field(default_factory=Report)


def check(order: Order, good_photos: int, services: Tools) -> list[Style]:
    """The chosen styles of an order that can start.

    Raises:
        BadOrder: the count is out of range; a style or another choice is unknown; this server
            cannot go that way; photos are missing.
    """
    limits = services.limits
    if not 1 <= order.count <= limits.max_portraits:
        raise BadOrder("order.count_range", most=limits.max_portraits, asked=order.count)
    known = order.crop in ("look", *CROPS) and order.tone in TONES and order.way in ORDERED_WAYS
    if not known or order.class_word not in CLASS_WORDS:
        raise BadOrder("order.unknown_choice")
    if order.way not in services.planning.ways:
        raise BadOrder("order.dressed_elsewhere")
    chosen = choose(services.styles, order.styles)
    needed = limits.min_photos if "painted" in order.ways else 1
    if good_photos < needed:
        if needed == 1:
            raise BadOrder("order.no_photo")
        if good_photos == 0:
            raise BadOrder("order.no_photos", needed=needed)
        raise BadOrder("order.too_few", n=good_photos, needed=needed)
    return chosen


def run(
    session: Session,
    order: Order,
    services: Services,
    *,
    report: Callable[[Progress], None],
    stop: Callable[[], bool],
    seconds_per_portrait: float | None = None,
) -> Report:
    """`make` here, and mark the session delivered, also if not all was made.

    Raises:
        BadOrder, BaseUnavailable, GpuFailed, Stopped, UnknownSession, DiskFull: as `make`.
    """
    try:
        return make(
            session,
            order,
            services,
            report=report,
            stop=stop,
            seconds_per_portrait=seconds_per_portrait,
        )
    finally:
        delivered(session, services)


def delivered(session: Session, services: Services) -> None:
    """Mark a session delivered if it has portraits; only the first call does."""
    if services.sessions.alive(session.id) and services.vault.list(session, kinds.PORTRAIT):
        services.sessions.delivered(session)


def make(
    session: Session,
    order: Order,
    services: Tools,
    *,
    report: Callable[[Progress], None],
    stop: Callable[[], bool],
    seconds_per_portrait: float | None = None,
) -> Report:
    """Make the portraits in each ordered way.

    seconds_per_portrait: of the painted way, as an earlier job measured it; None takes the plan's.

    Raises:
        BadOrder: the order cannot start, or no photo can be cut out.
        BaseUnavailable: the base cannot be loaded, does not fit into the GPU's memory, or changed
            while it was used.
        GpuFailed: nothing can be painted in this process any more. All that was made stays.
        Stopped: `stop` became true. Portraits made until then stay.
        UnknownSession: the session was erased meanwhile.
        DiskFull: no room; portraits made until then stay.
    """
    started = time.monotonic()
    job = JobRun(session, order, services, report, stop)
    job.result.ways = order.ways
    accepted = sum(record.accepted for record in services.album.records(session))
    styles = check(order, accepted, services)
    report(Progress("preparing", count=order.count, message=Message("job.sentence.preparing")))
    services.album.finish_all(session)
    for place, way in enumerate(order.ways, start=1):
        later = sum(services.planning.pace.seconds(w, order.count) for w in order.ways[place:])
        job = replace(job, report=_adding(later, report))
        if way == "photo":
            from pipeline.photo_job import compose_portraits

            compose_portraits(job, styles)
            continue
        from pipeline.bases import device
        from pipeline.painted_job import paint_portraits
        from pipeline.photo_job import dress_portraits

        with device.watched():
            if way == "dressed":
                dress_portraits(job, styles)
            else:
                paint_portraits(job, styles, seconds_per_portrait)
    job.result.seconds["total"] = round(time.monotonic() - started, 2)
    return job.result


def release() -> None:
    """Give back the memory of a painted job that has ended, on the GPU too.

    Only when its last frame is gone, an error's too, can all of it be found.
    """
    from pipeline.bases import device

    device.release()


def _adding(later: float, report: Callable[[Progress], None]) -> Callable[[Progress], None]:
    """A `report` that counts the seconds of the ways to come."""

    def show(progress: Progress) -> None:
        left = progress.seconds_left
        report(progress if left is None else replace(progress, seconds_left=left + later))

    return show
