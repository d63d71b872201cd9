"""A portrait moves, and is shown only where every frame is still the person."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from errors import ClipRefused, Stopped
from pipeline.bases.denoising import Sampling
from pipeline.bases.loading import load_base
from pipeline.bases.stopping import never
from pipeline.photos.detection import Faces
from pipeline.portraits.animate import ALIKE, MOTIONS, animate
from tests.support import tiny_base as tiny

SAMPLES = Path(__file__).parents[2] / "samples"

SIDE = 128
"""A face can be found in frames of this side."""


@pytest.fixture(scope="module")
def portrait() -> NDArray[np.uint8]:
    with Image.open(sorted(SAMPLES.glob("*.jpg"))[0]) as image:
        return np.asarray(image.convert("RGB"))


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("moving") / "wan"
    tiny.build_tiny_wan(folder)
    base: Any = load_base(folder, quantise=False)
    base.frames, base.sampling = 5, Sampling(steps=1, guidance=1.0)
    base.configure(replace(base.as_it_is(rank=0, steps=0, batch=1), resolution=SIDE))
    return base


def moving(base: Any, portrait: Any, faces: Faces, stop: Any = never) -> Any:
    return animate(base, portrait, faces, motion="turn", seed=1, stop=stop)


def test_noise_is_made_from_noise_and_refused(
    base: Any, portrait: NDArray[np.uint8], faces: Faces
) -> None:
    """Random weights make nobody: the whole way runs, and nothing is shown."""
    with pytest.raises(ClipRefused) as refused:
        moving(base, portrait, faces)
    assert refused.value.message.key == "errors.clip_unlike"
    assert not base._captions
    assert set(MOTIONS) == {"calm", "turn", "light", "push-in"}


def test_a_clip_is_shown_where_every_frame_is_the_person(
    base: Any, portrait: NDArray[np.uint8], faces: Faces, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The autoencoder is random, so what it is given and answers is taken from the portrait."""
    given = list[NDArray[np.uint8]]()
    encode = base.encode_images
    monkeypatch.setattr(base, "encode_images", lambda p: given.append(p[0]) or encode(p))

    def shifted(_: torch.Tensor) -> NDArray[np.uint8]:
        moves = (np.array([[1, 0, n], [0, 1, n / 2]], np.float32) for n in range(5))
        return np.stack([cv2.warpAffine(given[0], m, (SIDE, SIDE)) for m in moves])

    monkeypatch.setattr(base, "decode", shifted)
    clip = moving(base, portrait, faces)
    assert [frame.shape for frame in clip.frames] == [(SIDE, SIDE, 3)] * 5
    assert len(clip.likeness) == 5
    assert min(clip.likeness) > ALIKE
    assert clip.fps == 24

    somebody = np.ascontiguousarray(given[0][::-1])  # no face that way up

    def lost(latents: torch.Tensor) -> NDArray[np.uint8]:
        frames = shifted(latents)
        frames[4] = somebody
        return frames

    monkeypatch.setattr(base, "decode", lost)
    with pytest.raises(ClipRefused):
        moving(base, portrait, faces)


def test_without_a_face_or_when_stopped_nothing_is_made(
    base: Any, portrait: NDArray[np.uint8], faces: Faces, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(base, "decode", None)  # is not reached
    with pytest.raises(ClipRefused) as refused:
        moving(base, np.full((300, 200, 3), 90, np.uint8), faces)
    assert refused.value.message.key == "errors.clip_no_face"
    with pytest.raises(Stopped):
        moving(base, portrait, faces, lambda: True)
