"""Files for download: sizes, formats, words on the picture, and the mark that AI made it."""

from __future__ import annotations

import io
import re
import struct
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
from PIL import Image

from errors import BadOrder
from pipeline.photos.detection import Faces
from pipeline.photos.record import TrainingPhoto
from pipeline.portraits.export import (
    FORMATS,
    MARKS,
    SIZES,
    Finish,
    Masks,
    Matte,
    bytes_more,
    can_give,
    finish,
)
from pipeline.portraits.frames import cv_frame
from pipeline.portraits.generate import Shot
from pipeline.portraits.judge import Judge
from pipeline.portraits.score import fold
from pipeline.portraits.style import Style
from tests.support.people import mesh_net
from tests.support.refused import refused

SOURCE_TYPE = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
FACE = (0.35, 0.25, 0.3, 0.35)
XMP_NAME = b"http://ns.adobe.com/xap/1.0/\0"


@pytest.fixture(scope="module")
def portrait() -> bytes:
    """A stored portrait: PNG, 640 x 640, soft colours with a red square where the face is."""
    y, x = np.mgrid[0:640, 0:640] / 639
    pixels = np.stack([90 + 60 * x, 100 + 50 * y, 120 + 40 * x * y], axis=2).astype(np.uint8)
    pixels[160:384, 224:416] = (200, 40, 40)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def opened(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


def parts(data: bytes) -> list[tuple[str, bytes]]:
    """Every chunk or segment of a file, in its order, read without any imaging library."""
    if data.startswith(b"\x89PNG"):
        return _chunks(data, 8, ">I", name_first=False)
    if data.startswith(b"RIFF"):
        assert len(data) == 8 + struct.unpack("<I", data[4:8])[0]
        return _chunks(data, 12, "<I", name_first=True)
    return _segments(data)


def _chunks(data: bytes, at: int, order: str, *, name_first: bool) -> list[tuple[str, bytes]]:
    found = []
    while at < len(data):
        first, second = data[at : at + 4], data[at + 4 : at + 8]
        name, size = (first, second) if name_first else (second, first)
        (length,) = struct.unpack(order, size)
        found.append((name.decode("ascii"), data[at + 8 : at + 8 + length]))
        at += 8 + length + (length % 2 if name_first else 4)  # a pad byte, or a checksum
    return found


def _segments(data: bytes) -> list[tuple[str, bytes]]:
    found, at = [], 2
    while data[at + 1] != 0xDA:  # start of the scan: pixels from here on
        (length,) = struct.unpack(">H", data[at + 2 : at + 4])
        found.append((f"{data[at + 1]:02X}", data[at + 4 : at + 2 + length]))
        at += 2 + length
    assert data.endswith(b"\xff\xd9")
    return found


def xmp_of(data: bytes) -> bytes:
    """The one XMP packet of a file, b"" if there is none."""
    packets = [
        content.partition(b"\0\0\0\0\0")[2] if name == "iTXt" else content.removeprefix(XMP_NAME)
        for name, content in parts(data)
        if name in ("iTXt", "XMP ") or content.startswith(XMP_NAME)
    ]
    assert len(packets) <= 1
    return packets[0] if packets else b""


@pytest.mark.fact(26)
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("format", FORMATS)
def test_the_mark_is_there_and_nothing_else(portrait: bytes, format: str, size: str) -> None:
    data = finish(portrait, Finish(size, format), FACE)
    # An XML parser of its own reads one statement: the source type, about this file.
    (description,) = ElementTree.fromstring(
        re.sub(rb"<\?xpacket.*?\?>", b"", xmp_of(data)).decode()
    ).iter("{http://www.w3.org/1999/02/22-rdf-syntax-ns#}Description")
    assert dict(description.attrib) == {
        "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}about": "",
        "{http://iptc.org/std/Iptc4xmpExt/2008-02-29/}DigitalSourceType": SOURCE_TYPE,
    }
    assert list(description) == []
    # And Pillow finds the same packet by its own way through the file.
    info = opened(data).info
    packet = info.get("xmp") or info["XML:com.adobe.xmp"].encode()
    assert SOURCE_TYPE.encode() in packet
    pixels = {"IHDR", "IDAT", "IEND", "VP8X", "VP8 ", "C0", "C4", "DB"}
    others = [(name, content) for name, content in parts(data) if name not in pixels]
    allowed = {"iTXt", "pHYs", "XMP ", "E0", "E1"}
    assert {name for name, _ in others} <= allowed
    assert len(others) <= 2  # the mark; a density of 300 dpi, or JPEG's own header
    for name, content in others:
        if name == "E0":
            assert content[:5] == b"JFIF\0"
            assert len(content) == 14  # no thumbnail
        if name == "pHYs":
            assert content == struct.pack(">IIB", 11811, 11811, 1)


@pytest.mark.parametrize("format", FORMATS)
def test_other_clothes_are_a_photo_put_together_with_what_a_model_made(
    portrait: bytes, format: str
) -> None:
    data = finish(portrait, Finish("800", format), FACE, "dressed")
    assert b'digitalsourcetype/compositeWithTrainedAlgorithmicMedia"' in xmp_of(data)
    drawn = finish(portrait, Finish("800", format, watermark=True), FACE, "dressed")
    assert opened(drawn).tobytes() != opened(data).tobytes()


@pytest.mark.fact(26)
@pytest.mark.parametrize("format", FORMATS)
def test_without_the_mark_there_is_nothing(portrait: bytes, format: str) -> None:
    data = finish(portrait, Finish("800", format, marked=False))
    assert xmp_of(data) == b""
    assert {name for name, _ in parts(data)} <= {
        "IHDR", "IDAT", "IEND", "VP8 ", "E0", "C0", "C4", "DB",
    }  # fmt: skip
    assert b"digitalsourcetype" not in data


def test_an_original_keeps_its_pixels_bit_for_bit(portrait: bytes) -> None:
    marked = finish(portrait, Finish())
    assert [part for part in parts(marked) if part[0] != "iTXt"] == parts(portrait)
    assert opened(marked).tobytes() == opened(portrait).tobytes()
    Image.open(io.BytesIO(marked)).verify()  # checksums too
    assert finish(portrait, Finish(marked=False)) == portrait


@pytest.mark.parametrize(
    ("size", "pixels"),
    [
        ("original", (640, 640)),
        ("800", (800, 800)),
        ("400", (400, 400)),
        ("cv", (413, 531)),
        ("print", (640, 640)),
    ],
)
@pytest.mark.parametrize("format", FORMATS)
def test_each_size_in_each_format(
    portrait: bytes, format: str, size: str, pixels: tuple[int, int]
) -> None:
    image = opened(finish(portrait, Finish(size, format), FACE))
    assert Image.MIME[str(image.format)] == FORMATS[format]
    assert image.size == pixels
    if size in ("cv", "print") and format != "webp":
        assert image.info["dpi"] == pytest.approx((300, 300), abs=0.1)
    elif format == "png":
        assert "dpi" not in image.info


def test_jpeg_keeps_all_its_colour(portrait: bytes) -> None:
    image = opened(finish(portrait, Finish(format="jpeg")))
    assert [row[1:3] for row in image.layer] == [(1, 1)] * 3  # type: ignore[attr-defined]
    exact = np.asarray(opened(portrait), np.int16)
    assert np.abs(np.asarray(image, np.int16) - exact).mean() < 1.5


def test_the_cv_picture_is_centred_on_the_face(portrait: bytes) -> None:
    """The face is half of its height, in the middle, a little above the centre."""
    image = np.asarray(opened(finish(portrait, Finish("cv"), FACE)), np.int16)
    red = np.argwhere(image[:, :, 0] - image[:, :, 1] > 100)
    (top, left), (bottom, right) = red.min(0), red.max(0)
    assert (left + right) / 2 == pytest.approx(413 / 2, abs=2)
    assert (bottom - top) / 531 == pytest.approx(0.5, abs=0.01)
    assert (top + bottom) / 2 == pytest.approx(0.45 * 531, abs=3)


@pytest.mark.parametrize("face", [(0.0, 0.0, 0.1, 0.1), (0.9, 0.9, 0.3, 0.3), (-0.1, 0, 1.2, 1.2)])
@pytest.mark.parametrize(("width", "height"), [(640, 640), (640, 800), (800, 300)])
def test_the_cv_frame_never_leaves_the_picture(
    width: int, height: int, face: tuple[float, float, float, float]
) -> None:
    left, top, right, bottom = cv_frame(width, height, face)
    assert 0 <= left < right <= width + 1e-6
    assert 0 <= top < bottom <= height + 1e-6
    assert (right - left) / (bottom - top) == pytest.approx(413 / 531)


def test_the_job_tells_where_the_face_is(selfie_jpegs: list[bytes], faces: Faces) -> None:
    """From the job's own judgement to a CV picture in which the face is found in the middle."""
    image = np.asarray(Image.open(io.BytesIO(selfie_jpegs[0])).convert("RGB"))
    style = Style("corporate", "Corporate", "A look.", "work", "photo of {subject}")
    found = faces.detect(image)[0]
    photo = TrainingPhoto(image, found.landmarks, faces.embed(image, found))
    judge = Judge(faces, mesh_net(), [photo])
    record = judge.judged("portrait-001", Shot(0, style, 11), image).record
    assert record.likeness == pytest.approx(1, abs=1e-3)
    assert record.face is not None
    again = judge.judged("portrait-002", Shot(1, style, 12), image).record
    assert [[r.id for r in group] for group in fold([record, again])] == [[record.id, again.id]]
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG")
    cut = np.asarray(opened(finish(buffer.getvalue(), Finish("cv"), record.face)))
    left, top, width, height = faces.detect(cut)[0].box
    assert left + width / 2 == pytest.approx(413 / 2, abs=25)
    assert top + height / 2 == pytest.approx(0.45 * 531, abs=40)


def test_a_portrait_without_a_known_face_still_gets_a_cv_picture(portrait: bytes) -> None:
    assert opened(finish(portrait, Finish("cv"))).size == (413, 531)


def changed(portrait: bytes, how: Finish) -> np.ndarray:
    """Where a finished original differs from the stored picture, bool [640, 640]."""
    after = np.asarray(opened(finish(portrait, how)), np.int16)
    return np.abs(after - np.asarray(opened(portrait), np.int16)).max(axis=2) > 8


def test_words_stand_small_in_their_own_corners(portrait: bytes) -> None:
    caption = changed(portrait, Finish(caption="Ann Example, Research"))
    watermark = changed(portrait, Finish(watermark=True))
    for drawn, left_half in ((caption, True), (watermark, False)):
        rows, columns = np.nonzero(drawn)
        assert rows.min() > 0.9 * 640
        assert bool(columns.mean() < 320) is left_half
        assert drawn.mean() < 0.03
    both = changed(portrait, Finish(caption="M" * 60, watermark=True))
    assert both[:, -10:].sum() == 0  # nothing runs out of the picture
    assert not changed(portrait, Finish()).any()


@pytest.mark.parametrize("name", ["Jürgen Groß", "Zoë Łukasik", "Čapek Ağaoğlu", "Ελένη", "Иван"])
def test_names_of_europe_can_be_written(portrait: bytes, name: str) -> None:
    assert changed(portrait, Finish(caption=name)).any()


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ({"size": "huge"}, "Sizes are original, 800, 400, square-800, square-400, cv, print."),
        ({"format": "tiff"}, "Formats are png, transparent, jpeg, webp."),
        ({"shape": "16:9"}, "Shapes are made, square, 4:5, 3:4."),
        ({"tone": "neon"}, "Backdrops are look, lighter, darker."),
        ({"caption": "x" * 61}, "at most 60 characters"),
        ({"caption": "two\nlines"}, "a control character"),
        ({"caption": "名"}, "“名”"),
    ],
)
def test_what_cannot_be_done_is_a_sentence(how: dict[str, str], words: str) -> None:
    with refused(BadOrder, re.escape(words)):
        Finish(**how)  # type: ignore[arg-type]


# --- shape and backdrop, chosen afterwards ----------------------------------------------------


def masks_of(portrait: bytes, *, exact: bool = True) -> Masks:
    """The red square is the person."""
    red = np.asarray(opened(portrait))[..., 0] == 200
    person = np.where(red, 255, 0).astype(np.uint8)
    return Masks(lambda _: Matte(person, exact), lambda image: np.dstack([image, person]))


@pytest.mark.parametrize(
    ("shape", "px"), [("made", (640, 640)), ("square", (640, 640)), ("4:5", (512, 640)),
                      ("3:4", (480, 640))]
)  # fmt: skip
@pytest.mark.parametrize("format", ["png", "transparent", "jpeg", "webp"])
def test_a_file_has_the_chosen_shape(
    portrait: bytes, shape: str, px: tuple[int, int], format: str
) -> None:
    how = Finish(shape=shape, format=format)
    image = opened(finish(portrait, how, FACE, masks=masks_of(portrait)))
    assert image.size == px
    assert (image.mode == "RGBA") is (format == "transparent")


def test_a_cut_portrait_has_the_stored_pixels_and_no_others(portrait: bytes) -> None:
    cut = np.asarray(opened(finish(portrait, Finish(shape="3:4"), (0.6, 0.25, 0.3, 0.35))))
    stored = np.asarray(opened(portrait))
    assert np.array_equal(cut, stored[:, 160:])  # the face stands on the right


@pytest.mark.parametrize(("size", "px"), [("400", (320, 400)), ("square-800", (800, 800)),
                                          ("cv", (413, 531))])  # fmt: skip
def test_sizes_are_cut_from_the_chosen_shape(
    portrait: bytes, size: str, px: tuple[int, int]
) -> None:
    shaped = opened(finish(portrait, Finish(size, shape="4:5"), FACE))
    assert shaped.size == px
    # A frame of the cut portrait never reaches beyond it: the left tenth is gone.
    stored = np.asarray(opened(portrait).crop((64, 0, 576, 640)).resize((50, 50)), np.int16)
    if size == "400":
        assert np.abs(np.asarray(shaped.resize((50, 50)), np.int16) - stored).mean() < 3


@pytest.mark.parametrize(("tone", "sign"), [("lighter", 1), ("darker", -1)])
@pytest.mark.parametrize("exact", [True, False])
def test_another_tone_leaves_the_face_to_the_bit(
    portrait: bytes, tone: str, sign: int, exact: bool
) -> None:
    masks = masks_of(portrait, exact=exact)
    after = np.asarray(opened(finish(portrait, Finish(tone=tone), FACE, masks=masks)), np.int16)
    before = np.asarray(opened(portrait), np.int16)
    inside = np.s_[180:364, 244:396]
    assert np.array_equal(after[inside], before[inside])
    assert sign * (after - before)[:100].mean() > 15
    # A tile is toned at its own size, and looks like the whole.
    tile = opened(finish(portrait, Finish("400", tone=tone), FACE, masks=masks))
    whole = Image.fromarray(after.astype(np.uint8)).resize(tile.size, Image.Resampling.LANCZOS)
    difference = np.abs(np.asarray(tile, np.int16) - np.asarray(whole, np.int16))
    assert difference.mean() < 1


def test_a_picture_without_its_wall_asks_for_no_tone(portrait: bytes) -> None:
    how = Finish(format="transparent", tone="darker")
    plain = Finish(format="transparent")
    masks = masks_of(portrait)
    assert finish(portrait, how, FACE, masks=masks) == finish(portrait, plain, FACE, masks=masks)


def test_only_as_made_has_a_length_that_is_known_before() -> None:
    chunk = 12 + len(b"XML:com.adobe.xmp\0\0\0\0\0" + MARKS["photo"])
    assert bytes_more(Finish(), "photo") == chunk
    assert bytes_more(Finish(marked=False), "photo") == 0
    for how in (Finish(shape="square"), Finish(tone="lighter")):
        assert bytes_more(how, "photo") is None


def test_what_a_cut_portrait_can_give_is_less() -> None:
    assert can_give("square-800", (640, 800), FACE)
    assert can_give("square-800", (540, 720), FACE)
    assert not can_give("square-800", (520, 640), FACE)
