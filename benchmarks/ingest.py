"""What it costs to take photos in: a limited process, checks and encryption beside bare Pillow."""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

import settings as configuration
from benchmarks.measure import Measurement
from benchmarks.parts import parts, seconds
from dev.make_selfies import selfies
from pipeline.assembly import TRAINING_PX as PHOTO_PX
from pipeline.compositing.segmenter import Segmenter
from pipeline.imaging import CutOut, Face
from pipeline.photos.album import Album
from pipeline.photos.arrivals import Keeping
from pipeline.photos.detection import Faces
from pipeline.photos.ingest import LONG_SIDE, Decoder

PHOTOS, WIDTH, HEIGHT = 20, 4000, 3000


def ingest_20() -> dict[str, Measurement]:
    """Seconds for 20 photos of 12 megapixels, one after the other, finding faces apart.

    Ours: decode in the limited process, receive the pixels, judge, crop, encode as PNG, encrypt,
    write durably. Reference, bare Pillow in this process: decode, reduce to the same `LONG_SIDE`
    (which lets the JPEG decoder skip work, as ours does), reduce to the kept size, encode as the
    same PNG; nothing is written. Detector and recogniser are the same for anybody: `_faces`.
    """
    models = configuration.load().models / "faces"
    faces = _TimedFaces(Faces(models))
    files = _twelve_megapixels(faces.faces, Segmenter(models))
    with parts() as opened, Decoder(max_bytes=20_000_000, max_pixels=50_000_000) as decoder:
        keeping = Keeping(PHOTOS, PHOTO_PX, PHOTO_PX)
        album = Album(opened.vault, decoder, faces, _whole, keeping)  # type: ignore[arg-type]
        warm_up, _ = opened.sessions.create()
        album.add(warm_up, files[0], "first")  # loads the models, starts the process
        session, _ = opened.sessions.create()
        faces.seconds = ours = reference = 0.0
        for number, data in enumerate(files):
            ours += seconds(lambda: album.add(session, data, str(number)))  # noqa: B023
            reference += seconds(lambda: _bare_pillow(data))  # noqa: B023
        kept = len(opened.vault.list(session, "photo"))
    assert kept == PHOTOS, f"only {kept} of the photos were good"
    return {
        "ingest_20": Measurement(ours - faces.seconds, "s", "ratio <= 1.5", reference),
        "ingest_20_faces": Measurement(faces.seconds, "s, on top", ""),
    }


def _whole(image: NDArray[np.uint8], face: Face) -> CutOut:
    """Everything is person: what cutting out costs is measured on its own."""
    return CutOut(image, np.full(image.shape[:2], 255, np.uint8))


def _bare_pillow(data: bytes) -> bytes:
    buffer = io.BytesIO()
    with Image.open(io.BytesIO(data)) as image:
        image.thumbnail((LONG_SIDE, LONG_SIDE))
        rgb = image.convert("RGB")
    rgb.thumbnail((PHOTO_PX, PHOTO_PX))
    rgb.save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


def _twelve_megapixels(faces: Faces, segmenter: Segmenter) -> list[bytes]:
    """JPEGs of 4000 x 3000 pixels with a person and a camera's noise in each."""
    sample = sorted((configuration.ROOT / "tests" / "samples").glob("*.jpg"))[0]
    with Image.open(sample) as image:
        pictures = selfies(np.asarray(image.convert("RGB")), faces, segmenter.matte, count=PHOTOS)
    noise = np.random.default_rng(12).normal(0, 4, (HEIGHT, WIDTH, 3)).astype(np.int16)
    files = []
    for picture in pictures:
        person = cv2.resize(picture, (HEIGHT, HEIGHT), interpolation=cv2.INTER_CUBIC)
        side = (WIDTH - HEIGHT) // 2
        wide = cv2.copyMakeBorder(person, 0, 0, side, side, cv2.BORDER_REPLICATE)
        buffer = io.BytesIO()
        Image.fromarray(np.clip(wide + noise, 0, 255).astype(np.uint8)).save(
            buffer, "JPEG", quality=90
        )
        files.append(buffer.getvalue())
    return files


class _TimedFaces:
    """`Faces`, and the seconds spent in it."""

    def __init__(self, faces: Faces) -> None:
        self.faces, self.seconds = faces, 0.0

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self.faces, name)

        def timed(*arguments: object) -> object:
            started = time.perf_counter()
            try:
                return method(*arguments)
            finally:
                self.seconds += time.perf_counter() - started

        return timed
