"""Photos in wider colours than a screen's, said by numbers alone: HDR cameras write HEIC so."""

from __future__ import annotations

import io
from collections.abc import Iterator

import numpy as np
import pillow_heif
import pytest
from numpy.typing import NDArray

from pipeline.photos.ingest import Decoder
from tests.support.faces import Picture, portrait

Light = NDArray[np.float64]

TO_BT2020 = np.array([[0.6274, 0.3293, 0.0433], [0.0691, 0.9195, 0.0114], [0.0164, 0.0880, 0.8956]])
"""From BT.709, linear (BT.2087)."""

TO_P3 = np.array([[0.8225, 0.1774, 0.0], [0.0332, 0.9669, 0.0], [0.0171, 0.0724, 0.9108]])
"""From sRGB, linear, to Display P3."""

WHITE = 203.0
"""cd/m² of white paper (BT.2408)."""


@pytest.fixture(scope="module")
def decoder() -> Iterator[Decoder]:
    with Decoder(max_bytes=20_000_000, max_pixels=65_000_000) as opened:
        yield opened


def linear(picture: Picture) -> Light:
    code = picture / 255.0
    return np.where(code <= 0.04045, code / 12.92, ((code + 0.055) / 1.055) ** 2.4)


def srgb(light: Light) -> Light:
    light = light.clip(0, 1)
    return 255 * np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)


def pq(nits: Light) -> Light:
    """SMPTE ST 2084."""
    power = (nits / 10_000) ** (2610 / 16384)
    return ((3424 / 4096 + 2413 / 128 * power) / (1 + 2392 / 128 * power)) ** (2523 / 32)


def hlg(nits: Light) -> Light:
    """BT.2100, on a display of 1,000 cd/m²."""
    scene = (nits / 1000) ** (1 / 1.2)
    high = 0.17883277 * np.log((12 * scene - 0.28466892).clip(1e-6)) + 0.55991073
    return np.where(scene <= 1 / 12, np.sqrt(3 * scene), high)


def heic(code: Light, primaries: int, transfer: int, matrix: int, bits: int = 8) -> bytes:
    """A HEIC of codes from 0 to 1, coloured by nclx alone."""
    top = 255 if bits == 8 else 65535
    values = np.round(code.clip(0, 1) * top).astype(np.uint8 if bits == 8 else np.uint16)
    mode = "RGB" if bits == 8 else "RGB;16"
    picture = pillow_heif.from_bytes(mode, values.shape[1::-1], values.tobytes())
    buffer = io.BytesIO()
    picture.save(
        buffer,
        quality=98,
        chroma=444,
        color_primaries=primaries,
        transfer_characteristics=transfer,
        matrix_coefficients=matrix,
        full_range_flag=1,
    )
    return buffer.getvalue()


@pytest.mark.parametrize("bits", [8, 10])
@pytest.mark.parametrize(("transfer", "curve"), [(16, pq), (18, hlg)])
def test_hdr_looks_like_the_photo(
    decoder: Decoder, transfer: int, curve: object, bits: int
) -> None:
    assert callable(curve)
    photo = np.round(srgb(0.6 * linear(portrait("a")))).astype(np.uint8)  # taken for the highlights
    wide = linear(photo) @ TO_BT2020.T
    seen = decoder.decode(heic(curve(WHITE * wide), 9, transfer, 9, bits)).astype(float)
    dim = linear(photo).max(axis=2) < 0.35  # below the knee nothing is changed
    assert dim.mean() > 0.3
    assert abs(seen - photo)[dim].mean() < 2.5
    assert abs(seen[dim].mean(axis=0) - photo[dim].mean(axis=0)).max() < 1.5
    raw = np.asarray(255 * curve(WHITE * wide))
    assert abs(raw - photo)[dim].mean() > 6  # grey and flat, PQ more than HLG


def test_highlights_of_hdr_keep_their_order(decoder: Decoder) -> None:
    nits = np.repeat(np.array([10.0, 50, 100, 203, 400, 800, 1000, 4000]), 32)
    code = np.repeat(np.tile(pq(nits), (64, 1))[..., None], 3, axis=2)
    row = decoder.decode(heic(code, 9, 16, 9, bits=10))[32, 16::32, 1].astype(int)
    assert np.all(np.diff(row[:6]) > 4)
    assert abs(row[:2] - srgb(np.array([10, 50]) / WHITE)).max() <= 2
    assert row[3] < 245  # white paper leaves room for what shines
    assert row[6] == row[7] == 255


def test_display_p3_becomes_srgb(decoder: Decoder) -> None:
    photo = portrait("a")
    code = srgb(linear(photo) @ TO_P3.T) / 255
    seen = decoder.decode(heic(code, 12, 13, 6)).astype(float)
    assert abs(seen - photo).mean() < 1.2
    assert abs(code * 255 - photo).mean() > 3  # what it was, unconverted


def test_what_p3_has_and_srgb_has_not_is_the_nearest(decoder: Decoder) -> None:
    red = np.zeros((64, 64, 3))
    red[..., 0] = 1.0
    assert abs(decoder.decode(heic(red, 12, 13, 6))[32, 32].astype(int) - (255, 0, 0)).max() <= 3


@pytest.mark.parametrize("primaries", [1, 2, 5, 6])
def test_ordinary_colours_stay(decoder: Decoder, primaries: int) -> None:
    photo = portrait("a")
    seen = decoder.decode(heic(photo / 255.0, primaries, 13, 6)).astype(float)
    assert abs(seen - photo).mean() < 1.2
