"""Previews of the looks, made by the photo way."""

from __future__ import annotations

import io
from pathlib import Path

import httpx
import pytest
from PIL import Image

from tests.support.web import Place
from web.routes import looks


def test_every_look_that_ships_has_a_small_preview(ann: httpx.Client, place: Place) -> None:
    parts = ann.get("/studio-parts").text
    for key in place.services.styles:
        answer = ann.get(f"/look/{key}.webp")
        assert answer.status_code == 200, key
        assert answer.headers["content-type"] == "image/webp"
        with Image.open(io.BytesIO(answer.content)) as image:
            assert image.size == (320, 320)
        assert len(answer.content) < 12_000, key
        assert key in parts


@pytest.mark.parametrize("key", ["no-such-look", "..%2f..%2fapp", "Boardroom", "x" * 61])
def test_what_is_no_look_is_not_there(ann: httpx.Client, key: str) -> None:
    assert ann.get(f"/look/{key}.webp").status_code == 404


def test_a_look_without_a_preview_is_told_in_words(
    ann: httpx.Client, place: Place, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert "corporate" in place.services.styles
    monkeypatch.setattr(looks, "PREVIEWS", tmp_path)
    assert ann.get("/look/corporate.webp").status_code == 404
    assert 'data-previews=""' in ann.get("/studio-parts").text


def test_previews_need_a_session(stranger: httpx.Client) -> None:
    assert stranger.get("/look/boardroom.webp").status_code == 404
