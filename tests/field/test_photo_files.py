"""Photo files as phones, scanners and editors write them: shown as browsers do, or refused."""

from __future__ import annotations

import io
import random
import struct
import zlib
from collections.abc import Iterator

import pillow_heif
import pytest
from PIL import Image, PngImagePlugin

from errors import BadPhoto
from pipeline.photos.decoder import BASE_BYTES, BYTES_PER_PIXEL
from pipeline.photos.ingest import Decoder
from settings import Settings
from tests.support.faces import portrait
from words import LANGUAGES, speaking, tell

XMP = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF '
    b'xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description '
    b'xmlns:tiff="http://ns.adobe.com/tiff/1.0/"%b</rdf:RDF></x:xmpmeta>'
)
PIXELS = int(Settings.model_fields["max_photo_megapixels"].default) * 1_000_000
AS_ATTRIBUTE = XMP % b' tiff:Orientation="1"/>'
AS_ELEMENT = XMP % b"><tiff:Orientation>1</tiff:Orientation></rdf:Description>"


@pytest.fixture(scope="module")
def decoder() -> Iterator[Decoder]:
    with Decoder(max_bytes=20_000_000, max_pixels=PIXELS) as opened:
        yield opened


def saved(image: Image.Image, form: str, **options: object) -> bytes:
    pillow_heif.register_heif_opener()
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def with_xmp(image: Image.Image, form: str, xmp: bytes, exif: bytes) -> bytes:
    """A file whose XMP says 6; only afterwards, since pillow-heif would turn the picture itself."""
    turned = xmp.replace(b'Orientation="1', b'Orientation="6').replace(
        b"Orientation>1", b"Orientation>6"
    )
    if form != "PNG":
        data = saved(image, form, xmp=xmp, exif=exif, quality=95)
        assert xmp in data
        return data.replace(xmp, turned)
    texts = PngImagePlugin.PngInfo()
    texts.add_itxt("XML:com.adobe.xmp", turned.decode())
    return saved(image, form, pnginfo=texts, exif=exif)


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "HEIF"])
@pytest.mark.parametrize("xmp", [AS_ATTRIBUTE, AS_ELEMENT], ids=["attribute", "element"])
@pytest.mark.parametrize("with_exif", [False, True])
def test_orientation_in_xmp_counts_for_nothing(
    decoder: Decoder, form: str, xmp: bytes, with_exif: bool
) -> None:
    image = Image.new("RGB", (96, 64), "white")
    image.paste("red", (0, 0, 48, 32))
    exif = Image.Exif()
    exif[0x0112 if with_exif else 0x010F] = 1 if with_exif else "A phone"
    pixels = decoder.decode(with_xmp(image, form, xmp, exif.tobytes()))
    assert pixels.shape == (64, 96, 3)
    assert pixels[16, 24, 1] < 60 < 200 < pixels[48, 72, 1]


@pytest.mark.parametrize("megabytes", [2, 4, 9])
@pytest.mark.parametrize("repetitive", [True, False])
def test_a_png_may_hold_megabytes_of_text(
    decoder: Decoder, megabytes: int, repetitive: bool
) -> None:
    """An editor's history, or another program's whole workflow; before and behind the pixels."""
    size = megabytes * 1_000_000
    text = "layer 7 " * (size // 8) if repetitive else random.Random(3).randbytes(size // 2).hex()
    texts = PngImagePlugin.PngInfo()
    texts.add_text("history", text, zip=True)
    texts.add_itxt("XML:com.adobe.xmp", text, zip=True)
    texts.add(b"zTXt", b"more\0\0" + zlib.compress(text.encode()), after_idat=True)
    pixels = decoder.decode(saved(Image.new("RGB", (60, 40), "red"), "PNG", pnginfo=texts))
    assert pixels.shape == (40, 60, 3)
    assert (pixels == (255, 0, 0)).all()


@pytest.mark.slow
@pytest.mark.parametrize("size", [(8160, 6144), (9280, 6944)])
@pytest.mark.parametrize("progressive", [False, True])
def test_the_largest_photos_of_phones_are_taken(
    decoder: Decoder, size: tuple[int, int], progressive: bool
) -> None:
    """50 and 64 megapixels, with colours as fine as they come; the memory for it is bounded."""
    photo = Image.fromarray(portrait("a")).resize(size)
    data = saved(photo, "JPEG", quality=80, progressive=progressive, subsampling=0)
    assert 2040 <= max(decoder.decode(data).shape) <= 2048
    assert BASE_BYTES + BYTES_PER_PIXEL * PIXELS < 1_050_000_000


@pytest.mark.slow
@pytest.mark.parametrize(("form", "mode"), [("PNG", "RGBA"), ("PNG", "P"), ("WEBP", "RGBA")])
def test_other_formats_fit_into_that_memory(decoder: Decoder, form: str, mode: str) -> None:
    size = (8000, 6000) if form == "WEBP" else (9280, 6944)
    photo = Image.linear_gradient("L").resize(size).convert(mode)
    if mode == "RGBA":
        photo.putalpha(128)
    assert max(decoder.decode(saved(photo, form, compress_level=1, method=0)).shape) == 2048


@pytest.mark.parametrize("language", LANGUAGES)
def test_200_megapixels_are_told_what_to_do(decoder: Decoder, language: str) -> None:
    data = bytearray(saved(Image.new("RGB", (64, 48)), "JPEG"))
    at = data.index(b"\xff\xc0") + 5
    data[at : at + 4] = struct.pack(">HH", 12_240, 16_320)
    with pytest.raises(BadPhoto) as caught:
        decoder.decode(bytes(data))
    assert caught.value.code == "too_many_pixels"
    with speaking(language):
        sentence = tell(caught.value.message)
    assert "65 " in sentence
    size = {"en": "normal size", "de": "normalen Größe", "fr": "taille normale"}
    assert (size | {"es": "tamaño normal"})[language] in sentence


def test_of_a_webp_less_is_taken_and_said() -> None:
    with Decoder(max_bytes=1_000_000, max_pixels=10_000) as small:
        assert small.decode(saved(Image.new("L", (100, 75)), "WEBP")).shape == (75, 100, 3)
        with pytest.raises(BadPhoto) as caught:
            small.decode(saved(Image.new("L", (100, 76)), "WEBP"))
    assert "0.0075 megapixels" in tell(caught.value.message)
