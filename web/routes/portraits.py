"""Routes of what was made: looking at a portrait, favourites, and downloads with their options."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Annotated, NamedTuple
from urllib.parse import quote

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool

from errors import UnknownSession
from pipeline.portraits.archive import archive, length, one
from pipeline.portraits.export import FORMATS, Finish, clean_name
from pipeline.portraits.frames import AS_MADE
from privacy import kinds
from privacy.sessions import Session
from web import download_options, favourites
from web.finished import file_name, how_of, plain_name, record_of
from web.http import ranges
from web.http.dependencies import Parts, Visitor
from web.http.turns import Turns
from web.routes.photos import Name
from web.services import Services

_SIZES_KEPT = 500
_ZIPS_AT_ONCE = 2  # portraits being finished for one


class Tap(BaseModel):
    """A heart or a vote is given, or taken back."""

    on: bool


class Options(BaseModel):
    """What is drawn on downloads, and noted in them. What it allows is checked by `Finish`."""

    caption: str = Field("", max_length=1000, repr=False)
    watermark: bool = False
    marked: bool = True
    name: str = Field("", max_length=1000, repr=False)


class Arrangement(BaseModel):
    """Shape and backdrop of a portrait, or of all. What it allows is checked by `Finish`."""

    shape: str = Field(AS_MADE, max_length=40)
    tone: str = Field("look", max_length=40)


class View(Arrangement):
    """A portrait for looking at, as its address says."""

    size: str = Field("original", max_length=40)


class File(View):
    """A portrait for download, as its address says."""

    format: str = Field("png", max_length=40)


class Files(File):
    """All portraits for download, or those with a heart."""

    hearted: bool = False


def router() -> APIRouter:
    routes = APIRouter()
    turns = Turns(_ZIPS_AT_ONCE)
    sizes: dict[str, int] = {}  # of ZIPs, by their validators

    @routes.get("/portrait/{portrait_id}")
    def portrait(
        portrait_id: Name,
        services: Parts,
        session: Visitor,
        view: Annotated[View, Query()],
    ) -> Response:
        """For looking at."""
        record = record_of(services, session, portrait_id)
        how = Finish(**view.model_dump(), signer=services.signer())
        try:
            png = one(services.vault, session, record, how, services.mattes)
        except KeyError:
            raise UnknownSession from None
        return Response(png, media_type="image/png")

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

    @routes.post("/portraits/arrangement")
    def arrange(arranged: Arrangement, services: Parts, session: Visitor) -> Response:
        how = Finish(**arranged.model_dump())
        download_options.arrange(services.vault, session, how)
        return Response(status_code=204)

    @routes.get("/portrait/{portrait_id}/download")
    def download(
        portrait_id: Name,
        request: Request,
        services: Parts,
        session: Visitor,
        file: Annotated[File, Query()],
    ) -> Response:
        record = record_of(services, session, portrait_id)
        how = how_of(services, session, file.model_dump())
        name = _named(plain_name(record, how), file_name(services, record, how))
        made = one(services.vault, session, record, how, services.mattes)
        return ranges.sent(request, made, FORMATS[how.format], name)

    @routes.get("/portraits.zip")
    async def portraits_zip(
        request: Request,
        services: Parts,
        session: Visitor,
        files: Annotated[Files, Query()],
    ) -> Response:
        """Made while it is sent. If the session is erased meanwhile, the download breaks off.

        One that was broken off for another reason goes on where it was. Of portraits as they are
        stored the length is known before; of others it is learnt by making them, so a first
        download says none, and the first to go on with is made twice.
        """
        zipped = await run_in_threadpool(_zipped, services, session, files)
        size = zipped.size or sizes.get(zipped.etag)
        if size is None and "range" in request.headers:
            size = 0
            async for piece in turns.each(session.id, zipped.make()):
                size += len(piece)
            sizes[zipped.etag] = size
            if len(sizes) > _SIZES_KEPT:
                del sizes[next(iter(sizes))]
        pieces = turns.each(session.id, zipped.make())
        part = ranges.part_of(request, size, zipped.etag) if size else zipped.etag
        return ranges.streamed(part, pieces, "application/zip", zipped.name)

    return routes


class _Zipped(NamedTuple):
    """A ZIP that can be made: its pieces, anew at each call; bytes in all, None where only making
    it tells; strong validator; the header that names it."""

    make: Callable[[], Iterator[bytes]]
    size: int | None
    etag: str
    name: str


def _zipped(services: Services, session: Session, files: Files) -> _Zipped:
    """The ZIP that is asked for.

    Raises:
        UnknownSession: there is nothing to put into it.
    """
    records = services.job_queue.portraits(session)
    if files.hearted:
        chosen = favourites.chosen(services.vault, session)
        records = [record for record in records if record.id in chosen]
    if not records:
        raise UnknownSession
    how = how_of(services, session, files.model_dump(exclude={"hearted"}))
    name = f"{how.name}-portraits.zip" if how.name else "portraits.zip"
    stored = services.vault.list(session, kinds.PORTRAIT)
    told = [(record.id, record.style, record.doubtful, record.way) for record in records]

    def make() -> Iterator[bytes]:
        yield from archive(services.vault, session, records, how, services.mattes)

    return _Zipped(
        make,
        length({entry.name: entry.size for entry in stored}, records, how),
        ranges.tag(session.id, stored, told, how),
        _named("portraits.zip", name),
    )


def _named(plain: str, name: str) -> str:
    """The header that names a download."""
    if name == plain:
        return f'attachment; filename="{plain}"'
    # A name may hold letters of any language: RFC 5987 has a place for them.
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name)}"
