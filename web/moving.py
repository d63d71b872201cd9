"""Portraits that move, for visitors: looked at small, made as files, kept in the vault, shown to
colleagues where their person says so.

A file is made while its progress is sent, a few frames in each turn (`http/turns`), and ends with
its request: a visitor who left costs nothing. It is kept under its portrait, encrypted, and goes
with the photo that it was made of, with the session, and when enough newer ones are kept.
"""

from __future__ import annotations

import threading
from collections.abc import Generator, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from typing import Any

from errors import BadOrder, UnknownSession
from pipeline.compositing.warp import PRESETS, SHAPES, Moving
from pipeline.portraits.clip import FORMS, PREVIEW, Form
from pipeline.portraits.clip_marks import marked
from pipeline.portraits.export import Finish
from pipeline.portraits.moving import (
    STILL,
    composed_of,
    filming,
    preview,
    recipe_of,
    require_same,
    still,
)
from pipeline.portraits.score import PortraitRecord
from privacy import kinds
from privacy.sessions import Session
from web import download_options
from web.editor import Editor
from web.finished import record_of
from web.http.limits import ConcurrencyLimiter, RateLimiter
from web.services import Services

MOST_KEPT = 12
"""Files of one session; the one that was made first goes before the next is kept."""

PER_MINUTE = 40
"""Things that one session asks for in a minute."""

FRAMES_A_TURN = 5

_FRAMES_DONE = 0.98
"""Share of the work that is done when all frames are in the file, which is not kept yet."""


@dataclass(frozen=True)
class Motion:
    """What is asked for.

    preset: of `warp.PRESETS`. shape: of `warp.SHAPES`.

    Raises:
        BadOrder: something that is not on offer.
    """

    preset: str = PRESETS[0]
    shape: str = next(iter(SHAPES))

    def __post_init__(self) -> None:
        if self.preset not in PRESETS or self.shape not in SHAPES:
            raise BadOrder("moving.unknown")

    def name(self, portrait_id: str, form: str) -> str:
        """Of such a file in the vault.

        Raises:
            BadOrder: no such form.
        """
        if form not in FORMS:
            raise BadOrder("moving.unknown")
        return f"{portrait_id}-{self.preset}-{self.shape.replace(':', '-')}-{form}"


class MovingPortraits:
    """Makes and keeps the moving portraits of all sessions. Thread-safe."""

    def __init__(self, services: Services, editor: Editor) -> None:
        self._services, self._vault = services, services.vault
        self._sitters, self._studio = editor.sitters, editor.studio
        self._rate, self._at_once = RateLimiter(PER_MINUTE, 60.0), ConcurrencyLimiter(1)
        self._keeping = threading.Lock()

    def state(self, session: Session, portrait_id: str) -> dict[str, Any]:
        """Why a portrait cannot move, None where it may, and whether colleagues see it move.

        Raises:
            UnknownSession: there is no such portrait in this session.
        """
        record = record_of(self._services, session, portrait_id)
        shared = any(one.name == record.id for one in self._vault.list(session, kinds.MOVING))
        try:
            recipe_of(record)
            self._require_photo(session, record)
        except BadOrder as why:
            return {"why": why.message, "shared": shared}
        return {"why": None, "shared": shared}

    def preview(self, session: Session, portrait_id: str, motion: Motion) -> bytes:
        """A small WebP of a portrait that moves.

        Raises:
            UnknownSession: there is no such portrait. BadOrder: it cannot move. Busy: too much.
        """
        record, moving = self._begun(session, portrait_id, motion, PREVIEW)
        made = preview(moving, motion.preset)
        self._require_photo(session, record)
        return marked(made, "webp", None)

    def still(self, session: Session, portrait_id: str, motion: Motion) -> bytes:
        """Its first frame as JPEG.

        Raises:
            UnknownSession, BadOrder, Busy: as `preview`.
        """
        record, moving = self._begun(session, portrait_id, motion, STILL)
        made = still(moving, motion.preset, Finish(format="jpeg"))
        self._require_photo(session, record)
        return made

    def making(
        self, session: Session, portrait_id: str, motion: Motion, form: str
    ) -> Iterator[float]:
        """Make a file and keep it: the share that is done, a few frames at a time; the first at
        once. It ends where nobody asks on.

        Raises:
            UnknownSession, BadOrder: as `preview`; also when the session or the photo goes
                meanwhile. Busy: one is being made. DiskFull: no room.
        """
        name = motion.name(portrait_id, form)
        with self._at_once.hold(session.id):
            record, moving = self._begun(session, portrait_id, motion, FORMS[form])
            yield 0.0
            with closing(filming(moving, motion.preset, form)) as work:
                file = yield from self._watched(work, session, record)
            self._keep(session, record, name, file)
        yield 1.0

    def _watched(
        self, work: Generator[float, None, bytes], session: Session, record: PortraitRecord
    ) -> Generator[float, None, bytes]:
        """The work a few frames at a time, for as long as its session and its photo are there."""
        while True:
            try:
                for _ in range(FRAMES_A_TURN):
                    share = next(work)
            except StopIteration as ended:
                file: bytes = ended.value
                return file
            self._require_photo(session, record)
            yield share * _FRAMES_DONE

    def kept(self, session: Session, portrait_id: str, motion: Motion, form: str) -> bytes:
        """A file that was made, with the mark that downloads have.

        Raises:
            UnknownSession: there is none. BadOrder: no such form.
        """
        try:
            file = self._vault.open(session, kinds.CLIP, motion.name(portrait_id, form))
        except KeyError:
            raise UnknownSession from None
        settings, signer = self._services.settings, self._services.signer()
        wants = download_options.chosen(self._vault, session, settings)["marked"]
        return marked(file, form, signer) if wants else file

    def share(self, session: Session, portrait_id: str, motion: Motion) -> None:
        """Let colleagues who see this portrait see it move.

        Raises:
            UnknownSession, BadOrder, Busy: as `preview`. DiskFull: no room.
        """
        record = record_of(self._services, session, portrait_id)
        made = self.preview(session, portrait_id, motion)
        with self._keeping:
            self._vault.put(session, kinds.MOVING, record.id, made)
        self._gone_with_photo(session, record)

    def unshare(self, session: Session, portrait_id: str) -> None:
        """Let them see it stand still again.

        Raises:
            UnknownSession: there is no such portrait.
        """
        record = record_of(self._services, session, portrait_id)
        self._vault.delete(session, kinds.MOVING, record.id)

    def photo_removed(self, session: Session, photo_id: str) -> None:
        """Forget a photo that is there no more, and delete what was made to move of it.

        Raises:
            UnknownSession: the session was erased, and all of it with it.
        """
        self._sitters.forget(session.id, photo_id)
        records = self._services.job_queue.portraits(session)
        gone = [record.id for record in records if record.photo == photo_id]
        with self._keeping:
            for entry in self._vault.list(session, kinds.CLIP):
                if any(entry.name.startswith(f"{name}-") for name in gone):
                    self._vault.delete(session, kinds.CLIP, entry.name)
            for name in gone:
                self._vault.delete(session, kinds.MOVING, name)

    def _begun(
        self, session: Session, portrait_id: str, motion: Motion, form: Form
    ) -> tuple[PortraitRecord, Moving]:
        self._rate.count(session.id)
        record = record_of(self._services, session, portrait_id)
        recipe_of(record)
        self._require_photo(session, record)
        try:
            seated = self._sitters.seated(session, record.photo)
        except UnknownSession:
            self._require_photo(session, record)
            raise BadOrder("moving.changed") from None
        sitter, sitting = composed_of(record, seated.sitter)
        if record.id not in seated.proven:
            stored = self._vault.open(session, kinds.PORTRAIT, record.id)
            require_same(stored, sitter, sitting, self._studio)
            seated.proven.add(record.id)
        side = form.side(motion.shape)
        return record, Moving(sitter, sitting, motion.shape, side, self._studio)

    def _require_photo(self, session: Session, record: PortraitRecord) -> None:
        """
        Raises:
            BadOrder: the portrait's photo was removed. UnknownSession: the session was erased.
        """
        if all(photo.name != record.photo for photo in self._vault.list(session, kinds.PHOTO)):
            raise BadOrder("moving.photo_gone")

    def _keep(self, session: Session, record: PortraitRecord, name: str, file: bytes) -> None:
        with self._keeping:
            self._require_photo(session, record)
            kept = [one.name for one in self._vault.list(session, kinds.CLIP)]
            others = [one for one in kept if one != name]  # the oldest first
            for oldest in others[: max(0, len(others) - MOST_KEPT + 1)]:
                self._vault.delete(session, kinds.CLIP, oldest)
            self._vault.put(session, kinds.CLIP, name, file)
        self._gone_with_photo(session, record)

    def _gone_with_photo(self, session: Session, record: PortraitRecord) -> None:
        """What was just kept goes again if its photo went meanwhile."""
        try:
            self._require_photo(session, record)
        except BadOrder:
            with suppress(UnknownSession):
                self.photo_removed(session, record.photo)
            raise
