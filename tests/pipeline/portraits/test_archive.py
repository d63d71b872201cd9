"""What leaves the vault: sizes, names, and a ZIP that never exists on a disk."""

from __future__ import annotations

import io
import zipfile

import numpy as np
import pytest
from PIL import Image

from errors import BadOrder, UnknownSession
from pipeline.assembly import Assembly
from pipeline.portraits.archive import archive, file_name
from pipeline.portraits.export import Finish, finish
from pipeline.portraits.score import PortraitRecord
from tests.support.refused import refused

AS_STORED = Finish(marked=False)


def png(side: int) -> bytes:
    pixels = np.random.default_rng(side).integers(0, 255, (side, side, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def record(number: int, *, doubtful: bool = False) -> PortraitRecord:
    return PortraitRecord(
        id=f"portrait-{number:03d}", style="corporate", seed=number, likeness=0.5, doubtful=doubtful
    )


@pytest.mark.parametrize(("size", "side"), [("original", 640), ("800", 800), ("400", 400)])
def test_sizes(size: str, side: int) -> None:
    with Image.open(io.BytesIO(finish(png(640), Finish(size)))) as image:
        assert image.size == (side, side)
        assert image.format == "PNG"


def test_an_unknown_size_is_a_sentence() -> None:
    with refused(BadOrder, "original, 800, 400"):
        finish(png(64), Finish("huge"))


def test_doubtful_portraits_have_a_folder_of_their_own() -> None:
    assert file_name(3, record(7)) == "003-corporate.png"
    assert file_name(4, record(8, doubtful=True)).startswith("doubtful/")
    assert file_name(3, record(7), Finish(format="jpeg")) == "003-corporate.jpg"


def test_the_zip_holds_every_portrait_bit_for_bit(assembly: Assembly) -> None:
    services = assembly.services
    session, _ = services.sessions.create()
    pictures = [png(64), png(65)]
    for number, picture in enumerate(pictures, start=1):
        services.vault.put(session, "portrait", f"portrait-{number:03d}", picture)
    chunks = list(archive(services.vault, session, [record(1), record(2)], AS_STORED))
    assert len(chunks) == 3  # a chunk per portrait, then the directory: never all at once
    with zipfile.ZipFile(io.BytesIO(b"".join(chunks))) as bundle:
        assert bundle.testzip() is None
        assert [bundle.read(name) for name in bundle.namelist()] == pictures


@pytest.mark.fact(19)
def test_an_erasure_during_a_download_ends_it(assembly: Assembly) -> None:
    services = assembly.services
    session, _ = services.sessions.create()
    for number in (1, 2):
        services.vault.put(session, "portrait", f"portrait-{number:03d}", png(64))
    download = archive(services.vault, session, [record(1), record(2)], AS_STORED)
    next(download)
    services.sessions.erase(session.id, "user")
    with pytest.raises((UnknownSession, KeyError)):
        next(download)
