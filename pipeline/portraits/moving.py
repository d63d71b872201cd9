"""A stored portrait of a photo that moves: composed anew from its recipe, then written as a film.

What cannot be composed as it was stored does not move: it would show another picture.
"""

from __future__ import annotations

import io
from collections.abc import Generator, Iterable
from contextlib import closing

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from errors import BadOrder
from pipeline.compositing.framing import Refusal
from pipeline.compositing.studio import Sitter, Sitting, Studio
from pipeline.compositing.warp import Moving
from pipeline.imaging import png_of
from pipeline.portraits.clip import FORMS, PREVIEW, Form, Pictures, writer
from pipeline.portraits.export import Finish, finish
from pipeline.portraits.recipe import Recipe
from pipeline.portraits.score import PortraitRecord

SAME = 0.5
"""Grey levels by which a portrait that is composed again may differ from the stored one, in the
mean; another libm or OpenCV rounds in another way."""

STILL = Form("image/jpeg", 480)
"""The first frame alone."""


def recipe_of(record: PortraitRecord) -> Recipe:
    """How a portrait was composed.

    Raises:
        BadOrder: it is no portrait of a photo alone, or from before this was kept.
    """
    if record.way != "photo":
        raise BadOrder("moving.painted")
    try:
        return Recipe.from_row(record.recipe or {})
    except (KeyError, TypeError):
        raise BadOrder("moving.old") from None


def composed_of(record: PortraitRecord, sitter: Sitter) -> tuple[Sitter, Sitting]:
    """What a portrait was composed of. sitter: its photo, as worn.

    Raises:
        BadOrder: as `recipe_of`; or its photo is no longer what it was.
    """
    recipe = recipe_of(record)
    if (worn := recipe.wearing(sitter)) is None:
        raise BadOrder("moving.changed")
    return worn, recipe.sitting


def require_same(stored: bytes, sitter: Sitter, sitting: Sitting, studio: Studio) -> None:
    """Compose a stored portrait, PNG, again, and look whether it still gives the same picture.

    Raises:
        BadOrder: it does not: its photo or the wall is no longer what it was.
    """
    made = _composed(sitter, sitting, studio)
    with Image.open(io.BytesIO(stored), formats=("PNG",)) as opened:
        before = np.asarray(opened.convert("RGB"), np.float32)
    if made is None or made.shape != before.shape or np.abs(before - made).mean() > SAME:
        raise BadOrder("moving.changed")


def _composed(sitter: Sitter, sitting: Sitting, studio: Studio) -> NDArray[np.uint8] | None:
    try:
        made = studio.compose(sitter, sitting)
    except (KeyError, OSError):  # a wall or a grade that is not on offer any more
        return None
    return None if isinstance(made, Refusal) else made[0]


def preview(moving: Moving, preset: str) -> bytes:
    """A small WebP."""
    pictures = Pictures(PREVIEW, palette=False)
    with closing(moving.frames(preset, PREVIEW.every)) as frames:
        for frame in frames:
            pictures.add(frame)
    return pictures.finish()


def still(moving: Moving, preset: str, how: Finish) -> bytes:
    """The first frame as JPEG, with the mark that `how` asks for."""
    with closing(moving.frames(preset)) as frames:
        first = next(frames)
    return finish(png_of(first), how, way="photo")


def filming(moving: Moving, preset: str, name: str) -> Generator[float, None, bytes]:
    """Write a form of `clip.FORMS`: after each frame the share that is done; returns the file."""
    with closing(moving.frames(preset, FORMS[name].every)) as frames:
        return (yield from written(frames, moving.size, name))


def written(
    frames: Iterable[NDArray[np.uint8]], size: tuple[int, int], name: str
) -> Generator[float, None, bytes]:
    """The same of frames, uint8 RGB of `size` (H, W), as many as the form has."""
    film = writer(name, size)
    for number, frame in enumerate(frames, start=1):
        film.add(frame)
        yield number / FORMS[name].frames
    return film.finish()
