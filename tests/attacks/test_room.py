"""Nobody's room reaches the disk: what stood behind a person is in no file after the ingest."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from pipeline.assembly import cutter
from pipeline.imaging import CutOut
from pipeline.photos.album import Album
from pipeline.photos.arrivals import Keeping
from pipeline.photos.ingest import Decoder
from tests.support.faces import Picture, encoded, models, portrait, segmenter
from tests.support.store import Store

PX = 640
NEAR = 0.06
"""Share of the side around the person within which a matte may be soft."""


@pytest.fixture(scope="module")
def decoder() -> Iterator[Decoder]:
    with Decoder(max_bytes=9_000_000, max_pixels=20_000_000) as opened:
        yield opened


def room(side: int) -> Picture:
    """A busy wall: coloured papers with writing on them."""
    rng = np.random.default_rng(5)
    wall = np.full((side, side, 3), (90, 110, 140), np.uint8)
    for _ in range(60):
        x, y = (int(v) for v in rng.integers(0, side, 2))
        colour = tuple(int(v) for v in rng.integers(0, 255, 3))
        cv2.rectangle(wall, (x, y), (x + side // 12, y + side // 16), colour, -1)
        cv2.putText(wall, "PIN 4711", (x, y + 20), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (0, 0, 0), 1)
    return wall


def before_a_room(who: str) -> tuple[Picture, Picture]:
    """A person before `room`, and uint8 [H, W] where there is surely nothing but room: 255."""
    person = portrait(who)
    side = person.shape[0]
    matte = segmenter().matte(person)
    share = matte[..., None].astype(np.float32) / 255
    picture = person * share + room(side) * (1 - share)
    away = cv2.dilate((matte > 8).astype(np.uint8), np.ones((2 * int(NEAR * side) + 1,) * 2))
    return picture.astype(np.uint8), (255 * (1 - away)).astype(np.uint8)


@pytest.mark.fact(31)
@pytest.mark.parametrize("who", ["a", "b"])
def test_no_pixel_of_the_room_is_kept(decoder: Decoder, tmp_path: Path, who: str) -> None:
    store = Store(tmp_path)
    given: list[Picture] = []
    cut = cutter(segmenter())

    def watched(image: Picture, face: object) -> CutOut:
        given.append(image)
        return cut(image, face)  # type: ignore[arg-type]

    album = Album(store.vault, decoder, models(), watched, Keeping(5, PX, PX))
    session, _ = store.sessions.create()
    picture, only_room = before_a_room(who)
    assert album.add(session, encoded(picture, "PNG"), "me.png").accepted
    assert [entry.kind for entry in store.vault.list(session)].count("photo") == 1

    kept = CutOut.from_png(album.image(session, "photo-01"))
    assert not kept.colours[kept.alpha == 0].any()
    # The kept frame is a part of the picture: find it by what the cut-out was given.
    at = _place(picture, given[0])
    there = only_room[at[1] : at[1] + kept.alpha.shape[0], at[0] : at[0] + kept.alpha.shape[1]]
    assert (there == 255).mean() > 0.1  # there was room in the frame
    assert not kept.alpha[there == 255].any()


def _place(picture: Picture, crop: Picture) -> tuple[int, int]:
    """Left and top of an unscaled crop."""
    found = cv2.matchTemplate(picture, crop, cv2.TM_SQDIFF)
    _, _, (left, top), _ = cv2.minMaxLoc(found)
    return left, top
