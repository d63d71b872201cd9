"""Photos of every honest kind come out upright, in sRGB and small enough; others are refused."""

from __future__ import annotations

import io
import os
import signal
import threading
import time
from collections.abc import Iterator

import numpy as np
import pillow_heif
import pytest
from PIL import Image, ImageCms

from errors import BadPhoto, Busy
from pipeline.photos.ingest import Decoder
from tests.support.decoding import newest_decoder
from tests.support.faces import Picture, encoded, portrait
from tests.support.refused import refused
from words import tell

RED, GREEN, BLUE, WHITE = (220, 30, 30), (30, 200, 30), (30, 30, 220), (255, 255, 255)


@pytest.fixture(scope="module")
def decoder() -> Iterator[Decoder]:
    with Decoder(max_bytes=3_000_000, max_pixels=50_000_000) as opened:
        yield opened


def refusal(decoder: Decoder, data: bytes) -> str:
    with pytest.raises(BadPhoto) as caught:
        decoder.decode(data)
    assert tell(caught.value.message).endswith((".", "?"))
    return caught.value.code


def quarters(width: int = 96, height: int = 64) -> Image.Image:
    """Red and green above, blue and white below."""
    image = Image.new("RGB", (width, height), WHITE)
    image.paste(RED, (0, 0, width // 2, height // 2))
    image.paste(GREEN, (width // 2, 0, width, height // 2))
    image.paste(BLUE, (0, height // 2, width // 2, height))
    return image


def saved(image: Image.Image, form: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def assert_quarters(pixels: Picture, tolerance: int = 12) -> None:
    height, width = pixels.shape[:2]
    for (row, column), colour in {(1, 1): RED, (1, 3): GREEN, (3, 1): BLUE, (3, 3): WHITE}.items():
        seen = pixels[height * row // 4, width * column // 4].astype(int)
        assert abs(seen - colour).max() <= tolerance, (row, column, seen)


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "HEIF"])
def test_every_format_gives_its_pixels(decoder: Decoder, form: str) -> None:
    pillow_heif.register_heif_opener()
    pixels = decoder.decode(saved(quarters(), form, quality=95))
    assert pixels.dtype == np.uint8
    assert pixels.shape == (64, 96, 3)
    assert_quarters(pixels)


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "HEIF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_photos_come_out_upright(decoder: Decoder, form: str, orientation: int) -> None:
    pillow_heif.register_heif_opener()
    undo = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,  # the camera was turned the other way
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    turned = quarters().transpose(undo[orientation]) if orientation > 1 else quarters()
    exif = Image.Exif()
    exif[0x0112] = orientation
    assert_quarters(decoder.decode(saved(turned, form, exif=exif.tobytes(), quality=95)))


def test_a_large_photo_is_reduced_to_2048(decoder: Decoder) -> None:
    pixels = decoder.decode(saved(quarters(3001, 2000), "PNG"))
    assert pixels.shape == (1365, 2048, 3)
    assert_quarters(pixels)


def test_a_large_jpeg_is_reduced_while_decoding(decoder: Decoder) -> None:
    pixels = decoder.decode(saved(quarters(4000, 3000), "JPEG"))
    assert pixels.shape == (1500, 2000, 3)
    assert_quarters(pixels)


def test_a_very_long_picture_keeps_a_side(decoder: Decoder) -> None:
    assert decoder.decode(saved(Image.new("L", (6000, 2)), "PNG")).shape == (1, 2048, 3)


def test_cmyk_jpeg_is_accepted(decoder: Decoder) -> None:
    assert_quarters(decoder.decode(saved(quarters().convert("CMYK"), "JPEG", quality=95)), 20)


def test_16_bit_png_is_accepted(decoder: Decoder) -> None:
    ramp = np.tile(np.linspace(0, 65535, 64), (32, 1)).astype(np.uint16)
    pixels = decoder.decode(saved(Image.fromarray(ramp), "PNG"))
    assert abs(pixels[0, :, 0].astype(int) - np.linspace(0, 255, 64)).max() <= 1


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA"])
def test_other_modes_are_accepted(decoder: Decoder, mode: str) -> None:
    assert decoder.decode(saved(quarters().convert(mode), "PNG")).shape == (64, 96, 3)


@pytest.mark.parametrize("mode", ["LA", "P", "RGBA"])
def test_what_is_transparent_becomes_white(decoder: Decoder, mode: str) -> None:
    if mode == "P":
        image = quarters().quantize(4)
        data = saved(image, "PNG", transparency=image.getpixel((1, 1)))
    else:
        data = saved(Image.new("RGBA", (9, 9), (80, 0, 0, 0)).convert(mode), "PNG")
    assert (decoder.decode(data)[:5, :5] == 255).all()


def test_colours_are_converted_to_srgb(decoder: Decoder) -> None:
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    swapped = srgb.replace(b"rXYZ", b"?XYZ", 1).replace(b"bXYZ", b"rXYZ", 1)
    swapped = swapped.replace(b"?XYZ", b"bXYZ", 1)
    data = saved(Image.new("RGB", (32, 32), RED), "PNG", icc_profile=swapped)
    assert abs(decoder.decode(data)[0, 0].astype(int) - RED[::-1]).max() <= 3


@pytest.mark.parametrize("profile", [b"not a profile", b"\0" * 200])
def test_a_broken_profile_is_ignored(decoder: Decoder, profile: bytes) -> None:
    pixels = decoder.decode(saved(quarters(), "PNG", icc_profile=profile))
    assert_quarters(pixels, 0)


def test_broken_exif_is_ignored(decoder: Decoder) -> None:
    assert_quarters(decoder.decode(saved(quarters(), "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff")))


def test_nothing_text_and_too_much_are_refused(decoder: Decoder) -> None:
    assert refusal(decoder, b"") == "empty"
    assert refusal(decoder, b"This is no picture at all.") == "not_a_photo"
    assert refusal(decoder, b"\xff\xd8\xff" + bytes(3_000_000)) == "too_large_file"


def test_the_sentence_names_the_limit() -> None:
    with Decoder(max_bytes=20_000_000, max_pixels=10_000) as small:
        with refused(BadPhoto, "20 MB"):
            small.decode(bytes(20_000_001))
        with refused(BadPhoto, r"0\.01 megapixels"):
            small.decode(saved(Image.new("L", (101, 100)), "PNG"))


@pytest.mark.parametrize("form", ["WEBP", "PNG"])
def test_moving_pictures_are_refused(decoder: Decoder, form: str) -> None:
    frames = [Image.new("RGB", (20, 20), colour) for colour in (RED, GREEN, BLUE)]
    data = saved(frames[0], form, save_all=True, append_images=frames[1:], duration=50)
    assert refusal(decoder, data) == "animated"


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "HEIF"])
def test_half_a_file_is_refused(decoder: Decoder, form: str) -> None:
    pillow_heif.register_heif_opener()
    data = encoded(portrait("a"), form)
    assert refusal(decoder, data[: len(data) // 2]) == "unreadable"


def test_a_photo_that_takes_too_long_is_given_up() -> None:
    with Decoder(max_bytes=10_000_000, max_pixels=50_000_000, timeout_s=0.01) as hasty:
        assert refusal(hasty, saved(quarters(3000, 3000), "PNG")) == "timeout"


def test_a_killed_process_costs_one_photo_at_most() -> None:
    with Decoder(max_bytes=1_000_000, max_pixels=1_000_000, workers=1) as single:
        data = saved(quarters(), "JPEG", quality=95)
        single.decode(data)
        os.kill(newest_decoder().pid, signal.SIGKILL)
        time.sleep(0.1)
        assert_quarters(single.decode(data))


def test_the_waiting_process_has_no_memory_of_a_photo() -> None:
    """Pixels of one visitor must not lie about when the next one's file is parsed."""
    noise = np.random.default_rng(5).integers(0, 255, (64, 64, 3), np.uint8)
    with Decoder(max_bytes=1_000_000, max_pixels=1_000_000, workers=1) as single:
        data = encoded(noise, "PNG")
        assert np.array_equal(single.decode(data), noise)
        if os.geteuid() != 0:
            pytest.skip("only root may read the memory of a process that is not dumpable")
        memory = _memory(newest_decoder().pid)
        assert data[:8] != noise[:1].tobytes()
        assert noise[10].tobytes() not in memory
        assert data[200:300] not in memory


def _memory(pid: int) -> bytes:
    """All that a process may write to."""
    parts = []
    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb", 0) as memory:
        for line in maps:
            span, rights, *_ = line.split()
            if rights.startswith("rw"):
                start, end = (int(edge, 16) for edge in span.split("-"))
                memory.seek(start)
                parts.append(memory.read(end - start))
    return b"".join(parts)


def test_many_threads_get_their_own_photos(decoder: Decoder) -> None:
    wrong: list[int] = []

    def work(grey: int) -> None:
        data = saved(Image.new("RGB", (40, 30), (grey, grey, grey)), "PNG")
        for _ in range(5):
            if not (decoder.decode(data) == grey).all():
                wrong.append(grey)

    threads = [threading.Thread(target=work, args=(20 * i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_closing_ends_the_processes() -> None:
    single = Decoder(max_bytes=1_000_000, max_pixels=1_000_000, workers=1)
    single.decode(saved(quarters(), "PNG"))
    process = newest_decoder()
    single.close()
    assert not process.is_running()
    with pytest.raises(Busy):
        single.decode(saved(quarters(), "PNG"))
