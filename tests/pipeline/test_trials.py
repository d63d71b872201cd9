"""Which photos are held out, and what a trial of an adapter does and leaves."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from errors import Stopped
from pipeline.bases import adapter
from pipeline.bases.base import Base
from pipeline.bases.denoising import Sampling
from pipeline.bases.loading import load_base
from pipeline.bases.moments import LARGE, trial_steps
from pipeline.photos.record import TrainingPhoto
from pipeline.portraits.generate import plan
from pipeline.portraits.style import load_styles
from pipeline.trials import Trial, quicker, split
from settings import ROOT
from tests.support.nobody import noise_photos
from tests.support.tiny_base import build_tiny_flux2_klein


def photos_of(count: int) -> list[TrainingPhoto]:
    """Each the less like the person the later it comes, all equally sharp."""
    likest = np.eye(128, dtype=np.float32)
    photos = []
    for number, photo in enumerate(noise_photos(count)):
        vector = likest[0] + 0.1 * number * likest[1 + number]
        photos.append(replace(photo, embedding=vector / np.linalg.norm(vector)))
    image = photos[0].image  # the same in all, or sharpness would differ
    return [replace(photo, image=image) for photo in photos]


@pytest.mark.parametrize(("count", "held"), [(4, 0), (7, 0), (8, 1), (13, 1), (14, 2), (30, 2)])
def test_few_photos_all_train_and_of_more_one_or_two_never_do(count: int, held: int) -> None:
    photos = photos_of(count)
    learnt, held_out = split(photos)
    assert len(held_out) == held
    assert len(learnt) == count - held
    assert {id(p) for p in (*learnt, *held_out)} == {id(p) for p in photos}


def test_the_best_photo_trains_and_a_blurred_one_is_not_held_out() -> None:
    photos = photos_of(8)
    order = [photos[n] for n in (3, 1, 0, 2, 4, 5, 6, 7)]  # wherever it comes
    assert split(order)[1] == [photos[1]]
    soft = cv2.GaussianBlur(photos[1].image, (0, 0), 3)
    photos[1] = replace(photos[1], image=soft)
    assert split(photos)[1] == [photos[2]]


class Counting:
    """A judge that says how many it has seen."""

    def __init__(self) -> None:
        self.seen = 0

    def worth(self, _: object) -> float:
        self.seen += 1
        return float(self.seen)


def trial(base: Base, **changes: Any) -> Trial:
    shots = plan(list(load_styles(ROOT / "styles").values()), 2, seed=3)
    whole: Any = Trial(base, shots, Counting(), lambda: False, 1)  # type: ignore[arg-type]
    return replace(whole, **changes)


@pytest.fixture(scope="module")
def some_adapter(base: Base) -> bytes:
    with adapter.fresh(base, rank=4, alpha=4, seed=1):
        return adapter.dump(base)


@pytest.mark.slow
def test_a_score_is_the_mean_of_the_portraits(base: Base, some_adapter: bytes) -> None:
    assert trial(base).score(some_adapter) == 1.5


def test_a_large_base_tries_with_its_distilled_denoiser_at_the_size_of_learning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build_tiny_flux2_klein(tmp_path / "klein")
    base: Any = load_base(tmp_path / "klein")
    base.configure(replace(base.as_it_is(rank=4, steps=1, batch=1), resolution=32))
    base.sampling = Sampling(steps=9, guidance=1.0)
    before, own, painted = base.fingerprint(), base.denoiser, list[tuple[object, int]]()
    for denoiser in base._denoisers():
        denoiser.register_forward_pre_hook(
            lambda network, _, given: painted.append((network, given["hidden_states"].shape[1])),
            with_kwargs=True,
        )
    with adapter.fresh(base, rank=4, alpha=4, seed=1):
        person = adapter.dump(base)
    shots = plan(list(load_styles(ROOT / "styles").values()), LARGE.portraits, seed=3)
    judge = Counting()
    assert trial(base, shots=shots, judge=judge, at_once=4).score(person) == 2.5
    assert judge.seen == LARGE.portraits
    places = (32 // 16) ** 2  # a patch is 16 pixels
    assert painted == [(base.distilled, places)] * trial_steps(9)
    assert base.denoiser is own
    assert base.fingerprint() == before


def test_a_trial_that_runs_short_of_memory_is_skipped_and_leaves_the_base_as_it_was(
    base: Base, some_adapter: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = base.fingerprint()

    def short(*_: object) -> torch.Tensor:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(base, "sample", short)
    assert trial(base).score(some_adapter) is None
    assert base.fingerprint() == before


def test_a_stop_is_heard_within_a_trial(base: Base, some_adapter: bytes) -> None:
    before, asked = base.fingerprint(), list[int]()

    def stop() -> bool:
        asked.append(1)
        return len(asked) > 3

    judge = Counting()
    with pytest.raises(Stopped):
        trial(base, stop=stop, judge=judge).score(some_adapter)
    assert judge.seen == 0
    assert base.fingerprint() == before


@pytest.mark.parametrize(("steps", "tried"), [(28, 14), (9, 4), (4, 4), (2, 2)])
def test_a_large_base_takes_fewer_steps_in_a_trial(steps: int, tried: int) -> None:
    assert quicker(Sampling(steps, guidance=4.0)) == Sampling(tried, guidance=4.0)
