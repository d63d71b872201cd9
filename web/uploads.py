"""Photos on their way in: from the request's body to the album, in RAM all the way.

Each file goes to the album in a worker thread as soon as it has arrived whole, two at a time for
the whole server, since decoding is what costs. Sessions take turns, so that thirty photos of one
never stand before another's first. Until its turn comes a body is read no further than one whole
file, so an upload of thirty never holds more than a few in memory. Everybody's verdicts come before
the cut-outs, which take longer; an upload is answered when its photos are kept. What all uploads
hold together has a limit, `LIKENESS_UPLOAD_MEMORY_MB`: beyond it an upload is asked to come back.
Half of it is for photos that wait for their cut-out: beyond that only a session of which none waits
gets another verdict. One session holds at most a quarter, of either.

Our page sends small previews of its photos before the photos themselves. They are judged at once,
in turns that no memory holds up. The file of a good one has its verdict then: it is read when it is
near its cut-out, and comes with what can wait.
"""

from __future__ import annotations

import asyncio
import weakref
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request

from errors import BadOrder, LikenessError
from messages import Message
from pipeline import memory
from pipeline.photos.record import MAX_LABEL, FileData
from privacy.sessions import Session
from web.gradio.upload_names import VirtualFiles
from web.http.limits import Budget, ConcurrencyLimiter, RateLimiter
from web.http.multipart import IncomingFile, files_in
from web.http.turns import Turns
from web.services import Services
from web.units import HOUR_S, MB
from web.upload_memory import NEAR, Aside, Held, Near

_WORKERS = 2
_CROWD = 8
"""Visitors with photos to cut out, from which on one is cut out at a time: a second one takes 100
MB, and with so many pages open the other core has enough to do."""
_TIDIED_EVERY = 8  # photos
_UPLOADS_AT_ONCE = 3  # per session: the file field, the camera, and a second tab
PREVIEW = "preview"
"""Field of the form in which the previews come: one for each file, in their order, empty where the
browser could make none. `PREVIEW` of web/static/shrink.js"""
_MOST_PREVIEW_BYTES = 500_000


class Uploads:
    """Takes the uploads of all sessions."""

    def __init__(self, services: Services, files: VirtualFiles) -> None:
        self._services = services
        self._files = files
        services.sessions.on_erase.append(services.album.pending.forget)
        memory = services.settings.upload_memory_mb * MB
        # Enough for the largest photo that is there, and the next one that is coming.
        self._each = max(memory // 4, 2 * services.settings.max_photo_mb * MB)
        self._memory, self._aside = Budget(memory), Aside(memory // 2, self._each)
        self._shares = weakref.WeakValueDictionary[str, Budget]()  # of sessions with uploads
        self._added = 0
        self._near = Turns(NEAR)
        self._turns = Turns(_WORKERS, self._aside.room_for, _CROWD)
        self._at_once = ConcurrencyLimiter(_UPLOADS_AT_ONCE)
        self._samples_at_once = ConcurrencyLimiter(1)
        self._photos_per_hour = RateLimiter(10 * services.settings.max_photos, HOUR_S)
        self._previews_per_hour = RateLimiter(10 * services.settings.max_photos, HOUR_S)

    async def take(self, request: Request, session: Session) -> list[str]:
        """Put every file of the body into the session's album.

        A photo that cannot be used is a record with its reason, not an error.

        Returns:
            The virtual path of each file, in the order of the body.

        Raises:
            Busy: too many uploads at once or too much in memory, or too many photos within an hour.
            BadPhoto: the body is damaged or too large. Photos before that are kept.
            DiskFull, UnknownSession: from the album, after the other photos were tried.
        """
        with self._at_once.hold(session.id):
            tasks: list[asyncio.Task[str | LikenessError]] = []
            trouble: LikenessError | None = None
            announced: deque[str | None] = deque()  # whose files are still to come
            share = self._shares.setdefault(session.id, Budget(self._each))
            held, near = Held(self._memory, share), Near(self._near, session.id)

            async def begins(field: str) -> None:
                if field != PREVIEW and announced and announced[0]:
                    await near.begin()

            try:
                async for file in self._files_of(request, held, begins):
                    if file.field != PREVIEW:
                        self._photos_per_hour.count(session.id)
                    held.whole(len(file.data))  # from here on whoever takes it has to let it go
                    if file.field == PREVIEW:
                        more = len(announced) < self._services.settings.max_photos
                        announced.append(await self._announce(session, file, held, more))
                        continue
                    if photo_id := announced[0] if announced else None:
                        near.whole()
                        await self._turns.take_later(session.id)
                        near.end()
                        adding = self._arrive(session, photo_id, file.data, held)
                    else:
                        await self._turns.take(session.id)
                        adding = self._add(session, file, held)
                    if announced:
                        announced.popleft()
                    tasks.append(asyncio.create_task(adding))
                    del file, adding  # the album alone holds it now, and lets go at an erasure
            except ClientDisconnect:
                pass  # a phone lost its network: what arrived whole is kept
            except LikenessError as error:
                trouble = error
            finally:
                held.end()
                near.end()
                for photo_id in filter(None, announced):
                    self._services.album.pending.forget(session.id, photo_id)
                results = await asyncio.gather(*tasks)
        paths = [result for result in results if isinstance(result, str)]
        trouble = next((r for r in results if isinstance(r, LikenessError)), trouble)
        if trouble is not None:
            raise trouble
        return paths

    async def take_samples(self, session: Session, photos: Sequence[tuple[Message, bytes]]) -> None:
        """Put sample photos, label and file, into an empty album: through the same door, and in
        the same turns, as everybody's uploads.

        Raises:
            BadOrder: there are photos already. Busy: somebody asked for them a moment ago, or too
                many photos came within an hour. DiskFull, UnknownSession: from the album.
        """
        album = self._services.album
        with self._samples_at_once.hold(session.id):
            if await run_in_threadpool(album.records, session):
                raise BadOrder("photos.samples_mixed")
            await run_in_threadpool(self._services.sessions.touch_first_photo, session)
            for label, data in photos:
                self._photos_per_hour.count(session.id)
                async with self._turns.hold(session.id):
                    await run_in_threadpool(album.add, session, data, label)

    def _files_of(
        self, request: Request, held: Held, begins: Callable[[str], Awaitable[None]]
    ) -> AsyncIterator[IncomingFile]:
        settings = self._services.settings
        max_file = settings.max_photo_mb * MB
        return files_in(
            held.counted(request.stream()),
            request.headers.get("content-type", ""),
            begins,
            max_file_bytes=max_file,
            # The album keeps its own count; this only bounds what one request may send.
            max_body_bytes=max_file * (settings.max_photos + 1),
        )

    async def _add(self, session: Session, file: IncomingFile, held: Held) -> str | LikenessError:
        """Add one photo whose turn it is. Errors are returned, so that none ends the rest."""
        album, size = self._services.album, len(file.data)
        try:
            try:
                photo_id = await run_in_threadpool(self._judge, session, file)
                del file
                if not self._turns.wanted:
                    await run_in_threadpool(album.finish, session, photo_id)
                waits = album.pending.set_aside(session.id, photo_id)
                self._aside.add(session.id, size if waits else 0)
            finally:
                held.judged(size)
                self._turns.give_back()
            if waits:
                await self._finish(session, photo_id, size)
            return self._files.path(session.id, photo_id)
        except LikenessError as error:
            return error
        finally:
            held.done(size)
            await self._tidy()

    async def _announce(
        self, session: Session, preview: IncomingFile, held: Held, more: bool
    ) -> str | None:
        """The id of a photo on its way, if its preview is good. more: whether another may come."""
        size = len(preview.data)
        try:
            if not (more and 0 < size <= _MOST_PREVIEW_BYTES):
                return None
            self._previews_per_hour.count(session.id)
            # Who waits for a turn of their files may still have one for this.
            async with self._turns.hold(f"{PREVIEW} {session.id}"):
                await run_in_threadpool(self._services.sessions.touch_first_photo, session)
                label = preview.name[-MAX_LABEL:]
                announce = self._services.album.announce
                return await run_in_threadpool(announce, session, preview.data, label)
        finally:
            held.judged(size)
            held.done(size)

    async def _arrive(
        self, session: Session, photo_id: str, data: FileData, held: Held
    ) -> str | LikenessError:
        """Add one announced photo whose turn it is."""
        size = len(data)
        try:
            await run_in_threadpool(self._services.album.arrive, session, photo_id, data)
            return self._files.path(session.id, photo_id)
        except LikenessError as error:
            return error
        finally:
            held.judged(size)
            held.done(size)
            self._turns.give_back_later()
            await self._tidy()

    async def _tidy(self) -> None:
        """Give memory back where nobody waits, and now and then where many do: what large arrays
        leave between small things that stay is of no use to the next ones."""
        self._added += 1
        if self._turns.idle or self._added % _TIDIED_EVERY == 0:
            await run_in_threadpool(memory.give_back)

    async def _finish(self, session: Session, photo_id: str, size: int) -> None:
        """Let a photo of `size` bytes be cut out when its turn comes."""
        try:
            await self._turns.take_later(session.id)
            try:
                await run_in_threadpool(self._services.album.finish, session, photo_id)
            finally:
                self._turns.give_back_later()
        finally:
            self._aside.add(session.id, -size)
            self._turns.hand_out()

    def _judge(self, session: Session, file: IncomingFile) -> str:
        services = self._services
        services.sessions.touch_first_photo(session)
        return services.album.judge(session, file.data, file.name[-MAX_LABEL:]).id
