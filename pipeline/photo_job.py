"""The photo way of a job: cut-outs become portraits at once, and are kept as they are made."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from errors import BadOrder, Stopped
from messages import Message
from pipeline.orders import PhotoReport, Progress
from pipeline.photos.detection import SAME_PERSON
from pipeline.portraits.photo_way import PhotoPortrait, PhotoWay
from pipeline.portraits.score import PortraitRecord, appearance
from pipeline.portraits.sheet import Sheet
from pipeline.portraits.shots import plan_photo_shots
from pipeline.portraits.style import Style

if TYPE_CHECKING:
    from pipeline.job import JobRun

WALL_STOPS = {"look": 0.0, "lighter": 0.8, "darker": -0.9}
"""EV by which an order's tone moves the wall."""


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
    started = time.monotonic()
    looks = [style for style in styles if style.photo is not None]
    if not looks:
        raise BadOrder("order.painted_only")
    album, session, order = job.services.album, job.session, job.order
    sheet = Sheet(job.services.vault, session, "photo", order.earlier)
    made = [Measured(max(record.px or (0,)), record.likeness, None) for record in sheet.made]
    done = len(made)
    if done >= order.count:  # an order that was cut off in the painted way
        job.result.photo = report_of(made, 0.0)
        return
    ids = album.usable_cut_outs(session)
    if not ids:
        raise BadOrder("order.no_cut_out")
    progress = Progress("generating", count=order.count, message=Message("job.sentence.composing"))
    job.report(progress)
    photos = [album.cut_out(session, photo_id) for photo_id in ids]
    way = PhotoWay(photos, job.services.faces, job.services.mesh)
    prepared = time.monotonic()
    shots = plan_photo_shots(looks, way.merits, order.count, order.seed)[done:]
    try:
        for portrait in way.portraits(shots, order.crop, WALL_STOPS[order.tone], job.stop):
            sheet.add(record_of(sheet.next_id, portrait), portrait.image)
            side = max(portrait.image.shape[:2])
            made.append(Measured(side, portrait.likeness, portrait.texture))
            pace = (time.monotonic() - prepared) / (len(made) - done)
            job.report(
                Progress(
                    "generating",
                    made=len(made),
                    count=order.count,
                    seconds_left=(order.count - len(made)) * pace,
                    message=progress.message,
                )
            )
    finally:
        sheet.keep()
    if len(made) < order.count:
        raise Stopped
    job.result.photo = report_of(made, time.monotonic() - started)


def record_of(portrait_id: str, made: PhotoPortrait) -> PortraitRecord:
    """The record of a composed portrait."""
    return PortraitRecord(
        id=portrait_id,
        style=made.shot.style.key,
        seed=made.shot.seed,
        likeness=None if made.likeness is None else round(made.likeness, 4),
        doubtful=made.likeness is not None and made.likeness < SAME_PERSON,
        face=tuple(round(share, 4) for share in made.box),
        appearance=appearance(made.image, made.embedding),
        way="photo",
        photo=made.photo,
        px=(made.image.shape[1], made.image.shape[0]),
        affine=tuple(made.frame.affine.ravel().tolist()),
        fade=made.frame.fade,
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
