"""Scans in pure black and white, as office copiers make them, are refused in words."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from PIL import Image

from errors import BadPhoto
from pipeline.photos.ingest import Decoder
from pipeline.photos.quality import check_photo
from settings import ROOT
from tests.support.faces import models, photos, portrait, shown
from words import LANGUAGES, speaking, tell

PEOPLE = ROOT.parent / "shared" / "people-cc0"


@pytest.fixture(scope="module")
def decoder() -> Iterator[Decoder]:
    with Decoder(max_bytes=20_000_000, max_pixels=65_000_000) as opened:
        yield opened


def saved(image: Image.Image, form: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def verdict(decoder: Decoder, data: bytes) -> str:
    try:
        check_photo(decoder.decode(data), models(), 1024)
    except BadPhoto as bad:
        return bad.code
    return "good"


def photo(side: int) -> Image.Image:
    return Image.fromarray(shown(portrait("a"), 700)).resize((side, side), Image.Resampling.BICUBIC)


SCANS: dict[str, Callable[[Image.Image], bytes]] = {
    "1 bit": lambda image: saved(image.convert("1"), "PNG"),
    "palette": lambda image: saved(image.convert("1").convert("P"), "PNG"),
    "8 bits": lambda image: saved(image.convert("1").convert("L"), "PNG"),
    "colour": lambda image: saved(image.convert("1").convert("RGB"), "PNG"),
    "WebP": lambda image: saved(image.convert("1").convert("RGB"), "WEBP", lossless=True),
    "JPEG": lambda image: saved(image.convert("1").convert("L"), "JPEG", quality=80),
}


@pytest.mark.parametrize("side", [1000, 1800, 3000])
@pytest.mark.parametrize("kind", SCANS)
def test_a_dithered_scan_is_refused(decoder: Decoder, kind: str, side: int) -> None:
    assert verdict(decoder, SCANS[kind](photo(side))) == "two_tones"


def test_it_is_said_in_words(decoder: Decoder) -> None:
    with pytest.raises(BadPhoto) as caught:
        check_photo(decoder.decode(SCANS["1 bit"](photo(1000))), models(), 1024)
    for language in LANGUAGES:
        with speaking(language):
            assert "fax" in tell(caught.value.message).lower()


def test_a_copy_without_greys_is_refused(decoder: Decoder) -> None:
    hard = photo(1000).convert("L").point(lambda value: 255 if value > 110 else 0)
    assert verdict(decoder, saved(hard, "PNG")) == "two_tones"


@pytest.mark.slow
def test_grey_noisy_and_coarse_photos_are_not(decoder: Decoder) -> None:
    rng = np.random.default_rng(2)
    for picture in photos("a")[:3]:
        image = Image.fromarray(picture)
        noise = np.clip(picture + rng.normal(0, 12, picture.shape), 0, 255).astype(np.uint8)
        for kept in (
            saved(image.convert("L"), "PNG"),
            saved(image.convert("L").resize((3600, 3600)), "JPEG"),
            saved(image, "JPEG", quality=30),
            saved(image.quantize(48), "PNG"),
            saved(Image.fromarray(noise), "PNG"),
        ):
            assert verdict(decoder, kept) == "good"


@pytest.mark.slow
@pytest.mark.skipif(not PEOPLE.is_dir(), reason="the photos are not on this machine")
def test_of_real_people_dithered_none_is_good(decoder: Decoder) -> None:
    said = {}
    for path in sorted(PEOPLE.glob("*.jpg"))[::5]:
        with Image.open(path) as image:
            assert verdict(decoder, path.read_bytes()) != "two_tones"
            said[path.stem] = verdict(decoder, SCANS["1 bit"](image))
    assert len(said) == 14
    assert set(said.values()) == {"two_tones"}, said
