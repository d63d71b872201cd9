"""`--moving N` of the command line: films of the best portraits, beside their pictures.

A portrait of a photo is bent (`compositing.warp`), on any machine; with `--moving-base` a base
makes a clip of any portrait, which needs a GPU.
"""

from __future__ import annotations

import argparse
import io
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from tqdm import tqdm

from errors import BadOrder, ClipRefused, OperatorError, Stopped
from messages import Message
from pipeline.compositing.studio import Sitter, Studio, sit
from pipeline.compositing.warp import PRESETS, SHAPES, Moving
from pipeline.imaging import png_of
from pipeline.job import Services
from pipeline.orders import Way
from pipeline.portraits.archive import file_name
from pipeline.portraits.clip import FORMS
from pipeline.portraits.clip_marks import marked
from pipeline.portraits.export import Finish, finish
from pipeline.portraits.moving import composed_of, filming, require_same, still, written
from pipeline.portraits.score import PortraitRecord
from privacy import kinds
from privacy.sessions import Session
from settings import Settings

MOST = 24
SQUARE = "square"
FORM = "mp4"


def options(parser: argparse.ArgumentParser) -> None:
    """Add the options of this module."""
    words = f"also write films of so many of the best portraits, up to {MOST} (0)"
    parser.add_argument("--moving", type=_count, default=0, metavar="N", help=words)
    parser.add_argument("--motion", choices=PRESETS, default=PRESETS[0], help="how they move")
    shapes = "shape of the films"
    parser.add_argument("--moving-shape", choices=SHAPES, default=next(iter(SHAPES)), help=shapes)
    words = "kind of file of the films"
    parser.add_argument("--moving-format", choices=FORMS, default=FORM, help=words)
    words = "a base under models/ that makes the films, on a GPU; else photos are bent, anywhere"
    parser.add_argument("--moving-base", metavar="BASE", help=words)


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) > MOST:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 0 to {MOST}")
    return int(text)


def check(chosen: argparse.Namespace, ways: Sequence[str], settings: Settings) -> None:
    """Before minutes of work: whether there will be portraits that can move.

    Raises:
        OperatorError: none of the ways makes any, or the options do not fit together.
        BaseUnavailable: the base that is to move them is missing, or cannot do that here.
    """
    if chosen.moving_base and not chosen.moving:
        raise OperatorError("--moving-base needs --moving N, the number of films.")
    if chosen.moving_base and chosen.moving_shape != SQUARE:
        raise OperatorError("A base makes square films: leave --moving-shape or --moving-base out.")
    if chosen.moving and not chosen.moving_base and "photo" not in ways:
        raise OperatorError(
            "Without --moving-base only portraits of photos can move: leave --moving out, or "
            "choose --way photo or both."
        )
    if chosen.moving_base:
        from pipeline import clip_base  # torch

        clip_base.plan(_folder(chosen, settings), settings.acknowledge)


def _folder(chosen: argparse.Namespace, settings: Settings) -> Path:
    return settings.model_copy(update={"base": chosen.moving_base}).base_folder


@dataclass(frozen=True)
class Films:
    """Writes films of one session's portraits.

    settings: where bases lie, and whose licences are acknowledged. how: the mark, and who signs it.
    stop: becomes true when it is to end. tell: a message as a sentence.
    """

    services: Services
    session: Session
    settings: Settings
    chosen: argparse.Namespace
    how: Finish
    stop: Callable[[], bool]
    tell: Callable[[Message], str]

    def write(self, records: list[PortraitRecord]) -> list[dict[str, Any]]:
        """Films and posters of the first that can move: what `--json` tells of each.

        records: the best one first, in the order in which their pictures are named.

        Raises:
            Stopped: it was asked to. OSError: OUT cannot be written.
            BaseUnavailable: the base cannot be loaded, or memory is short for its smallest clip.
        """
        if not self.chosen.moving:
            return []
        inventing = bool(self.chosen.moving_base)
        make = self._inventing() if inventing else self._bending()
        told: list[dict[str, Any]] = []
        movable = [
            (place, record)
            for place, record in enumerate(records, start=1)
            if inventing or record.way == "photo"
        ]
        bar = tqdm(total=self.chosen.moving, desc="Setting in motion", unit="film", disable=None)
        with bar:
            for place, record in movable:
                if len(told) == self.chosen.moving:
                    break
                try:
                    told.append(self._written(place, record, make(record)))
                except (BadOrder, ClipRefused) as why:  # the next one may have more room
                    bar.write(f"{record.id}: {self.tell(why.message)}")
                    continue
                bar.update()
        return told

    def _written(self, place: int, record: PortraitRecord, film: _Film) -> dict[str, Any]:
        chosen = self.chosen
        picture: Path = chosen.out / file_name(place, record)
        picture.parent.mkdir(parents=True, exist_ok=True)
        target = picture.with_suffix(f".{chosen.moving_format}")
        target.write_bytes(marked(film.file, chosen.moving_format, self.how.signer, film.way))
        poster = picture.with_suffix(".jpg")
        poster.write_bytes(film.poster)
        told = {
            "file": str(target.relative_to(chosen.out)),
            "poster": str(poster.relative_to(chosen.out)),
            "motion": chosen.motion,
            "px": [film.size[1], film.size[0]],
            "bytes": target.stat().st_size,
        }
        return told if film.likeness is None else told | {"likeness": round(film.likeness, 4)}

    def _stored(self, record: PortraitRecord) -> bytes:
        return self.services.vault.open(self.session, kinds.PORTRAIT, record.id)

    def _bending(self) -> Callable[[PortraitRecord], _Film]:
        """What makes films of portraits of photos."""
        chosen, studio = self.chosen, Studio()
        poster = replace(self.how, format="jpeg")

        def make(record: PortraitRecord) -> _Film:
            sitter, sitting = composed_of(record, self._sitter(record))
            require_same(self._stored(record), sitter, sitting, studio)
            side = FORMS[chosen.moving_format].side(chosen.moving_shape)
            moving = Moving(sitter, sitting, chosen.moving_shape, side, studio)
            file = self._file(filming(moving, chosen.motion, chosen.moving_format))
            return _Film(file, still(moving, chosen.motion, poster), moving.size)

        return make

    def _file(self, writing: Generator[float, None, bytes]) -> bytes:
        with closing(writing) as work:
            while True:
                if self.stop():
                    raise Stopped
                try:
                    next(work)
                except StopIteration as ended:
                    film: bytes = ended.value
                    return film

    def _inventing(self) -> Callable[[PortraitRecord], _Film]:
        """What makes films of all portraits by a base."""
        from pipeline.clip_base import ClipBase, there_and_back

        chosen, name = self.chosen, self.chosen.moving_format
        settings, faces = self.settings, self.services.faces
        base = ClipBase(_folder(chosen, settings), settings.acknowledge, faces, self.stop)
        poster = replace(self.how, format="jpeg")

        def make(record: PortraitRecord) -> _Film:
            with Image.open(io.BytesIO(self._stored(record)), formats=("PNG",)) as opened:
                portrait = np.asarray(opened.convert("RGB"))
            clip = base.clip(portrait, chosen.motion, record.seed, self._say)
            form, loop = FORMS[name], there_and_back(clip.frames)
            side = min(form.short, loop[0].shape[0]) // 2 * 2
            frames = (_resized(frame, side) for frame in loop[:: form.every])
            file = self._file(written(frames, (side, side), name))
            first = finish(png_of(loop[0]), poster, way="painted")
            return _Film(file, first, (side, side), "painted", min(clip.likeness))

        return make

    def _say(self, message: Message) -> None:
        tqdm.write(self.tell(message))

    def _sitter(self, record: PortraitRecord) -> Sitter:
        photo = self.services.album.cut_out(self.session, record.photo)
        return sit(photo.cut_out, photo.landmarks, photo.sharpness, self.services.mesh)


@dataclass(frozen=True)
class _Film:
    """file: as encoded, unmarked. poster: the first frame as JPEG. size: height and width.
    way: how it is marked. likeness: least of its frames, None where nobody is invented."""

    file: bytes
    poster: bytes
    size: tuple[int, int]
    way: Way = "photo"
    likeness: float | None = None


def _resized(frame: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    if frame.shape[0] == side:
        return frame
    return np.asarray(cv2.resize(frame, (side, side), interpolation=cv2.INTER_AREA), np.uint8)
