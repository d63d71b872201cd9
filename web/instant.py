"""The portrait at once: one photo of a session in a studio, rendered while the visitor looks.

What portraits of a photo share (`compositing.studio.Sitter`) is kept in RAM for a few photos that
were looked at last, never on a disk. It goes with its photo, with its session, and when nobody has
asked for it in a while: until then it is readable without the visitor's half of the key.
"""

from __future__ import annotations

import io
import threading
import time
from collections import OrderedDict
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from errors import BadOrder, Busy, UnknownSession
from pipeline.compositing.framing import DISTANCES, SHAPES, Refusal
from pipeline.compositing.look import LIGHT_NAMES
from pipeline.compositing.studio import Sitter, Sitting, Studio, neutralised, sit, wish_of
from pipeline.imaging import png_of
from pipeline.portraits.export import Finish, finish
from privacy.sessions import Session
from web.http.limits import ConcurrencyLimiter, RateLimiter
from web.services import Services

SITTERS = 8
"""Photos in RAM: up to 30 MB each."""

KEPT_S = 600.0
"""Seconds for which a photo stays there after it was last asked for."""

AT_ONCE = 2
"""Portraits that the server renders at the same time, for all visitors."""

WAIT_S = 8.0
"""Seconds that a request waits for its turn before it is told to come back."""

PER_SESSION, PER_MINUTE = 3, 150
"""Requests of one session under way at once, and in a minute: arrow keys walk fast."""

SIZES = {"preview": 640, "full": 2048}
"""Longer side in pixels, if the photo has as much."""

OWN_LIGHT = "look"
"""The light that the look has."""

LIGHTS = (OWN_LIGHT, *LIGHT_NAMES)

FIRST_LOOK = "corporate"
"""A grey canvas wall in soft light, where it is among the looks."""

_SEED = 1
_QUALITY = 90


@dataclass(frozen=True)
class Wanted:
    """A portrait as the page asks for it. size: a key of `SIZES`; the rest as `compositing` has it.

    Raises:
        BadOrder: something that is not on offer.
    """

    look: str
    shape: str = "square"
    distance: str = "head_and_shoulders"
    light: str = OWN_LIGHT
    size: str = "preview"

    def __post_init__(self) -> None:
        known: tuple[tuple[str, Collection[str]], ...] = (
            (self.shape, SHAPES),
            (self.distance, DISTANCES),
            (self.light, LIGHTS),
            (self.size, SIZES),
        )
        if any(value not in names for value, names in known):
            raise BadOrder("instant.unknown")


@dataclass(frozen=True)
class Rendered:
    """A finished file. distance: what the photo had room for, which may not be what was wanted."""

    data: bytes
    media_type: str
    distance: str


class Instant:
    """Renders portraits at once for all sessions. Thread-safe."""

    def __init__(self, services: Services) -> None:
        self._services, self._studio = services, Studio()
        self._kept: OrderedDict[tuple[str, str], tuple[Sitter, float]] = OrderedDict()
        self._lock, self._sitting = threading.Lock(), threading.Lock()
        self._renders = threading.BoundedSemaphore(AT_ONCE)
        self._rate = RateLimiter(PER_MINUTE, 60.0)
        self._at_once = ConcurrencyLimiter(PER_SESSION)
        self._tidying = False
        services.sessions.on_erase.append(self.forget)

    def __len__(self) -> int:
        """How many photos are in RAM."""
        return len(self._kept)

    def render(self, session: Session, photo_id: str, wanted: Wanted) -> Rendered:
        """One portrait.

        Raises:
            UnknownSession: there is no such photo in this session, or it cannot be cut out.
            BadOrder: no such look, or no room in the photo. Busy: too much at once.
        """
        style = self._services.styles.get(wanted.look)
        if style is None or style.photo is None:
            raise BadOrder("instant.unknown")
        look = style.photo
        if wanted.light != OWN_LIGHT:
            look = replace(look, light=wanted.light)
        self._rate.count(session.id)
        with self._at_once.hold(session.id), self._turn():
            self._require_photo(session, photo_id)
            sitter = self._sitter(session, photo_id)
            # Where a photo has no room for a frame, the nearest that it has room for is shown.
            for distance in dict.fromkeys([wanted.distance, *reversed(tuple(DISTANCES))]):
                wish = wish_of(look, wanted.shape, distance, SIZES[wanted.size])
                made = self._studio.compose(sitter, Sitting(look, wish, seed=_SEED))
                if not isinstance(made, Refusal):
                    file = _file(made[0], wanted.size, distance)
                    self._require_photo(session, photo_id)  # nothing is handed out afterwards
                    return file
        raise BadOrder("order.no_room")

    def forget(self, session_id: str, photo_id: str | None = None) -> None:
        """Drop a photo, or all of a session."""
        with self._lock:
            for key in list(self._kept):
                if key[0] == session_id and photo_id in (None, key[1]):
                    del self._kept[key]

    @contextmanager
    def _turn(self) -> Iterator[None]:
        if not self._renders.acquire(timeout=WAIT_S):
            raise Busy("errors.too_often")
        try:
            yield
        finally:
            self._renders.release()

    def _sitter(self, session: Session, photo_id: str) -> Sitter:
        key = (session.id, photo_id)
        # One after the other, so that two requests for a new photo do not both work it out.
        with self._sitting:
            with self._lock:
                if found := self._kept.pop(key, None):
                    self._kept[key] = (found[0], time.monotonic())
                    return found[0]
            try:
                photo = self._services.album.cut_out(session, photo_id)
            except KeyError:
                raise UnknownSession from None
            made = sit(photo.cut_out, photo.landmarks, photo.sharpness, self._services.mesh)
            (sitter,) = neutralised([made])
            self._keep(key, sitter)
        return sitter

    def _require_photo(self, session: Session, photo_id: str) -> None:
        if photo_id not in self._services.album.usable_cut_outs(session):
            self.forget(session.id, photo_id)
            raise UnknownSession

    def _keep(self, key: tuple[str, str], sitter: Sitter) -> None:
        with self._lock:
            # A session that ends after this look at it calls `forget`, which waits for the lock.
            if not self._services.sessions.alive(key[0]):
                raise UnknownSession
            self._kept[key] = (sitter, time.monotonic())
            while len(self._kept) > SITTERS:
                self._kept.popitem(last=False)
            if not self._tidying:
                self._tidy_later()

    def _tidy_later(self) -> None:
        """Under the lock."""
        self._tidying = True
        timer = threading.Timer(KEPT_S / 4, self._tidy)
        timer.daemon = True
        timer.start()

    def _tidy(self) -> None:
        with self._lock:
            before = time.monotonic() - KEPT_S
            for key in [key for key, (_, used) in self._kept.items() if used < before]:
                del self._kept[key]
            self._tidying = False
            if self._kept:
                self._tidy_later()


def choices(services: Services) -> dict[str, Any]:
    """What the page offers: looks (chosen first), shapes, distances, lights."""
    looks = [style for style in services.styles.values() if style.photo is not None]
    return {
        "looks": sorted(looks, key=lambda style: style.key != FIRST_LOOK),
        "shapes": tuple(SHAPES),
        "distances": tuple(DISTANCES),
        "lights": LIGHTS,
    }


def _file(image: NDArray[np.uint8], size: str, distance: str) -> Rendered:
    if size == "full":
        return Rendered(finish(png_of(image), Finish(), way="photo"), "image/png", distance)
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=_QUALITY)
    return Rendered(buffer.getvalue(), "image/jpeg", distance)
