"""`--moving N`: films beside the pictures, of photos anywhere, of a base where there is one."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
from PIL import Image

from errors import BaseUnavailable, OperatorError
from pipeline.__main__ import build_parser, headshots
from pipeline.bases.denoising import Sampling
from pipeline.bases.families.wan import Wan
from pipeline.clip_base import there_and_back
from pipeline.portraits.provenance import SOURCE_TYPES
from tests.support.tiny_base import build_tiny_wan

pytestmark = pytest.mark.slow

SIDE = 128


@pytest.fixture
def run(
    tmp_path: Path, tiny_base: Path, selfie_jpegs: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., dict[str, Any]]:
    photos = tmp_path / "photos"
    photos.mkdir()
    (photos / "me.jpg").write_bytes(selfie_jpegs[0])
    monkeypatch.setenv("LIKENESS_SCRATCH", str(tmp_path / "scratch"))
    monkeypatch.setenv("LIKENESS_BASE", str(tiny_base))

    def started(*words: object) -> dict[str, Any]:
        out = ["--out", str(tmp_path / "out"), "--way", "photo", "--count", "2"]
        chosen = build_parser().parse_args([str(photos), *out, *map(str, words)])
        return headshots(chosen, lambda: False)

    return started


def test_the_best_portrait_of_a_photo_becomes_a_film(
    run: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    (told,) = run("--moving", 1, "--motion", "turn")["moving"]
    film, poster = (tmp_path / "out" / told[key] for key in ("file", "poster"))
    assert film.with_suffix(".png").is_file()
    with av.open(io.BytesIO(film.read_bytes())) as opened:
        frames = list(opened.decode(video=0))
    assert len(frames) == 75
    assert [frames[0].width, frames[0].height] == told["px"]
    assert SOURCE_TYPES["photo"].encode() in film.read_bytes()
    with Image.open(poster) as first:
        shown = np.asarray(first.convert("RGB").resize(tuple(told["px"])), np.float32)
    assert np.abs(shown - frames[0].to_ndarray(format="rgb24")).mean() < 4
    json.dumps(told)


def test_a_base_makes_films_that_are_marked_as_its_work(
    run: Callable[..., dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The weights are random, so the answer of the autoencoder is taken from the portrait."""
    build_tiny_wan(tmp_path / "wan")
    given: list[Any] = []
    encode = Wan.encode_images

    def seen(base: Wan, pictures: Any) -> Any:
        given.append(cv2.resize(pictures[0], (SIDE, SIDE)))
        return encode(base, pictures)

    def shifted(base: Wan, latents: Any) -> Any:
        moves = (np.array([[1, 0, n / 3], [0, 1, 0]], np.float32) for n in range(5))
        return np.stack([cv2.warpAffine(given[-1], move, (SIDE, SIDE)) for move in moves])

    monkeypatch.setattr(Wan, "encode_images", seen)
    monkeypatch.setattr(Wan, "decode", shifted)
    monkeypatch.setattr(Wan, "sampling", Sampling(steps=1, guidance=1.0))
    monkeypatch.setattr(Wan, "frames", 5)
    (told,) = run("--moving", 1, "--moving-base", tmp_path / "wan")["moving"]
    film = (tmp_path / "out" / told["file"]).read_bytes()
    assert told["likeness"] >= 0.7
    assert told["px"] == [SIDE, SIDE]
    assert SOURCE_TYPES["painted"].encode() in film
    assert SOURCE_TYPES["photo"].encode() not in film


def test_what_does_not_fit_together_is_one_sentence_before_any_work(
    run: Callable[..., dict[str, Any]], tiny_base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.job.run", None)  # is not reached
    for words, said in (
        (("--moving-base", "wan"), "needs --moving"),
        (("--moving", 1, "--moving-base", "wan", "--moving-shape", "4:5"), "square"),
        (("--moving", 1, "--way", "painted"), "Without --moving-base"),
    ):
        with pytest.raises(OperatorError, match=said):
            run(*words)
    with pytest.raises(BaseUnavailable, match="moves none"):
        run("--moving", 1, "--moving-base", tiny_base)


def test_a_clip_goes_there_and_back_in_three_seconds() -> None:
    loop = there_and_back(range(73))
    assert (len(loop), loop[0], loop[-1], max(loop)) == (75, 0, 0, 37)
    assert {abs(a - b) for a, b in pairwise(loop)} == {1}
    assert len(there_and_back(range(5))) == 75
