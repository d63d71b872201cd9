"""JPEGs that lost their end, or a piece of their middle, on the way."""

from __future__ import annotations

import io
from collections.abc import Iterator

import numpy as np
import pytest
from PIL import Image

from errors import BadPhoto
from pipeline.photos.ingest import Decoder
from tests.support.faces import portrait

KINDS: dict[str, dict[str, object]] = {
    "baseline": {},
    "progressive": {"progressive": True},
    "restarts": {"restart_marker_rows": 1},
    "4:4:4": {"subsampling": 0, "optimize": True},
}
SIZES = [(640, 640), (3601, 2403)]
END = b"\xff\xd9"


@pytest.fixture(scope="module")
def decoder() -> Iterator[Decoder]:
    with Decoder(max_bytes=20_000_000, max_pixels=64_000_000) as opened:
        yield opened


def jpeg(kind: str, size: tuple[int, int] = SIZES[0], mode: str = "RGB") -> bytes:
    buffer = io.BytesIO()
    photo = Image.fromarray(portrait("a")).resize(size).convert(mode)
    photo.save(buffer, "JPEG", quality=90, **KINDS[kind])
    return buffer.getvalue()


def place(data: bytes, share: float) -> int:
    """Where this share of the compressed data has gone by."""
    start = data.index(b"\xff\xda") + 14
    return int(start + (len(data) - start) * share)


def refused(decoder: Decoder, data: bytes) -> bool:
    try:
        decoder.decode(data)
    except BadPhoto as bad:
        return bad.code == "unreadable"
    return False


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("kind", KINDS)
def test_only_the_end_marker_is_missing(decoder: Decoder, kind: str, size: tuple[int, int]) -> None:
    whole = jpeg(kind, size)
    assert whole.endswith(END)
    pixels = decoder.decode(whole)
    assert np.array_equal(decoder.decode(whole[:-2]), pixels)
    assert np.array_equal(decoder.decode(whole[:-1]), pixels)


@pytest.mark.parametrize("mode", ["L", "CMYK"])
def test_of_other_colours_too(decoder: Decoder, mode: str) -> None:
    whole = jpeg("baseline", mode=mode)
    assert np.array_equal(decoder.decode(whole[:-2]), decoder.decode(whole))


@pytest.mark.parametrize("kind", KINDS)
def test_what_follows_the_end_harms_nothing(decoder: Decoder, kind: str) -> None:
    whole = jpeg(kind)
    pixels = decoder.decode(whole)
    for appended in (bytes(4096), whole, b"MotionPhoto_Data" + bytes(range(256)) * 40):
        assert np.array_equal(decoder.decode(whole + appended), pixels)
    for before_the_end in (b"\xff\xff", b"\0\0\0\0"):
        assert np.array_equal(decoder.decode(whole[:-2] + before_the_end + END), pixels)


def test_a_flat_picture_is_whole_too(decoder: Decoder) -> None:
    for size in ((1, 1), (16, 16), (500, 9), (900, 700)):
        buffer = io.BytesIO()
        Image.new("RGB", size, (10, 90, 200)).save(buffer, "JPEG", optimize=True)
        assert decoder.decode(buffer.getvalue()[:-2]).shape == (size[1], size[0], 3)


@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
@pytest.mark.parametrize("kind", KINDS)
def test_noise_over_the_middle_is_refused(decoder: Decoder, kind: str, share: float) -> None:
    for seed, size in enumerate(SIZES):
        whole = jpeg(kind, size)
        at = place(whole, share)
        noise = np.random.default_rng(seed).bytes(2048)
        assert refused(decoder, whole[:at] + noise + whole[at + 2048 :])


@pytest.mark.parametrize("share", [0.5, 0.8, 0.97])
@pytest.mark.parametrize("kind", KINDS)
def test_a_lower_part_that_is_missing_is_refused(decoder: Decoder, kind: str, share: float) -> None:
    """Decoders fill it with grey; some programs end the file properly before they give up."""
    for size in SIZES:
        whole = jpeg(kind, size)
        part = whole[: place(whole, share)]
        assert refused(decoder, part)
        assert refused(decoder, part + END)
        if kind != "progressive":  # there the last scan is but a last bit of fine detail
            assert refused(decoder, part + bytes(len(whole) - len(part)))


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "progressive"])
def test_a_piece_that_is_missing_or_empty_is_refused(decoder: Decoder, kind: str) -> None:
    for size in SIZES:
        whole = jpeg(kind, size)
        at = place(whole, 0.5)
        assert refused(decoder, whole[:at] + whole[at + 4096 :])
        assert refused(decoder, whole[:at] + bytes(4096) + whole[at + 4096 :])


def test_scans_that_are_missing_are_refused(decoder: Decoder) -> None:
    whole = jpeg("progressive")
    scans = [at for at in range(len(whole)) if whole.startswith(b"\xff\xda", at)]
    assert len(scans) > 4
    for at in scans[1:]:
        tables = whole.rindex(b"\xff\xc4", 0, at)
        before = tables if whole[tables + 2 : at].find(b"\xff") < 0 else at
        assert refused(decoder, whole[:before] + END)


def test_scans_without_end_are_refused(decoder: Decoder) -> None:
    whole = jpeg("progressive")
    start = whole.index(b"\xff\xda\x00\x0c\x03\x01\x00\x02\x00\x03\x00\x00\x00\x10")
    again = whole[start : whole.index(b"\xff\xda", start + 2)]  # brightness's last bit
    pixels = decoder.decode(whole)
    assert np.array_equal(decoder.decode(whole[:-2] + again * 20 + END), pixels)
    with pytest.raises(BadPhoto) as caught:
        decoder.decode(whole[:-2] + again * 200 + END)
    assert caught.value.code == "too_many_scans"
