"""Routes of what was made: looking at a portrait, favourites, and downloads with their options."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import quote

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field

from errors import UnknownSession
from pipeline.portraits.archive import archive, length, one, render
from pipeline.portraits.export import FORMATS, SUFFIXES, Finish, clean_name
from pipeline.portraits.score import PortraitRecord
from privacy import kinds
from privacy.file_rows import Entry
from privacy.sessions import Session
from web import download_options, favourites
from web.http import ranges
from web.http.dependencies import Parts, Visitor
from web.http.turns import Turns
from web.routes.photos import Name
from web.services import Services

_ZIPS_AT_ONCE = 2  # portraits being finished for one


class Tap(BaseModel):
    """A heart or a vote is given, or taken back."""

    on: bool


class Options(BaseModel):
    """How downloads should be finished. What it allows is checked by `Finish`."""

    caption: str = Field("", max_length=1000, repr=False)
    watermark: bool = False
    marked: bool = True
    name: str = Field("", max_length=1000, repr=False)


def router() -> APIRouter:
    routes = APIRouter()
    turns = Turns(_ZIPS_AT_ONCE)

    @routes.get("/portrait/{portrait_id}")
    def portrait(
        portrait_id: Name, services: Parts, session: Visitor, size: str = "original"
    ) -> Response:
        """For looking at."""
        record = _record(services, session, portrait_id)
        try:
            png = services.vault.open(session, kinds.PORTRAIT, portrait_id)
        except KeyError:
            raise UnknownSession from None
        return Response(render(png, size, record.way), media_type="image/png")

    @routes.post("/portrait/{portrait_id}/heart")
    def heart(portrait_id: Name, tap: Tap, services: Parts, session: Visitor) -> Response:
        favourites.mark(services.vault, session, portrait_id, tap.on)
        return Response(status_code=204)

    @routes.post("/portraits/wish")
    def choose_options(options: Options, services: Parts, session: Visitor) -> Response:
        caption = " ".join(options.caption.split())
        name = clean_name(options.name)
        how = Finish("original", "png", caption, options.watermark, options.marked, name)
        download_options.keep(services.vault, session, how)
        return Response(status_code=204)

    @routes.get("/portrait/{portrait_id}/download")
    def download(
        portrait_id: Name,
        request: Request,
        services: Parts,
        session: Visitor,
        size: str = "original",
        format: str = "png",
    ) -> Response:
        record = _record(services, session, portrait_id)
        how = _how(services, session, size, format)
        name = _named(how, f"{portrait_id}.{SUFFIXES[format]}")
        made = one(services.vault, session, record, how, services.album.without_wall)
        return ranges.sent(request, made, FORMATS[format], name)

    @routes.get("/portraits.zip")
    def portraits_zip(
        request: Request,
        services: Parts,
        session: Visitor,
        size: str = "original",
        format: str = "png",
        hearted: bool = False,
    ) -> Response:
        """Made while it is sent. If the session is erased meanwhile, the download breaks off.

        Portraits as they are stored have a length that is known before, so that one which was
        broken off for another reason goes on where it was.
        """
        records = services.job_queue.portraits(session)
        if hearted:
            chosen = favourites.chosen(services.vault, session)
            records = [record for record in records if record.id in chosen]
        if not records:
            raise UnknownSession
        how = _how(services, session, size, format)
        made = archive(services.vault, session, records, how, services.album.without_wall)
        part = _part(request, services.vault.list(session, kinds.PORTRAIT), records, how)
        name = _named(how, "portraits.zip")
        return ranges.streamed(part, turns.each(session.id, made), "application/zip", name)

    return routes


def _part(
    request: Request, stored: Sequence[Entry], records: Sequence[PortraitRecord], how: Finish
) -> ranges.Part | None:
    """What of a ZIP is asked for; None where its length is not known."""
    bytes_in_all = length({entry.name: entry.size for entry in stored}, records, how)
    if bytes_in_all is None:
        return None
    named = [(record.id, record.style, record.doubtful, record.way) for record in records]
    return ranges.part_of(request, bytes_in_all, ranges.tag(stored, named, how))


def _record(services: Services, session: Session, portrait_id: str) -> PortraitRecord:
    """What is known of a portrait of this session.

    Raises:
        UnknownSession: there is none of that name.
    """
    for record in services.job_queue.portraits(session):
        if record.id == portrait_id:
            return record
    raise UnknownSession


def _named(how: Finish, file: str) -> str:
    """The header that names a download, after the person if they typed a name."""
    if not how.name:
        return f'attachment; filename="{file}"'
    # A name may hold letters of any language: RFC 5987 has a place for them.
    return f"attachment; filename=\"{file}\"; filename*=UTF-8''{quote(f'{how.name}-{file}')}"


def _how(services: Services, session: Session, size: str, format: str) -> Finish:
    return Finish(
        size, format, **download_options.chosen(services.vault, session, services.settings)
    )
