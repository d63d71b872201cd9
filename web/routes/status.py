"""What the page polls: one JSON with the photos, the job, the portraits and the time left.

All words in it are finished sentences, so that the script in the page knows no language. A poll
is cheap: photos and portraits are only read, decrypted and judged when they differ from what the
page says it has seen (`photos`, `portraits`: version marks of an earlier answer).
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import JSONResponse

from pipeline.orders import ENDED, Progress
from pipeline.portraits.frames import SHAPES
from pipeline.portraits.score import PortraitRecord, fold
from pipeline.portraits.sheet import is_kept
from privacy import kinds
from privacy.file_rows import Entry
from privacy.sessions import Session
from web import download_options, favourites, offered_sizes, sharing
from web.hand_in.told import all_given
from web.http.dependencies import Parts, Visitor
from web.http.limits import address_of
from web.services import Services
from words import count, language, say, span, tell, tell_kept

_RECOMMENDED = (6, 20)
_BEGUN = 0.02
"""Share of the bar that is filled from the first second."""

_SHORT_S = 50
"""Seconds up to which the time left is told in seconds."""

Mark = Annotated[str, Query(max_length=40)]


def router() -> APIRouter:
    routes = APIRouter()

    @routes.get("/status")
    def status(
        request: Request,
        services: Parts,
        session: Visitor,
        photos: Mark = "",
        portraits: Mark = "",
    ) -> Response:
        seen, address = (photos, portraits), address_of(request)
        return JSONResponse(snapshot(services, session, seen=seen, address=address))

    @routes.post("/job/stop")
    def stop(services: Parts, session: Visitor) -> Response:
        # Asked to end, and no more: the page sees it end, and no thread waits for that.
        services.job_queue.stop(session.id, wait_s=0)
        return Response(status_code=204)

    return routes


def snapshot(
    services: Services, session: Session, *, seen: tuple[str, str], address: str
) -> dict[str, Any]:
    """The visitor's situation, without what they have `seen`.

    address: where the visitor is; an order that was cut off is queued anew from there.

    Raises:
        UnknownSession: the session was erased.
    """
    entries = services.vault.list(session)
    waiting = services.album.pending.ids(session.id)
    photos_mark = _mark(entries, kinds.FACE, kinds.PHOTO, waiting=waiting)
    portraits_mark = _mark(entries, kinds.PORTRAIT, kinds.SHEET)
    job = services.job_queue.progress(session.id)
    if job is None and any(entry.kind == kinds.ORDER for entry in entries):
        services.job_queue.resume(session, address)
        job = services.job_queue.progress(session.id)
    working = job is not None and job.phase not in ENDED
    answer: dict[str, Any] = {
        "stage": _stage(entries, working),
        "job": _job(job) if job else None,
        "model_kept": any(entry.kind in kinds.MODEL for entry in entries) and not working,
        "time": _time(services, session),
        "hearts": _hearts(services, session, entries),
        "given": all_given(services, session),
        "photos_mark": photos_mark,
        "portraits_mark": portraits_mark,
    }
    if photos_mark != seen[0]:
        answer["photos"] = _photos(services, session)
    if portraits_mark != seen[1]:
        records = services.job_queue.portraits(session)
        answer["portraits"] = _portraits(services, records)
        answer["shapes"] = [offered_sizes.shape(shape, records) for shape in SHAPES]
        answer["arrangement"] = download_options.arrangement(services.vault, session)
        answer["wish"] = download_options.chosen(services.vault, session, services.settings)
    return answer


def _hearts(services: Services, session: Session, entries: list[Entry]) -> dict[str, Any]:
    """What was tapped, by the visitor and by colleagues: small, so it needs no mark."""
    held = {entry.kind for entry in entries}
    return {
        "list": favourites.chosen(services.vault, session) if kinds.HEARTS in held else [],
        "votes": sharing.counts(services.vault, session) if kinds.VOTES in held else {},
        "shared": kinds.SHARE in held,
    }


def _stage(entries: list[Entry], working: bool) -> str:
    if working:
        return "working"
    # A portrait that is kept in the editor does not end the choosing.
    made = any(entry.kind == kinds.PORTRAIT and not is_kept(entry.name) for entry in entries)
    return "done" if made else "choosing"


def _mark(entries: list[Entry], *of: str, waiting: Sequence[str] = ()) -> str:
    """Changes whenever a file of these kinds comes, goes or is replaced by one of another size, and
    with the ids of the photos that wait to be one."""
    rows = [(e.kind, e.name, e.size, e.created) for e in entries if e.kind in of]
    return hashlib.blake2b(repr((rows, waiting)).encode(), digest_size=8).hexdigest()


def _time(services: Services, session: Session) -> dict[str, Any]:
    deadline = services.sessions.deadline(session)
    left = max(0.0, deadline.erase_at - services.now())
    when = "delivered" if deadline.delivered_at is not None else "undelivered"
    return {"seconds_left": round(left), "sentence": say(f"bar.{when}", left=span(left))}


def _photos(services: Services, session: Session) -> dict[str, Any]:
    records, lacks = services.album.overview(session)
    kept = {entry.name for entry in services.vault.list(session, kinds.PHOTO)}
    good = sum(record.accepted for record in records)
    usable = sum(record.cut_out_usable for record in records)
    waiting = any(record.waits or record.arrives for record in records)
    needed = services.settings.min_photos

    def by_way(one_photo: Any, learnt: Any) -> dict[str, Any]:
        """What holds where one photo is enough, and where a face is learnt."""
        ways = services.planning.ways
        return {way: one_photo if way in ("photo", "dressed") else learnt for way in ways}

    return {
        "list": [
            {
                "id": record.id,
                "label": tell_kept(record.label),
                "accepted": record.accepted or record.arrives,
                "image": record.id in kept,
                "waits": record.waits or record.arrives,
                "sentence": tell_kept(record.verdict),
                "remark": record.verdict.key != "verdict.good",
                "cut_out_usable": record.cut_out_usable,
                "number": int(record.id.rpartition("-")[2]),
            }
            for record in sorted(records, key=lambda one: not (one.accepted or one.arrives))
        ],
        # Sharpest first: the editor's order where it does not learn which photo is best.
        "usable_cut_outs": [
            record.id
            for record in sorted(records, key=lambda record: -record.sharpness)
            if record.cut_out_usable
        ],
        "good": good,
        "enough": by_way(usable > 0, good >= needed),
        "meter": by_way(_meter_of_cut_outs(good, usable, waiting), _meter(good, needed)),
        "missing": by_way("", _missing(good, needed)),
        "hint": " ".join(say(f"photos.lacking.{lack}") for lack in lacks),
    }


def _missing(good: int, needed: int) -> str:
    return count("order.photos_missing", needed - good) if good < needed else ""


def _meter_of_cut_outs(good: int, usable: int, waiting: bool) -> str:
    """For the photo way, which one photo is enough for if the person could be cut out of it."""
    if usable:
        return count("photos.meter.studio", usable)
    if waiting:
        return say("photos.meter.waiting")
    return say("order.no_cut_out") if good else say("photos.meter.one")


def _meter(good: int, needed: int) -> str:
    low, high = max(needed, _RECOMMENDED[0]), max(needed, _RECOMMENDED[1])
    if good == 0:
        return say("photos.meter.none", needed=needed, low=low, high=high)
    if good < needed:
        return count("photos.meter.missing", needed - good, good=good)
    if good < low:
        return say("photos.meter.enough", good=good, low=low, high=high)
    return say("photos.meter.plenty", good=good)


def _job(job: Progress) -> dict[str, Any]:
    return {
        "phase": job.phase,
        "title": say(f"job.{job.phase}"),
        "sentence": tell(job.message) if job.message else "",
        "detail": _detail(job),
        "left": _left(job),
        "bar": _bar(job),
    }


def _detail(job: Progress) -> str:
    if job.phase == "training" and job.steps:
        return say("job.step", step=job.step, steps=job.steps)
    if job.phase == "generating":
        return say("job.made", made=job.made, count=job.count)
    return ""


def _left(job: Progress) -> str:
    if job.seconds_left is None or job.phase in ENDED:
        return ""
    if job.seconds_left < 1:
        return say("job.left.late")
    if job.seconds_left <= _SHORT_S:
        return say("job.left.seconds", n=math.ceil(job.seconds_left / 10) * 10)
    # Rounded up: a time that turns out shorter is a pleasant surprise.
    minutes = math.ceil(job.seconds_left / 60)
    return count("job.left", minutes) if minutes > 1 else say("job.left.soon")


def _bar(job: Progress) -> float:
    """How far the job is, 0 to 1; never empty."""
    return 1.0 if job.phase == "done" else round(max(_BEGUN, job.share), 4)


def _portraits(services: Services, records: Sequence[PortraitRecord]) -> list[dict[str, Any]]:
    """Best first. `like` is the portrait of which this one is a near-duplicate, None for most."""
    styles = services.styles
    like = {record.id: group[0].id for group in fold(records) for record in group[1:]}
    return [
        {
            "id": record.id,
            "style": styles[record.style].told(language())[0]
            if record.style in styles
            else record.style,
            "way": record.way,
            "doubtful": record.doubtful,
            "like": like.get(record.id),
        }
        for record in records
    ]
