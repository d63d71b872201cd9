"""Photos in RAM, with what their portraits share, for as long as somebody looks at them.

What portraits of a photo share (`compositing.studio.Sitter`) is kept for a few photos that were
looked at last, never on a disk. It goes with its photo, with its session, and when nobody has
asked for it in a while: until then it is readable without the visitor's half of the key.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from errors import UnknownSession
from pipeline.compositing.studio import Sitter, clothes_are_clear, dressed, neutralised, sit
from pipeline.photos.record import CutOutPhoto
from privacy.sessions import Session
from web.services import Services

SITTERS = 8
"""Photos in RAM: up to 30 MB each, twice that with toned clothes."""

KEPT_S = 600.0
"""Seconds for which a photo stays there after it was last asked for."""

AS_WORN = "own"
"""Clothes as they are on the photo."""


@dataclass
class Seated:
    """A photo in RAM. clear: whether its clothes can be toned. worn: the tone that was asked for
    last, and the sitter in it. used: when the photo was last asked for. proven: ids of portraits
    that were found to be composed of it."""

    photo: CutOutPhoto
    sitter: Sitter
    clear: bool
    worn: tuple[str, Sitter] | None = None
    used: float = 0.0
    proven: set[str] = field(default_factory=set)

    def wearing(self, clothes: str) -> Sitter | None:
        """The sitter in clothes of a tone, or as worn; None if the clothes are not clear."""
        if clothes == AS_WORN:
            return self.sitter
        worn = self.worn  # another thread may replace it meanwhile
        if worn is None or worn[0] != clothes:
            changed = dressed(self.sitter, clothes) if self.clear else None
            if changed is None:
                return None
            self.worn = worn = (clothes, changed)
        return worn[1]


class Sitters:
    """The photos in RAM of all sessions. Thread-safe."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._kept: OrderedDict[tuple[str, str], Seated] = OrderedDict()
        self._merits: dict[tuple[str, str], float] = {}
        self._lock, self._sitting = threading.Lock(), threading.Lock()
        self._tidying = False
        services.sessions.on_erase.append(self.forget)

    def __len__(self) -> int:
        """How many photos are in RAM."""
        return len(self._kept)

    def held(self, session_id: str) -> set[str]:
        """Ids of a session's photos of which something is in RAM."""
        with self._lock:
            return {photo for owner, photo in (*self._kept, *self._merits) if owner == session_id}

    def seated(self, session: Session, photo_id: str) -> Seated:
        """A photo that can be set before another wall.

        Raises:
            UnknownSession: there is no such photo in this session, or it cannot be cut out.
        """
        self.require(session, photo_id)
        key = (session.id, photo_id)
        # One after the other, so that two requests for a new photo do not both work it out.
        with self._sitting:
            with self._lock:
                if found := self._kept.pop(key, None):
                    found.used = time.monotonic()
                    self._kept[key] = found
                    return found
            made = self._sit(session, photo_id)
            self._keep(key, made)
        self.require(session, photo_id)  # it may have been removed meanwhile
        return made

    def best_first(self, session: Session) -> list[str]:
        """Ids of the photos that can be set before another wall, the best portrait first.

        Raises:
            UnknownSession: the session was erased.
        """
        merits: dict[str, float] = {}
        for photo_id in self._services.album.usable_cut_outs(session):
            with suppress(UnknownSession):  # only this photo was removed, or the next line raises
                merits[photo_id] = self._merit(session, photo_id)
        still = set(self._services.album.usable_cut_outs(session))
        return sorted(merits.keys() & still, key=lambda photo_id: (-merits[photo_id], photo_id))

    def require(self, session: Session, photo_id: str) -> None:
        """Look again whether a photo is still there.

        Raises:
            UnknownSession: it is not.
        """
        if photo_id not in self._services.album.usable_cut_outs(session):
            self.forget(session.id, photo_id)
            raise UnknownSession

    @contextmanager
    def changing(self, session: Session, photo_id: str) -> Iterator[None]:
        """While a stored cut-out is changed: what was read before is not kept.

        Raises:
            UnknownSession: the photo was removed meanwhile.
        """
        with self._sitting:
            try:
                yield
            except KeyError:
                raise UnknownSession from None
            finally:
                self.forget(session.id, photo_id)

    def forget(self, session_id: str, photo_id: str | None = None) -> None:
        """Drop a photo, or all of a session."""
        with self._lock:
            for table in (self._kept, self._merits):
                _drop(table, lambda key: key[0] == session_id and photo_id in (None, key[1]))

    def _merit(self, session: Session, photo_id: str) -> float:
        if (found := self._merits.get((session.id, photo_id))) is not None:
            return found
        return self.seated(session, photo_id).sitter.merit

    def _sit(self, session: Session, photo_id: str) -> Seated:
        try:
            photo = self._services.album.cut_out(session, photo_id)
        except KeyError:
            raise UnknownSession from None
        made = sit(photo.cut_out, photo.landmarks, photo.sharpness, self._services.mesh)
        (sitter,) = neutralised([made])
        return Seated(photo, sitter, clothes_are_clear(sitter), used=time.monotonic())

    def _keep(self, key: tuple[str, str], seated: Seated) -> None:
        with self._lock:
            # A session that ends after this look at it calls `forget`, which waits for the lock.
            if not self._services.sessions.alive(key[0]):
                raise UnknownSession
            self._kept[key] = seated
            self._merits[key] = seated.sitter.merit
            while len(self._kept) > SITTERS:
                self._kept.popitem(last=False)
            if not self._tidying:
                self._tidy_later()

    def _tidy_later(self) -> None:
        """Under the lock."""
        self._tidying = True
        timer = threading.Timer(KEPT_S / 4, self.tidy)
        timer.daemon = True
        timer.start()

    def tidy(self) -> None:
        """Drop the photos that nobody has asked for in a while."""
        with self._lock:
            before = time.monotonic() - KEPT_S
            _drop(self._kept, lambda key: self._kept[key].used < before)
            self._tidying = False
            if self._kept:
                self._tidy_later()


def _drop(table: dict[tuple[str, str], Any], unwanted: Callable[[tuple[str, str]], bool]) -> None:
    for key in [key for key in table if unwanted(key)]:
        del table[key]
