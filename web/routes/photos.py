"""Routes of the photos: upload, thumbnail, removal. The first three shadow Gradio's own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated
from urllib.parse import unquote

from fastapi import APIRouter, Request, Response
from fastapi import Path as InPath
from fastapi.responses import JSONResponse, PlainTextResponse

from errors import LikenessError, UnknownSession
from messages import Message
from pipeline.photos.record import SAMPLE
from privacy.sessions import Session
from web.gradio.upload_names import VirtualFiles
from web.http.dependencies import Parts, Visitor
from web.http.errors import status_of, when_again
from web.http.firewall import API
from web.services import Services
from web.uploads import Uploads
from words import tell

Name = Annotated[str, InPath(pattern=r"^[a-z]+-[0-9]{1,6}$")]
_SAMPLES = Path(__file__).parents[1] / "samples"  # made by dev/make_samples.py


def router(
    services: Services, files: VirtualFiles, removed: Callable[[Session, str], None]
) -> APIRouter:
    """The photo routes.

    files: names uploads for Gradio's browser code. removed: is told of a session and the id of a
    photo that is there no more.
    """
    routes = APIRouter()
    uploads = Uploads(services, files)

    @routes.post(f"{API}/upload")
    async def upload(request: Request, session: Visitor) -> Response:
        try:
            return JSONResponse(await uploads.take(request, session))
        except UnknownSession:
            raise
        except LikenessError as error:
            # Gradio shows the body of a failed upload as it is: so a bare sentence, no JSON.
            return PlainTextResponse(tell(error.message), status_of(error), when_again(error))

    @routes.get(f"{API}/upload_progress")
    async def upload_progress(session: Visitor) -> Response:
        """Gradio asks for this stream beside an upload. Ours is done before it is asked for."""
        return Response('data: {"msg": "done"}\n\n', media_type="text/event-stream")

    @routes.get(f"{API}/file={{path:path}}")
    def virtual_file(path: str, services: Parts, session: Visitor) -> Response:
        """An upload under the name it was given. One that was turned away has no pixels: 204."""
        photo_id = files.photo_id(session.id, unquote(path))
        try:
            return _png(services.album.image(session, photo_id))
        except KeyError:
            return Response(status_code=204)

    @routes.post("/photos/samples")
    async def samples(session: Visitor) -> Response:
        """Photos of a person who does not exist, so that nobody has to give a face to try this."""
        photos = [
            (Message(SAMPLE, {"n": number}), file.read_bytes())
            for number, file in enumerate(sorted(_SAMPLES.glob("*.jpg")), start=1)
        ]
        await uploads.take_samples(session, photos)
        return Response(status_code=204)

    @routes.get("/photo/{photo_id}")
    def photo(photo_id: Name, services: Parts, session: Visitor) -> Response:
        try:
            return _png(services.album.image(session, photo_id))
        except KeyError:
            raise UnknownSession from None

    @routes.delete("/photo/{photo_id}")
    def remove(photo_id: Name, services: Parts, session: Visitor) -> Response:
        if all(record.id != photo_id for record in services.album.records(session)):
            raise UnknownSession
        services.album.remove(session, photo_id)
        removed(session, photo_id)
        return Response(status_code=204)

    return routes


def _png(data: bytes) -> Response:
    return Response(data, media_type="image/png")
