"""Previews of the looks: the installed base's own, for visitors only."""

from __future__ import annotations

import io

import httpx
import pytest
from PIL import Image

from tests.support.web import Place


def test_every_look_of_the_shipped_base_has_a_preview(ann: httpx.Client, place: Place) -> None:
    parts = ann.get("/studio-parts").text
    for key in place.services.styles:
        answer = ann.get(f"/look/{key}.webp")
        assert answer.status_code == 200, key
        assert answer.headers["content-type"] == "image/webp"
        with Image.open(io.BytesIO(answer.content)) as image:
            assert image.size == (320, 320)
        assert key in parts


@pytest.mark.parametrize("key", ["no-such-look", "..%2f..%2fapp", "Boardroom", "x" * 61])
def test_what_is_no_look_is_not_there(ann: httpx.Client, key: str) -> None:
    assert ann.get(f"/look/{key}.webp").status_code == 404


def test_previews_need_a_session(stranger: httpx.Client) -> None:
    assert stranger.get("/look/boardroom.webp").status_code == 404
