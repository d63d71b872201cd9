"""Hostile files: refused, or reduced to their pixels, within bounded memory and time."""

from __future__ import annotations

import io
import os
import struct
import time
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pillow_heif
import psutil
import pytest
from PIL import Image, ImageCms, PngImagePlugin

from errors import BadPhoto
from pipeline.assembly import cutter
from pipeline.photos.album import Album
from pipeline.photos.arrivals import Keeping
from pipeline.photos.decoder import BASE_BYTES, BYTES_PER_PIXEL
from pipeline.photos.ingest import LONG_SIDE, Decoder
from tests.support.decoding import newest_decoder
from tests.support.faces import encoded, models, photos, portrait, segmenter
from tests.support.store import Store

CANARY = b"CANARY-7f3a91c2-of-the-visitor"
MAX_PIXELS = 50_000_000


@pytest.fixture(scope="module", autouse=True)
def heif() -> None:
    pillow_heif.register_heif_opener()


@pytest.fixture(scope="module")
def decoder() -> Iterator[Decoder]:
    with Decoder(max_bytes=20_000_000, max_pixels=MAX_PIXELS) as opened:
        yield opened


def refusal(decoder: Decoder, data: bytes, within_s: float = 15.0) -> str:
    started = time.monotonic()
    with pytest.raises(BadPhoto) as caught:
        decoder.decode(data)
    assert time.monotonic() - started < within_s
    return caught.value.code


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, *chunks: bytes, pixels: bytes = b"") -> bytes:
    """A grey 8-bit PNG of the given size, with extra chunks before its pixels."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    body = chunk(b"IDAT", zlib.compress(pixels, 9))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(chunks) + body + chunk(b"IEND", b"")


@pytest.mark.fact(24)
def test_a_pixel_bomb_is_refused_by_its_header(decoder: Decoder) -> None:
    bomb = png(30_000, 30_000, pixels=bytes(30_001 * 1000))
    assert len(bomb) < 100_000
    assert refusal(decoder, bomb) == "too_many_pixels"


@pytest.mark.fact(24)
@pytest.mark.parametrize("size", [(20_000, 15_000), (65_000, 1_000), (2**31 - 1, 2**31 - 1)])
def test_a_header_with_huge_dimensions_is_refused(decoder: Decoder, size: tuple[int, int]) -> None:
    assert refusal(decoder, png(*size)) == "too_many_pixels"


@pytest.mark.fact(24)
def test_a_huge_jpeg_header_is_refused(decoder: Decoder) -> None:
    data = bytearray(encoded(portrait("a")))
    at = data.index(b"\xff\xc0") + 5
    data[at : at + 4] = struct.pack(">HH", 60_000, 60_000)
    assert refusal(decoder, bytes(data)) == "too_many_pixels"


@cache
def two_gigabytes_of_nothing() -> bytes:
    """A zlib stream that unpacks to more than the process may have: one block many times over."""
    packer = zlib.compressobj(9)
    start = packer.compress(bytes(1 << 20)) + packer.flush(zlib.Z_FULL_FLUSH)
    again = packer.compress(bytes(1 << 20)) + packer.flush(zlib.Z_FULL_FLUSH)
    return start + again * 2047


@pytest.mark.fact(24)
@pytest.mark.parametrize("kind", [b"zTXt", b"iTXt", b"iCCP"])
def test_a_chunk_that_unpacks_to_gigabytes_is_harmless(decoder: Decoder, kind: bytes) -> None:
    prefix = b"note\0\1\0\0\0" if kind == b"iTXt" else b"note\0\0"
    bomb = png(8, 8, chunk(kind, prefix + two_gigabytes_of_nothing()), pixels=bytes(72))
    assert len(bomb) < 3_000_000
    started = time.monotonic()
    with suppress(BadPhoto):  # skipped or refused, but not unpacked
        assert decoder.decode(bomb).shape == (8, 8, 3)
    assert time.monotonic() - started < 5


@pytest.mark.fact(24)
def test_many_text_chunks_are_refused(decoder: Decoder) -> None:
    text = chunk(b"zTXt", b"note\0\0" + zlib.compress(bytes(1_000_000), 9))
    assert refusal(decoder, png(8, 8, *([text] * 1000), pixels=bytes(72))) == "unreadable"


@pytest.mark.fact(24)
def test_a_webp_of_many_frames_is_refused_unplayed(decoder: Decoder) -> None:
    frames = [Image.new("L", (64, 64), shade % 256) for shade in range(600)]
    buffer = io.BytesIO()
    frames[0].save(buffer, "WEBP", save_all=True, append_images=frames[1:], method=0)
    assert refusal(decoder, buffer.getvalue(), within_s=5) == "animated"


@pytest.mark.slow
@pytest.mark.fact(24)
def test_the_largest_allowed_picture_fits_into_the_memory_limit(decoder: Decoder) -> None:
    picture = Image.new("RGBA", (7071, 7071), (200, 150, 120, 128))
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", compress_level=1)
    assert decoder.decode(buffer.getvalue()).shape == (LONG_SIDE, LONG_SIDE, 3)


@pytest.mark.fact(25)
@pytest.mark.parametrize("form", ["EPS", "TIFF", "GIF", "BMP", "PPM", "ICO", "PDF", "JPEG2000"])
def test_other_formats_are_refused_whatever_they_are_called(decoder: Decoder, form: str) -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (32, 32), "red").save(buffer, form)
    assert refusal(decoder, buffer.getvalue()) == "not_a_photo"


@pytest.mark.fact(25)
@pytest.mark.parametrize(
    "data",
    [
        b"<svg xmlns='http://www.w3.org/2000/svg'><image href='file:///etc/passwd'/></svg>",
        b"%!PS-Adobe-3.0 EPSF-3.0\n(/etc/passwd) (r) file",
        b"\x00\x00\x00\x20ftypavif\x00\x00\x00\x00avifmif1",
        b"push graphic-context\nfill 'url(https://example.com/x)'",
    ],
)
def test_scripts_and_vectors_are_refused(decoder: Decoder, data: bytes) -> None:
    assert refusal(decoder, data) == "not_a_photo"


@pytest.mark.fact(25)
@pytest.mark.parametrize("form", ["EPS", "TIFF", "GIF", "BMP", "PNG"])
def test_a_jpeg_signature_does_not_open_another_parser(decoder: Decoder, form: str) -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (32, 32), "red").save(buffer, form)
    assert refusal(decoder, b"\xff\xd8\xff\xe0" + buffer.getvalue()) == "unreadable"


def with_secrets(form: str) -> bytes:
    """A photo with the canary in every place that its format has for it, and after its end."""
    image = Image.fromarray(photos("a")[0])
    exif = Image.Exif()
    exif[0x010E] = exif[0x9286] = CANARY.decode()
    exif.get_ifd(0x8825)[0x001D] = CANARY.decode()  # GPS
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    options: dict[str, Any] = {"exif": exif.tobytes(), "icc_profile": srgb + CANARY}
    if form in ("JPEG", "WEBP", "MPO", "HEIF"):
        options["xmp"] = b"<x:xmpmeta>" + CANARY + b"</x:xmpmeta>"
    if form == "JPEG":
        options["comment"] = CANARY
    if form == "PNG":
        options["pnginfo"] = PngImagePlugin.PngInfo()
        options["pnginfo"].add_text("Comment", CANARY.decode())
        options["pnginfo"].add_itxt("XML:com.adobe.xmp", CANARY.decode())
    if form == "MPO":
        options |= {"save_all": True, "append_images": [Image.fromarray(portrait("b"))]}
    buffer = io.BytesIO()
    image.save(buffer, form, quality=90, **options)
    data = buffer.getvalue() + CANARY
    assert data.count(CANARY) >= 3
    return data


@pytest.mark.slow
@pytest.mark.fact(26)
@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "HEIF", "MPO"])
def test_nothing_but_pixels_reaches_the_vault(decoder: Decoder, form: str, tmp_path: Path) -> None:
    store = Store(tmp_path)
    album = Album(store.vault, decoder, models(), cutter(segmenter()), Keeping(5, 256, 256))
    session, _ = store.sessions.create()
    assert album.add(session, with_secrets(form), "me.jpg").accepted
    for entry in store.vault.list(session):
        kept = store.vault.open(session, entry.kind, entry.name)
        assert CANARY not in kept
        assert CANARY[7:20] not in kept
    with Image.open(io.BytesIO(album.image(session, "photo-01"))) as stored:
        assert stored.info == {}
        assert stored.getexif() == {}


@pytest.mark.fact(26)
def test_only_the_first_picture_of_an_mpo_comes_out(decoder: Decoder) -> None:
    both = decoder.decode(with_secrets("MPO"))
    assert both.shape == (900, 900, 3)
    assert abs(both.astype(int) - photos("a")[0]).mean() < 4


def seeds() -> list[bytes]:
    small = np.asarray(Image.fromarray(portrait("a")).resize((40, 40)))
    return [
        encoded(small, "JPEG", quality=60),
        encoded(small, "JPEG", quality=60, progressive=True),
        encoded(small[:24, :24], "PNG"),
        encoded(small, "WEBP", quality=60),
        encoded(small, "WEBP", lossless=True),
        encoded(np.asarray(Image.fromarray(small).resize((64, 64))), "HEIF", quality=40),
    ]


def mutated(data: bytes, rng: np.random.Generator) -> bytes:
    """Flipped bits, overwritten runs, cuts and repetitions; half of them in the first 200 bytes."""
    changed = bytearray(data)
    for _ in range(int(rng.integers(1, 8))):
        if len(changed) < 40:
            break
        near = min(len(changed), 200) if rng.random() < 0.5 else len(changed)
        at, length = int(rng.integers(0, near)), int(rng.integers(1, 9))
        match int(rng.integers(0, 5)):
            case 0 | 1:
                changed[at] ^= 1 << int(rng.integers(0, 8))
            case 2:
                changed[at : at + length] = rng.bytes(min(length, len(changed) - at))
            case 3:
                changed[at:at] = changed[at : at + length]
            case 4:
                del changed[at : None if rng.random() < 0.1 else at + 1]
    return bytes(changed)


@pytest.mark.fact(27)
@pytest.mark.slow
def test_5000_mutated_images_give_pixels_or_a_refusal(decoder: Decoder) -> None:
    rng = np.random.default_rng(27)
    originals = seeds()
    files = [mutated(originals[i % len(originals)], rng) for i in range(5000)]

    def attempt(data: bytes) -> str:
        try:
            pixels = decoder.decode(data)
        except BadPhoto as bad:
            return bad.code
        assert pixels.dtype == np.uint8
        assert pixels.ndim == 3
        assert max(pixels.shape[:2]) <= LONG_SIDE
        return "ok"

    with ThreadPoolExecutor(2) as threads:
        verdicts = list(threads.map(attempt, files))
    assert len(verdicts) == 5000
    assert "timeout" not in verdicts
    assert verdicts.count("ok") > 500  # the mutations are not all so coarse that nothing is parsed
    assert verdicts.count("unreadable") > 500
    assert decoder.decode(originals[0]).shape == (40, 40, 3)


def decoding_process(decoder: Decoder) -> psutil.Process:
    decoder.decode(seeds()[0])
    return newest_decoder()


@pytest.mark.fact(24)
def test_the_decoding_process_is_limited(decoder: Decoder) -> None:
    process = decoding_process(decoder)
    memory = BASE_BYTES + BYTES_PER_PIXEL * MAX_PIXELS
    assert process.rlimit(psutil.RLIMIT_AS) == (memory, memory)
    assert process.rlimit(psutil.RLIMIT_FSIZE) == (0, 0)
    assert process.rlimit(psutil.RLIMIT_CORE) == (0, 0)
    assert process.rlimit(psutil.RLIMIT_NOFILE) == (4, 4)
    assert process.num_threads() == 1
    status = Path(f"/proc/{process.pid}/status").read_text()
    assert "NoNewPrivs:\t1" in status


def test_the_decoding_process_inherits_nothing(
    decoder: Decoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIKENESS_SECRET", CANARY.decode())
    with Decoder(max_bytes=1_000_000, max_pixels=1_000_000, workers=1) as fresh:
        process = decoding_process(fresh)
        assert CANARY not in Path(f"/proc/{process.pid}/environ").read_bytes()
        opened = sorted(os.listdir(f"/proc/{process.pid}/fd"))
        assert opened == ["0", "1", "2", "3"]  # the file, nowhere, nowhere, the pixels
