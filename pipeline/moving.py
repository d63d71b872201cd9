"""`--moving N` of the command line: films of the best portraits of photos, beside the pictures."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tqdm import tqdm

from errors import BadOrder, OperatorError, Stopped
from messages import Message
from pipeline.compositing.studio import Sitter, Studio, sit
from pipeline.compositing.warp import PRESETS, SHAPES, Moving
from pipeline.job import Services
from pipeline.portraits.archive import file_name
from pipeline.portraits.clip import FORMS
from pipeline.portraits.clip_marks import marked
from pipeline.portraits.export import Finish
from pipeline.portraits.moving import composed_of, filming, require_same, still
from pipeline.portraits.score import PortraitRecord
from privacy import kinds
from privacy.sessions import Session

MOST = 24
FORM = "mp4"


def options(parser: argparse.ArgumentParser) -> None:
    """Add the options of this module."""
    words = f"also write films of so many of the best portraits of photos, up to {MOST} (0)"
    parser.add_argument("--moving", type=_count, default=0, metavar="N", help=words)
    parser.add_argument("--motion", choices=PRESETS, default=PRESETS[0], help="how they move")
    shapes = "shape of the films"
    parser.add_argument("--moving-shape", choices=SHAPES, default=next(iter(SHAPES)), help=shapes)
    words = "kind of file of the films"
    parser.add_argument("--moving-format", choices=FORMS, default=FORM, help=words)


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) > MOST:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 0 to {MOST}")
    return int(text)


def require_photo_way(chosen: argparse.Namespace, ways: Sequence[str]) -> None:
    """Before minutes of work: whether there will be portraits that can move.

    Raises:
        OperatorError: none of the ways makes any.
    """
    if chosen.moving and "photo" not in ways:
        raise OperatorError(
            "Only portraits of photos can move: leave --moving out, or choose --way photo or both."
        )


@dataclass(frozen=True)
class Films:
    """Writes films of one session's portraits.

    how: the mark, and who signs it. stop: becomes true when it is to end. tell: a message as a
    sentence.
    """

    services: Services
    session: Session
    chosen: argparse.Namespace
    how: Finish
    stop: Callable[[], bool]
    tell: Callable[[Message], str]

    def write(self, records: list[PortraitRecord]) -> list[dict[str, Any]]:
        """Films and posters of the first that can move: what `--json` tells of each.

        records: the best one first, in the order in which their pictures are named.

        Raises:
            Stopped: it was asked to. OSError: OUT cannot be written.
        """
        studio = Studio()
        told: list[dict[str, Any]] = []
        movable = [one for one in enumerate(records, start=1) if one[1].way == "photo"]
        bar = tqdm(total=self.chosen.moving, desc="Setting in motion", unit="film", disable=None)
        with bar:
            for place, record in movable:
                if len(told) == self.chosen.moving:
                    break
                try:
                    told.append(self._film(place, record, studio))
                except BadOrder as why:  # the next one may have more room
                    bar.write(f"{record.id}: {self.tell(why.message)}")
                    continue
                bar.update()
        return told

    def _film(self, place: int, record: PortraitRecord, studio: Studio) -> dict[str, Any]:
        chosen = self.chosen
        sitter, sitting = composed_of(record, self._sitter(record))
        stored = self.services.vault.open(self.session, kinds.PORTRAIT, record.id)
        require_same(stored, sitter, sitting, studio)
        side = FORMS[chosen.moving_format].side(chosen.moving_shape)
        moving = Moving(sitter, sitting, chosen.moving_shape, side, studio)
        film = self._made(moving)
        picture: Path = chosen.out / file_name(place, record)
        picture.parent.mkdir(parents=True, exist_ok=True)
        target = picture.with_suffix(f".{chosen.moving_format}")
        target.write_bytes(marked(film, chosen.moving_format, self.how.signer))
        poster = picture.with_suffix(".jpg")
        poster.write_bytes(still(moving, chosen.motion, replace(self.how, format="jpeg")))
        return {
            "file": str(target.relative_to(chosen.out)),
            "poster": str(poster.relative_to(chosen.out)),
            "motion": chosen.motion,
            "px": [moving.size[1], moving.size[0]],
            "bytes": target.stat().st_size,
        }

    def _made(self, moving: Moving) -> bytes:
        with closing(filming(moving, self.chosen.motion, self.chosen.moving_format)) as work:
            while True:
                if self.stop():
                    raise Stopped
                try:
                    next(work)
                except StopIteration as ended:
                    film: bytes = ended.value
                    return film

    def _sitter(self, record: PortraitRecord) -> Sitter:
        photo = self.services.album.cut_out(self.session, record.photo)
        return sit(photo.cut_out, photo.landmarks, photo.sharpness, self.services.mesh)
