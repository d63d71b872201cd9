"""The ways of a job that begin with the person's own photos, each portrait kept as it is made.

    photo     cut-outs ─► composed
    dressed   cut-outs ─► composed ─► clothes and room painted anew (a large base on a GPU)

Torch is imported for the dressed way alone.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from errors import BadOrder, Stopped
from messages import Message
from pipeline.orders import PhotoReport, Progress, Way
from pipeline.photos.detection import SAME_PERSON
from pipeline.planning.cost import Workload
from pipeline.portraits.photo_way import PhotoPortrait, PhotoWay
from pipeline.portraits.score import PortraitRecord, appearance
from pipeline.portraits.sheet import Sheet
from pipeline.portraits.shots import PhotoShot, plan_photo_shots
from pipeline.portraits.style import Style

if TYPE_CHECKING:
    from pipeline.job import JobRun

WALL_STOPS = {"look": 0.0, "lighter": 0.8, "darker": -0.9}
"""EV by which an order's tone moves the wall."""

SENTENCES = {"photo": "composing", "dressed": "dressing"}
"""What is said meanwhile."""


class Measured(NamedTuple):
    """What is remembered of a portrait; a hundred pictures would be 300 MB.

    side: the longer one in pixels. likeness, texture: as `PhotoPortrait` has them.
    """

    side: int
    likeness: float | None
    texture: float | None


def compose_portraits(job: JobRun, styles: Sequence[Style]) -> None:
    """Compose the order's portraits.

    Raises:
        BadOrder: no look has a wall, or no photo can be cut out. Stopped: it was asked to.
        UnknownSession, DiskFull: as the vault says.
    """
    making = _Making(job, "photo", styles)
    if not making.done:  # else an order that was cut off in the painted way
        order = job.order
        way = making.way()
        shots = making.shots(way)
        making.keep(way.portraits(shots, order.crop, WALL_STOPS[order.tone], job.stop))
    job.result.photo = making.report()


def dress_portraits(job: JobRun, styles: Sequence[Style]) -> None:
    """Compose portraits and paint other clothes and another room around each head.

    Raises:
        BaseUnavailable: the base cannot be loaded, or does not fit into the GPU's memory.
        BadOrder, Stopped, UnknownSession, DiskFull: as `compose_portraits`.
    """
    from pipeline.bases import device
    from pipeline.portraits.dressed_way import DressedWay
    from pipeline.step_down import stepping_down

    making, order, result = _Making(job, "dressed", styles), job.order, job.result
    way = making.way()
    planned = job.services.planning.plan(Workload(len(way.merits), len(styles), order.count))
    base = job.services.load_base(job.stop)
    first = planned or base.as_it_is(rank=1, steps=1, batch=1)
    if planned is not None:
        base.configure(first)
    result.base, result.planned, result.plan = base.key, first, first
    dressed = DressedWay(way, base, job.services.segmenter.matte)

    def work() -> None:
        shots = making.shots(way)
        with closing(dressed.portraits(shots, order.crop, order.tone, job.stop)) as portraits:
            making.keep(portraits)

    try:
        stepping_down(base, result, "generate", work, making.say)
    finally:
        if result.steps_down and not device.failed(sys.exception()):
            base.configure(first)
    result.dressed = making.report()


class _Making:
    """The portraits of one order in one way, from its photos to the vault."""

    def __init__(self, job: JobRun, way: Way, styles: Sequence[Style]) -> None:
        """
        Raises:
            BadOrder: no look has a wall.
        """
        self._job, self._way, self._started = job, way, time.monotonic()
        self._looks = [style for style in styles if style.photo is not None]
        if not self._looks:
            raise BadOrder("order.painted_only")
        self._sheet = Sheet(job.services.vault, job.session, way, job.order.earlier)
        self._made = [
            Measured(max(record.px or (0,)), record.likeness, None) for record in self._sheet.made
        ]
        self._message = Message(f"job.sentence.{SENTENCES[way]}")

    @property
    def done(self) -> bool:
        """Whether all are made."""
        return len(self._made) >= self._job.order.count

    def way(self) -> PhotoWay:
        """The person's photos, ready to be composed.

        Raises:
            BadOrder: no photo can be cut out.
        """
        services, session = self._job.services, self._job.session
        ids = services.album.usable_cut_outs(session)
        if not ids:
            raise BadOrder("order.no_cut_out")
        self._show(None)
        photos = [services.album.cut_out(session, photo_id) for photo_id in ids]
        return PhotoWay(photos, services.faces, services.mesh)

    def shots(self, way: PhotoWay) -> list[PhotoShot]:
        """Those that are not made yet."""
        order = self._job.order
        shots = plan_photo_shots(self._looks, way.merits, order.count, order.seed)
        return shots[len(self._made) :]

    def keep(self, portraits: Iterable[PhotoPortrait]) -> None:
        """Keep the rest of the order's portraits as they are made.

        Raises:
            Stopped: there were fewer. UnknownSession, DiskFull: as the vault says.
        """
        count, before, started = self._job.order.count, len(self._made), time.monotonic()
        try:
            for portrait in portraits:
                record = record_of(self._sheet.next_id, portrait, self._way)
                self._sheet.add(record, portrait.image)
                side = max(portrait.image.shape[:2])
                self._made.append(Measured(side, portrait.likeness, portrait.texture))
                pace = (time.monotonic() - started) / (len(self._made) - before)
                self._show((count - len(self._made)) * pace)
        finally:
            self._sheet.keep()
        if not self.done:
            raise Stopped

    def say(self, message: Message) -> None:
        """Show another sentence from now on."""
        self._message = message
        self._show(None)

    def report(self) -> PhotoReport:
        """What is told of all of them."""
        return report_of(self._made, time.monotonic() - self._started)

    def _show(self, seconds_left: float | None) -> None:
        made, count = len(self._made), self._job.order.count
        progress = Progress("generating", made=made, count=count, seconds_left=seconds_left)
        self._job.report(replace(progress, message=self._message))


def record_of(portrait_id: str, made: PhotoPortrait, way: Way = "photo") -> PortraitRecord:
    """The record of a portrait of a photo. Only what was composed has the alpha of its photo."""
    composed = way == "photo"
    return PortraitRecord(
        id=portrait_id,
        style=made.shot.style.key,
        seed=made.shot.seed,
        likeness=None if made.likeness is None else round(made.likeness, 4),
        doubtful=made.likeness is not None and made.likeness < SAME_PERSON,
        face=tuple(round(share, 4) for share in made.box),
        appearance=appearance(made.image, made.embedding),
        way=way,
        photo=made.photo,
        px=(made.image.shape[1], made.image.shape[0]),
        affine=tuple(made.frame.affine.ravel().tolist()) if composed else None,
        fade=composed and made.frame.fade,
        recipe=made.recipe.row() if composed and made.recipe else None,
    )


def report_of(made: Sequence[Measured], seconds: float) -> PhotoReport:
    """What is told of all of them."""
    sides = [portrait.side for portrait in made]
    likeness = [portrait.likeness for portrait in made if portrait.likeness is not None]
    texture = [portrait.texture for portrait in made if portrait.texture is not None]
    return PhotoReport(
        headshots=len(made),
        seconds=round(seconds, 2),
        px={"median": int(np.median(sides)), "min": min(sides)},
        likeness={
            "median": round(float(np.median(likeness)), 4),
            "min": round(min(likeness), 4),
            "share_same_person": round(float(np.mean([v > SAME_PERSON for v in likeness])), 4),
        }
        if likeness
        else {},
        texture={"median": round(float(np.median(texture)), 4)} if texture else {},
    )
