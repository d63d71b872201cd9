"""The editor's half on the server: what the browser draws with, and portraits at full size.

The browser draws every change itself (`web/static/editor/`); the server hands it the parts
(`figure`), renders what is downloaded or kept, and keeps the latter beside the job's portraits.
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from errors import BadOrder, Busy
from pipeline.compositing.clothes import TONES
from pipeline.compositing.framing import SHAPES, Frame, Refusal, Wish
from pipeline.compositing.look import LIGHT_LIMITS, LIGHT_NAMES, PhotoLook
from pipeline.compositing.relight import LIGHTS, Light
from pipeline.compositing.studio import Sitter, Sitting, Studio, light_of
from pipeline.imaging import png_of
from pipeline.photo_job import record_of
from pipeline.photos.record import Stroke
from pipeline.portraits.export import Finish, finish
from pipeline.portraits.photo_way import measured
from pipeline.portraits.recipe import Recipe
from pipeline.portraits.sheet import KEPT, load_kept, sheet_file
from pipeline.portraits.shots import PhotoShot
from pipeline.portraits.style import Style
from privacy import kinds
from privacy.sessions import Session
from web import favourites, figure
from web.figure import FULL_PX, HEAD, HEADS, PREVIEW_PX, SEED, jpeg
from web.http.limits import ConcurrencyLimiter, RateLimiter
from web.services import Services
from web.sitters import AS_WORN, Seated, Sitters

AT_ONCE = 2
"""Things that the server works out at the same time, for all visitors."""

WAIT_S = 8.0
"""Seconds that a request waits for its turn before it is told to come back."""

PER_SESSION, PER_MINUTE = 6, 150
"""Requests of one session under way at once, and in a minute: arrow keys walk fast."""

MOST_KEPT = 24
"""Portraits that one session can keep: up to 8 MB each."""

SIZES = {"preview": PREVIEW_PX, "full": FULL_PX}

OWN_LIGHT = "look"
"""The light that the look has."""

CHOICES: dict[str, tuple[str, ...]] = {
    "shapes": tuple(SHAPES),
    "lights": (OWN_LIGHT, *LIGHT_NAMES),
    "clothes": (AS_WORN, *TONES),
}

FIRST_LOOK = "corporate"
"""A grey canvas wall in soft light, where it is among the looks."""


@dataclass(frozen=True)
class Wanted:
    """A portrait as the page asks for it.

    look: a look's key. shape: of `SHAPES`. head: of `HEADS`. light: of `CHOICES`; azimuth,
    elevation, strength, kelvin: in the place of what that light has, within `LIGHT_LIMITS`. blur:
    depth of field in the place of the look's, 0 to 1. clothes: of `CHOICES`.

    Raises:
        BadOrder: something that is not on offer.
    """

    look: str
    shape: str = "square"
    head: float = HEAD
    light: str = OWN_LIGHT
    azimuth: float | None = None
    elevation: float | None = None
    strength: float | None = None
    kelvin: float | None = None
    blur: float | None = None
    clothes: str = AS_WORN

    def __post_init__(self) -> None:
        known: tuple[tuple[object, Collection[object]], ...] = (
            (self.shape, SHAPES),
            (self.head, HEADS),
            (self.light, CHOICES["lights"]),
            (self.clothes, CHOICES["clothes"]),
        )
        bounded = [(value, LIGHT_LIMITS[name]) for name, value in self._light_changes().items()]
        if self.blur is not None:
            bounded.append((self.blur, (0, 1)))
        # Written so that it also refuses NaN.
        inside = all(low <= value <= high for value, (low, high) in bounded)
        if not inside or any(value not in names for value, names in known):
            raise BadOrder("editor.unknown")

    def treated(self, look: PhotoLook) -> PhotoLook:
        """The look as this portrait changes it."""
        light = light_of(look) if self.light == OWN_LIGHT else LIGHTS[self.light]
        chosen: Light = replace(light, **self._light_changes())
        blur = look.depth_of_field if self.blur is None else self.blur
        return replace(look, light=asdict(chosen), depth_of_field=blur, alike=None)

    def _light_changes(self) -> dict[str, float]:
        changes = {
            "azimuth": self.azimuth,
            "elevation": self.elevation,
            "strength": self.strength,
            "temperature_k": self.kelvin,
        }
        return {name: value for name, value in changes.items() if value is not None}


class Editor:
    """Answers the editors of all sessions. Thread-safe."""

    def __init__(self, services: Services) -> None:
        self._services, self.studio = services, Studio()
        self.sitters = Sitters(services)
        self.turns = threading.BoundedSemaphore(AT_ONCE)
        self._rate = RateLimiter(PER_MINUTE, 60.0)
        self.at_once = ConcurrencyLimiter(PER_SESSION)
        self._keeping = threading.Lock()

    def best_first(self, session: Session) -> list[str]:
        """Ids of the usable photos, the best one first.

        Raises:
            UnknownSession: the session was erased. Busy: too much at once.
        """
        with self._work(session):
            return self.sitters.best_first(session)

    def figure(self, session: Session, photo_id: str, clothes: str) -> bytes:
        """A photo as the browser draws with it, gzipped.

        Raises:
            UnknownSession: there is no such photo in this session, or it cannot be cut out.
            BadOrder: no such clothes, or they cannot be told from skin and hair. Busy.
        """
        if clothes not in CHOICES["clothes"]:
            raise BadOrder("editor.unknown")
        with self._work(session):
            seated = self.sitters.seated(session, photo_id)
            sitter, strokes = _wearing(seated, clothes), seated.photo.strokes
            packed = figure.figure(sitter, clear=seated.clear, strokes=strokes)
            self.sitters.require(session, photo_id)  # nothing is handed out afterwards
            return packed

    def take_away(self, session: Session, photo_id: str, stroke: Stroke | None) -> None:
        """Take what is under a stroke out of a photo's cut-out; None brings the last one back.

        Raises:
            UnknownSession: there is no such photo in this session, or it cannot be cut out.
            BadOrder: too many strokes. Busy. DiskFull: no room.
        """
        strokes = self._services.album.strokes
        with self._work(session):
            self.sitters.require(session, photo_id)
            with self.sitters.changing(session, photo_id):
                if stroke is None:
                    strokes.back(session, photo_id)
                else:
                    strokes.add(session, photo_id, stroke)

    def frames(
        self, session: Session, photo_id: str, look: str, shape: str
    ) -> list[dict[str, Any] | None]:
        """The frames of a photo in a shape, one for each head size.

        Raises:
            UnknownSession, Busy: as `figure`. BadOrder: no such look or shape.
        """
        wanted, (_, treated) = Wanted(look, shape), self._look(look)
        with self._work(session):
            seated = self.sitters.seated(session, photo_id)
            return figure.frames(seated.sitter, wanted.shape, fade=treated.fade, eyes=treated.eyes)

    def wall(self, session: Session, wanted: Wanted) -> bytes:
        """The wall at preview size, as JPEG.

        Raises:
            BadOrder: no such look. Busy: too much at once.
        """
        _, look = self._look(wanted.look)
        with self._work(session):
            return figure.wall(look, wanted.shape, wanted.blur)

    def render(self, session: Session, photo_id: str, wanted: Wanted, size: str) -> bytes:
        """A portrait: JPEG at the preview's size, PNG at full size.

        Raises:
            UnknownSession: there is no such photo in this session, or it cannot be cut out.
            BadOrder: nothing of the kind, or no room in the photo. Busy: too much at once.
        """
        if size not in SIZES:
            raise BadOrder("editor.unknown")
        with self._work(session):
            image, *_ = self._composed(session, photo_id, wanted, SIZES[size])
            data = _png(image) if size == "full" else jpeg(image)
            self.sitters.require(session, photo_id)
            return data

    def keep(self, session: Session, photo_id: str, wanted: Wanted) -> str:
        """Render a portrait at full size and keep it beside the others, as a favourite: its id.

        Raises:
            UnknownSession, BadOrder, Busy: as `render`; BadOrder, too, when enough are kept.
            DiskFull: no room.
        """
        vault = self._services.vault
        with self._work(session):
            style, _ = self._look(wanted.look)
            image, frame, seated, recipe = self._composed(session, photo_id, wanted, FULL_PX)
            shot = PhotoShot(0, style, 0, "", mirrored=False, seed=SEED)
            sat = (seated.photo, seated.sitter, (image, frame), self._services.faces)
            portrait = replace(measured(shot, *sat), recipe=recipe)
            png = png_of(image)
            self.sitters.require(session, photo_id)
            with self._keeping:
                records = load_kept(vault, session)
                if len(records) >= MOST_KEPT:
                    raise BadOrder("editor.kept_enough", most=MOST_KEPT)
                record = record_of(f"{KEPT}-{len(records) + 1:03d}", portrait)
                sheet = sheet_file([*records, record], KEPT)
                vault.put_all(session, [(kinds.PORTRAIT, record.id, png), sheet])
        favourites.mark(vault, session, record.id, True)
        return record.id

    @contextmanager
    def _work(self, session: Session) -> Iterator[None]:
        """Count a request, and wait for its turn."""
        self._rate.count(session.id)
        with self.at_once.hold(session.id):
            if not self.turns.acquire(timeout=WAIT_S):
                raise Busy("errors.too_often")
            try:
                yield
            finally:
                self.turns.release()

    def _look(self, key: str) -> tuple[Style, PhotoLook]:
        style = self._services.styles.get(key)
        if style is None or style.photo is None:
            raise BadOrder("editor.unknown")
        return style, style.photo

    def _composed(
        self, session: Session, photo_id: str, wanted: Wanted, side: int
    ) -> tuple[NDArray[np.uint8], Frame, Seated, Recipe]:
        _, look = self._look(wanted.look)
        seated = self.sitters.seated(session, photo_id)
        wish = Wish(wanted.shape, side=side, fade=look.fade, head=wanted.head, eyes=look.eyes)
        sitting = Sitting(wanted.treated(look), wish, seed=SEED)
        sitter = _wearing(seated, wanted.clothes)
        made = self.studio.compose(sitter, sitting)
        if isinstance(made, Refusal):
            raise BadOrder("order.no_room")
        tone = None if wanted.clothes == AS_WORN else wanted.clothes
        return (*made, seated, Recipe.of(sitting, tone, sitter))


def choices(services: Services) -> dict[str, Any]:
    """What the page offers: looks, shapes, heads (first: `head`), lights, clothes."""
    looks = [style for style in services.styles.values() if style.photo is not None]
    first = next(iter(services.brand.styles), FIRST_LOOK)
    looks.sort(key=lambda style: style.key != first)
    alike = next((style.photo.alike for style in looks if style.photo), None)
    head = min(HEADS, key=lambda share: abs(share - (alike.head if alike else HEAD)))
    clothes = sorted(CHOICES["clothes"], key=lambda tone: alike is None or tone != alike.clothes)
    return {
        "looks": looks,
        "heads": HEADS,
        "head": head,
        "kelvins": figure.KELVINS,
        **CHOICES,
        "clothes": clothes,
    }


def _wearing(seated: Seated, clothes: str) -> Sitter:
    sitter = seated.wearing(clothes)
    if sitter is None:
        raise BadOrder("editor.clothes_unclear")
    return sitter


def _png(image: NDArray[np.uint8]) -> bytes:
    return finish(png_of(image), Finish(), way="photo")
