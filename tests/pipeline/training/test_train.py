"""Personalisation on a base with random weights: it learns, it stops, it leaves no trace."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from errors import Stopped
from pipeline.bases import adapter
from pipeline.bases.base import Base
from pipeline.photos.record import TrainingPhoto
from pipeline.training.encoded import face_weight
from pipeline.training.train import TrainStep, recipe_for
from tests.support.nobody import noise_photos
from tests.support.training import SHORT, run


@pytest.fixture(scope="module")
def photos() -> list[TrainingPhoto]:
    return noise_photos(3)


@pytest.mark.slow
def test_progress_counts_every_step_and_the_time_left_ends_at_zero(
    base: Base, photos: list[TrainingPhoto]
) -> None:
    seen: list[TrainStep] = []
    run(base, photos, report=seen.append)
    assert [s.step for s in seen] == list(range(1, SHORT.steps + 1))
    assert {s.steps for s in seen} == {SHORT.steps}
    assert all(np.isfinite(s.loss) for s in seen)
    assert seen[0].seconds_left > 0 == seen[-1].seconds_left


@pytest.mark.slow
def test_a_seed_gives_one_adapter(base: Base, photos: list[TrainingPhoto]) -> None:
    first, again, other = (run(base, photos, seed=seed) for seed in (5, 5, 6))
    assert first == again != other


@pytest.mark.slow
def test_training_halves_the_loss_on_a_fixed_batch(base: Base) -> None:
    latents = torch.randn(4, 4, 8, 8, generator=torch.Generator().manual_seed(1))
    words = base.encode_prompts(["photo of sks person"] * 4)

    def loss() -> torch.Tensor:
        return base.loss(latents, words, torch.Generator().manual_seed(2))

    with adapter.fresh(base, rank=16, alpha=16, seed=1) as parameters:
        optimizer = torch.optim.AdamW(parameters, lr=1e-2)
        before = loss().item()
        for _ in range(30):
            optimizer.zero_grad()
            loss().backward()
            optimizer.step()
        assert loss().item() < before / 2


def test_the_adapter_changes_what_the_base_predicts(
    base: Base, photos: list[TrainingPhoto]
) -> None:
    latents = torch.randn(2, 4, 8, 8)
    words = base.encode_prompts(["photo of sks person"] * 2)

    def loss() -> float:
        with torch.no_grad():
            return base.loss(latents, words, torch.Generator().manual_seed(2)).item()

    before = loss()
    with adapter.loaded(base, run(base, photos)):
        assert loss() != before
    assert loss() == before


def test_training_leaves_the_base_as_it_was(base: Base, photos: list[TrainingPhoto]) -> None:
    before = base.fingerprint()
    run(base, photos)
    assert base.fingerprint() == before


@pytest.mark.parametrize("done", [0, 2, 4])
def test_a_stop_ends_it_at_once_and_leaves_the_base_as_it_was(
    base: Base, photos: list[TrainingPhoto], done: int
) -> None:
    before, steps, asked = base.fingerprint(), list[TrainStep](), list[int]()

    def stop() -> bool:
        asked.append(len(steps))
        return len(steps) == done

    with pytest.raises(Stopped):
        run(base, photos, stop=stop, report=steps.append)
    assert len(steps) == done
    assert asked.count(done) == 1  # the first look after that step was the last
    assert base.fingerprint() == before


def test_a_stop_is_heard_between_the_parts_of_a_step(
    base: Base, photos: list[TrainingPhoto], monkeypatch: pytest.MonkeyPatch
) -> None:
    parts, real = [], base.loss

    def loss(latents: torch.Tensor, *others: Any) -> torch.Tensor:
        answer = real(latents, *others)
        parts.append(len(latents))
        return answer

    monkeypatch.setattr(base, "loss", loss)
    with pytest.raises(Stopped):
        run(base, photos, replace(SHORT, batch=4), stop=lambda: len(parts) == 2, micro_batch=1)
    assert parts == [1, 1]


@pytest.mark.slow
def test_an_error_in_a_step_leaves_the_base_as_it_was(
    base: Base, photos: list[TrainingPhoto]
) -> None:
    before = base.fingerprint()

    def fail(_: TrainStep) -> None:
        raise MemoryError

    with pytest.raises(MemoryError):
        run(base, photos, report=fail)
    assert base.fingerprint() == before
    assert run(base, photos)  # and the next job works


@pytest.mark.slow
def test_words_are_dropped_in_the_stated_share_only(
    base: Base, photos: list[TrainingPhoto]
) -> None:
    seen: list[torch.Tensor] = []
    original, silent = base.loss, base.encode_prompts([""])["encoder_hidden_states"]

    def spy(latents, conditions, generator, weight):  # type: ignore[no-untyped-def]
        seen.append(conditions["encoder_hidden_states"])
        return original(latents, conditions, generator, weight)

    for share in (0.0, 1.0):
        seen.clear()
        base.loss = spy  # type: ignore[method-assign, assignment]
        try:
            run(base, photos, replace(SHORT, steps=2, text_dropout=share))
        finally:
            del base.loss  # type: ignore[method-assign]
        assert all(torch.equal(row, silent[0]) == (share == 1) for rows in seen for row in rows)


def test_more_photos_take_more_steps_within_limits(base: Base) -> None:
    steps = [recipe_for(base, photos).steps for photos in range(4, 31)]
    assert steps == sorted(steps)
    assert steps[-1] < 2 * steps[0]


def test_the_weight_of_a_face_falls_on_the_face_and_changes_no_mean() -> None:
    weight = face_weight(torch.zeros(1, 4, 20, 20), 2.0)
    assert weight.shape == (1, 1, 20, 20)
    assert weight.mean().item() == pytest.approx(1)
    assert weight[0, 0, 10, 10] > 2 * weight[0, 0, 0, 0]
    assert face_weight(torch.zeros(1, 4, 16, 24), 0.0).eq(1).all()


def test_a_loss_is_weighted_by_place(base: Base) -> None:
    side = base.resolution
    latents = base.encode_images(
        np.random.default_rng(1).integers(0, 256, (2, side, side, 3), np.uint8)
    )
    words = base.encode_prompts(["photo of a person"] * 2)
    only_left = torch.zeros(1, 1, *latents.shape[-2:])
    only_left[..., : latents.shape[-1] // 2] = 2.0
    only_right = 2.0 - only_left

    def loss(weight: torch.Tensor | float) -> float:
        return base.loss(latents, words, torch.Generator().manual_seed(2), weight).item()

    left, right, everywhere = loss(only_left), loss(only_right), loss(1.0)
    assert left != pytest.approx(right)
    assert (left + right) / 2 == pytest.approx(everywhere, rel=1e-4)
