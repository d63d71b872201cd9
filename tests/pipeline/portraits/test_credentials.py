"""What files say of themselves: our own downloads, changed ones, other people's, hostile ones."""

from __future__ import annotations

import io
import struct
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import cast

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from errors import BadPhoto
from pipeline.orders import Way
from pipeline.portraits.credentials import Marks, marks_of
from pipeline.portraits.export import FORMATS, Finish, Masks, finish
from pipeline.portraits.provenance import HEADER_END, SOURCE_TYPES
from pipeline.portraits.signing import Signer
from tests.support.signed import made_signer

SAMPLES = Path(__file__).parents[2] / "samples"
MASKS = Masks(lambda _: pytest.fail("no matte is needed"), lambda p: np.dstack([p, p[..., :1]]))
NOTHING = Marks("none", None, "none")


@pytest.fixture(scope="module")
def signer(tmp_path_factory: pytest.TempPathFactory) -> Signer:
    return made_signer(tmp_path_factory.mktemp("ours"))


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Signer:
    return made_signer(tmp_path_factory.mktemp("others"))


def download(signer: Signer | None, format: str = "png", way: str = "painted") -> bytes:
    pixels = np.random.default_rng(1).integers(90, 160, (16, 16, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    how = Finish(format=format, signer=signer)
    return finish(buffer.getvalue(), how, (0.3, 0.2, 0.4, 0.4), cast(Way, way), MASKS)


def seal(file: bytes, signer: Signer) -> str:
    try:
        return marks_of(file, signer).seal
    except BadPhoto as why:
        return why.code


def png_chunk(name: bytes, content: bytes, length: int | None = None) -> bytes:
    told = struct.pack(">I", len(content) if length is None else length)
    return told + name + content + struct.pack(">I", zlib.crc32(name + content))


def box(kind: bytes, content: bytes, length: int | None = None) -> bytes:
    return struct.pack(">I", 8 + len(content) if length is None else length) + kind + content


@pytest.mark.fact(52)
@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("way", SOURCE_TYPES)
def test_a_download_is_known_with_its_way(signer: Signer, way: Way, format: str) -> None:
    assert marks_of(download(signer, format, way), signer) == Marks("intact", way, way)
    assert marks_of(download(None, format, way), signer) == Marks("none", None, way)


@pytest.mark.fact(52)
@pytest.mark.parametrize("format", FORMATS)
def test_a_changed_picture_is_told(signer: Signer, format: str) -> None:
    file = download(signer, format)
    at = file.find(b"C2PA") // 2 if format == "webp" else len(file) - 100
    changed = file[:at] + bytes([file[at] ^ 1]) + file[at + 1 :]
    for other_file in (changed, file + b"\0", file[:-1] if format != "webp" else changed):
        assert marks_of(other_file, signer) == Marks("changed", "painted", "painted")


@pytest.mark.fact(52)
def test_what_was_written_beside_the_pixels_or_moved_counts_as_changed(signer: Signer) -> None:
    file = download(signer)
    beside = file[:HEADER_END] + png_chunk(b"tEXt", b"Author\0Ann") + file[HEADER_END:]
    assert marks_of(beside, signer).seal == "changed"
    statement = file[HEADER_END : file.index(b"iTXt") - 4]
    plain = download(None, way="photo")
    moved = plain[:HEADER_END] + statement + plain[HEADER_END:]
    assert marks_of(moved, signer) == Marks("changed", "painted", "photo")
    # A field that says something else than what was signed.
    retold = file.replace(
        b'SourceType="http://cv.iptc.org/newscodes/digitalsourcetype/t', b"x" * 61
    )
    assert retold != file
    assert marks_of(retold, signer) == Marks("changed", "painted", "none")


@pytest.mark.fact(52)
@pytest.mark.parametrize("format", FORMATS)
def test_another_key_and_no_key_are_foreign(signer: Signer, other: Signer, format: str) -> None:
    assert marks_of(download(other, format), signer).seal == "foreign"
    assert marks_of(download(other, format), None).seal == "foreign"
    # Our certificates are public: who puts them into a statement has not signed it.
    claimed = Signer(other.key, signer.chain)
    assert marks_of(download(claimed, format), signer).seal == "foreign"


@pytest.mark.fact(52)
@pytest.mark.parametrize("format", ["png", "jpeg", "webp"])
def test_with_a_changed_byte_nothing_is_intact(signer: Signer, format: str) -> None:
    file = download(signer, format)
    assert seal(file, signer) == "intact"
    for at in range(0, len(file), 3):
        flipped = file[:at] + bytes([file[at] ^ 0x10]) + file[at + 1 :]
        assert seal(flipped, signer) != "intact", at


@pytest.mark.fact(52)
def test_a_statement_alone_is_of_a_file_that_was_another(signer: Signer) -> None:
    jpeg, webp = download(signer, "jpeg"), download(signer, "webp")
    segment = jpeg[20 : 22 + int.from_bytes(jpeg[22:24])]
    assert marks_of(b"\xff\xd8" + segment, signer) == Marks("changed", "painted", "none")
    assert marks_of(webp[:12] + webp[webp.index(b"C2PA") :], signer).seal == "changed"


def test_a_picture_of_a_camera_and_one_that_was_saved_again_carry_nothing(signer: Signer) -> None:
    assert marks_of(sorted(SAMPLES.glob("*.jpg"))[0].read_bytes(), signer) == NOTHING
    for format in ("PNG", "JPEG", "WEBP"):
        again = io.BytesIO()
        Image.open(io.BytesIO(download(signer))).convert("RGB").save(again, format)
        assert marks_of(again.getvalue(), signer) == NOTHING


def test_a_field_with_another_value_is_told(signer: Signer) -> None:
    file = download(None).replace(b"trainedAlgorithmicMedia", b"trainedAlgorithmicMedi_")
    assert marks_of(file, signer) == Marks("none", None, "other")


def nested(depth: int) -> bytes:
    inner = b""
    for _ in range(depth):
        inner = box(b"jumb", box(b"jumd", b"c2pa" + bytes(14)) + inner)
    return inner


HEAD = b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", bytes(13))
BOMB = zlib.compress(bytes(50_000_000), 9)
HOSTILE: dict[str, Callable[[], bytes]] = {
    "only a signature": lambda: HEAD[:8],
    "a chunk of 4 GB": lambda: HEAD + png_chunk(b"caBX", b"x", 0xFFFFFFFF),
    "a chunk that ends too early": lambda: HEAD + b"\0\0\0\x64caBX\0",
    "nested boxes": lambda: HEAD + png_chunk(b"caBX", nested(2000)),
    "a box without length": lambda: HEAD + png_chunk(b"caBX", box(b"jumb", b"", 0)),
    "a box longer than its file": lambda: HEAD + png_chunk(b"caBX", box(b"jumb", b"", 1 << 31)),
    "boxes without description": lambda: HEAD + png_chunk(b"caBX", box(b"jumb", b"")),
    "a large statement": lambda: HEAD + png_chunk(b"caBX", nested(1) * 100_000),
    "an unpacking text": lambda: HEAD + png_chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + BOMB),
    "a long field": lambda: (
        HEAD + png_chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + b"/" * 10**7)
    ),
    "a million chunks": lambda: HEAD + png_chunk(b"tEXt", b"") * 1_000_000,
    "a million segments": lambda: b"\xff\xd8" + b"\xff\xe1\0\2" * 1_000_000,
    "a segment of no length": lambda: b"\xff\xd8\xff\xeb\0\0",
    "a JPEG cut off": lambda: b"\xff\xd8\xff\xeb",
    "a WebP of 4 GB": lambda: b"RIFF\xff\xff\xff\xffWEBPC2PA\xff\xff\xff\xff",
}


@pytest.mark.fact(52)
@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_is_read_in_a_moment_and_has_no_seal(signer: Signer, name: str) -> None:
    file = HOSTILE[name]()
    since = time.process_time()
    assert marks_of(file, signer).seal in ("none", "foreign")
    assert time.process_time() - since < 2


@pytest.mark.fact(52)
@pytest.mark.parametrize("depth", [1, 7, 9, 5000])
@pytest.mark.parametrize("opening", [b"\x81", b"\xa1", b"\x9b\xff\xff\xff\xff\xff\xff\xff\xff"])
def test_a_hostile_signature_is_foreign(signer: Signer, depth: int, opening: bytes) -> None:
    """CBOR in CBOR, and lists that say they are endless, in the place of the signature."""
    file = download(signer)
    start = file.index(b"cbor", file.index(b"c2pa.signature", file.index(b"jumdc2cs"))) + 4
    inside = (opening * depth)[: file.index(b"iTXt") - start - 8]
    assert marks_of(file[:start] + inside + file[start + len(inside) :], signer).seal == "foreign"


@pytest.mark.fact(52)
@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_whatever_comes_there_is_an_answer(signer: Signer, data: st.DataObject) -> None:
    format = data.draw(st.sampled_from(["png", "jpeg", "webp"]))
    file = bytearray(download(signer, format))
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(0, len(file) - 1))
        piece = data.draw(st.binary(max_size=12))
        file[at : at + data.draw(st.integers(0, 12))] = piece
    assert seal(bytes(file), signer) != "intact" or bytes(file) == download(signer, format)


@given(
    junk=st.binary(max_size=200), start=st.sampled_from([HEAD, b"\xff\xd8", b"RIFF\0\0\0\0WEBP"])
)
def test_nonsense_behind_a_good_beginning_is_no_error(
    signer: Signer, junk: bytes, start: bytes
) -> None:
    assert seal(start + junk, signer) in ("none", "foreign", "unreadable")


@pytest.mark.parametrize(
    "file", [b"", b"x", b"GIF89a", b"%PDF-1.7", b"RIFF\0\0\0\0WAVE", b"PK\3\4"]
)
def test_another_format_is_one_sentence(signer: Signer, file: bytes) -> None:
    with pytest.raises(BadPhoto, match=r"check\.unreadable"):
        marks_of(file, signer)
