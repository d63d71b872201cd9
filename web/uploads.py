"""Photos on their way in: from the request's body to the album, in RAM all the way.

Each file goes to the album in a worker thread as soon as it has arrived whole, two at a time for
the whole server, since decoding is what costs. While both are busy the body is read no further,
so an upload of thirty photos never holds more than a few in memory.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request

from errors import LikenessError
from privacy.sessions import Session
from web.gradio.upload_names import VirtualFiles
from web.http.limits import Allowance, Slots
from web.http.multipart import IncomingFile, files_in
from web.services import Services

_WORKERS = 2
_WAITING = 2  # photos in memory for which no worker is free yet
_UPLOADS_AT_ONCE = 3  # per session: the file field, the camera, and a second tab
_HOUR_S = 3600.0
_MB = 1_000_000
_LABEL_CHARS = 80


class Uploads:
    """Takes the uploads of all sessions."""

    def __init__(self, services: Services, files: VirtualFiles) -> None:
        self._services = services
        self._files = files
        self._workers = asyncio.Semaphore(_WORKERS)
        self._room = asyncio.Semaphore(_WORKERS + _WAITING)
        self._slots = Slots(_UPLOADS_AT_ONCE)
        self._photos_per_hour = Allowance(10 * services.settings.max_photos, _HOUR_S)

    async def take(self, request: Request, session: Session) -> list[str]:
        """Put every file of the body into the session's album.

        A photo that cannot be used is a record with its reason, not an error.

        Returns:
            The virtual path of each file, in the order of the body.

        Raises:
            Busy: too many uploads at once, or too many photos within an hour.
            BadPhoto: the body is damaged or too large. Photos before that are kept.
            DiskFull, UnknownSession: from the album, after the other photos were tried.
        """
        with self._slots.hold(session.id):
            tasks: list[asyncio.Task[str | LikenessError]] = []
            trouble: LikenessError | None = None
            try:
                async for file in self._files_of(request):
                    self._photos_per_hour.spend(session.id)
                    await self._room.acquire()
                    tasks.append(asyncio.create_task(self._add(session, file)))
            except ClientDisconnect:
                pass  # a phone lost its network: what arrived whole is kept
            except LikenessError as error:
                trouble = error
            finally:
                results = await asyncio.gather(*tasks)
        paths = [result for result in results if isinstance(result, str)]
        trouble = next((r for r in results if isinstance(r, LikenessError)), trouble)
        if trouble is not None:
            raise trouble
        return paths

    def _files_of(self, request: Request) -> AsyncIterator[IncomingFile]:
        settings = self._services.settings
        max_file = settings.max_photo_mb * _MB
        return files_in(
            request.stream(),
            request.headers.get("content-type", ""),
            max_file_bytes=max_file,
            # The album keeps its own count; this only bounds what one request may send.
            max_body_bytes=max_file * (settings.max_photos + 1),
        )

    async def _add(self, session: Session, file: IncomingFile) -> str | LikenessError:
        """Add one photo and give its room back. Errors are returned, so that none ends the rest."""
        try:
            async with self._workers:
                return await run_in_threadpool(self._add_now, session, file)
        except LikenessError as error:
            return error
        finally:
            self._room.release()

    def _add_now(self, session: Session, file: IncomingFile) -> str:
        services = self._services
        services.sessions.touch_first_photo(session)
        record = services.album.add(session, file.data, file.name[-_LABEL_CHARS:])
        return self._files.path(session.id, record.id)
