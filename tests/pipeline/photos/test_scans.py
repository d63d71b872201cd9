"""Scans are counted by their markers, and only those of the picture itself."""

from __future__ import annotations

import io

import pytest
from PIL import Image

from pipeline.photos.scans import MOST, scans_of
from tests.support.faces import encoded, portrait


def test_what_cameras_and_programs_write() -> None:
    assert scans_of(encoded(portrait("a"))) == 1
    assert 5 < scans_of(encoded(portrait("a"), progressive=True)) < MOST / 5


def test_a_preview_and_what_follows_the_end_do_not_count() -> None:
    exif = b"Exif\0\0" + b"\xff\xda" * 300
    data = encoded(portrait("a"), exif=exif)
    assert data.count(b"\xff\xda") > 300
    assert scans_of(data + encoded(portrait("b")) + b"\xff\xda\0\0" * 300) == 1


def test_several_pictures_in_one_file_count_as_the_first() -> None:
    both = io.BytesIO()
    one, two = (Image.fromarray(portrait(who)) for who in "ab")
    one.save(both, "MPO", save_all=True, append_images=[two] * 3)
    assert scans_of(both.getvalue()) == 1


@pytest.mark.parametrize("end", [b"", b"\xff", b"\xff\xda", b"\xff\xda\xff\xff", b"\xff" * 9])
def test_a_file_may_end_anywhere(end: bytes) -> None:
    assert scans_of(b"\xff\xd8" + end) == end.count(b"\xda")
