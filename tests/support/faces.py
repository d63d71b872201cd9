"""Test photos of people who do not exist, and of a cat who does."""

from __future__ import annotations

import io
from functools import cache
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dev.make_selfies import selfies
from pipeline.compositing.segmenter import Segmenter
from pipeline.photos.detection import Faces

SAMPLES = Path(__file__).parents[1] / "samples"
MODELS = Path(__file__).parents[2] / "models" / "faces"

Picture = NDArray[np.uint8]


@cache
def models() -> Faces:
    """The real models; they are loaded once per test run."""
    return Faces(MODELS)


@cache
def segmenter() -> Segmenter:
    """The real segmenter, loaded once as well."""
    return Segmenter(MODELS)


@cache
def portrait(who: str) -> Picture:
    """Uint8 RGB [640, 640, 3] of a dreamt-up person, "a" or "b"."""
    return _read(SAMPLES / f"nobody-{who}.jpg")


def cat() -> Picture:
    """Chelsea, photographed by Stefan van der Walt (CC0, from scikit-image)."""
    return _read(SAMPLES / "cat.webp")


@cache
def photos(who: str, count: int = 8) -> tuple[Picture, ...]:
    """Varied photos, uint8 RGB [900, 900, 3], of one person: turned, cropped, relit."""
    return tuple(selfies(portrait(who), models(), segmenter().matte, count=count))


def shown(face: Picture, px: int, room: tuple[int, int] = (1000, 1000)) -> Picture:
    """A grey room (height, width) with a portrait of `px` pixels a side in its middle."""
    canvas = np.full((*room, 3), 120, np.uint8)
    return placed(canvas, face, px, (room[0] - px) // 2, (room[1] - px) // 2)


def placed(canvas: Picture, face: Picture, px: int, top: int, left: int) -> Picture:
    """A copy of the canvas with a portrait of `px` pixels a side at `top`, `left`."""
    together = canvas.copy()
    together[top : top + px, left : left + px] = cv2.resize(
        face, (px, px), interpolation=cv2.INTER_AREA
    )
    return together


def encoded(picture: Picture, form: str = "JPEG", **options: object) -> bytes:
    """A picture as a file in the named format of Pillow."""
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, form, **options)
    return buffer.getvalue()


def _read(path: Path) -> Picture:
    with Image.open(path) as image:
        return np.array(image.convert("RGB"))
