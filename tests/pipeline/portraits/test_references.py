"""What a base looks at while it paints: the person's best photos, in every portrait."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from pipeline.bases import manifest as manifests
from pipeline.bases.base import Base
from pipeline.bases.denoising import Conditions, Sampling
from pipeline.bases.loading import load_base
from pipeline.photos.record import TrainingPhoto
from pipeline.planning.facts import facts_of
from pipeline.portraits.generate import Shot, generate, plan
from pipeline.portraits.references import MOST, best, shown
from pipeline.portraits.style import Style
from settings import ROOT
from tests.support.nobody import noise_photos
from tests.support.tiny_base import build_tiny_flux2_klein

FEW = Sampling(steps=2, guidance=1.0)
LOOKS = [Style(f"look-{i}", f"Look {i}", "", "work", "photo of {subject}") for i in range(5)]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Base]:
    """In float32: so small a base tells little apart, and nothing in bfloat16."""
    folder = tmp_path_factory.mktemp("base") / "klein"
    build_tiny_flux2_klein(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Base, "compute_dtype", torch.float32)
        yield load_base(folder)


@pytest.fixture(scope="module")
def photos() -> list[TrainingPhoto]:
    """Of one person but for the second, who is somebody else."""
    embeddings = np.eye(6, 128, dtype=np.float32) * 0.5
    embeddings[:, 7] = 1
    embeddings[1] = -embeddings[1]
    embeddings /= np.linalg.norm(embeddings, axis=1, keepdims=True)
    return [replace(p, embedding=e) for p, e in zip(noise_photos(6), embeddings, strict=True)]


@pytest.fixture
def told(base: Base, monkeypatch: pytest.MonkeyPatch) -> list[Conditions]:
    """What the base was told for each group of portraits."""
    seen: list[Conditions] = []
    real = base.sample

    def sample(wanted: Conditions, *others: Any) -> torch.Tensor:
        seen.append(wanted)
        return real(wanted, *others)

    monkeypatch.setattr(base, "sample", sample)
    return seen


def painted(base: Base, shots: Sequence[Shot], batch: int = 4) -> list[np.ndarray]:
    making = generate(base, None, list(shots), stop=lambda: False, batch=batch, sampling=FEW)
    return [image for _, image in making]


def test_the_best_photos_are_looked_at_and_a_stranger_is_not(photos: list[TrainingPhoto]) -> None:
    chosen = best(photos)
    assert len(chosen) == MOST
    assert not any(photo is photos[1] for photo in chosen)
    assert len(best(photos[:1])) == 1


def test_every_portrait_is_told_and_as_many_at_once_as_memory_was_planned_for(
    base: Base, photos: list[TrainingPhoto], told: list[Conditions]
) -> None:
    shots = plan(LOOKS, 5, seed=1)
    painted(base, shown(shots, photos))
    side = base.resolution // 2
    seen = [conditions["references"] for conditions in told]
    assert [tuple(s.shape[:2]) for s in seen] == [(3, MOST), (2, MOST)]
    pictures = shown(shots, photos)[0].seen
    assert pictures is not None
    expected = base.encode_images(pictures(side))
    for row in torch.cat(seen):
        assert torch.equal(row, expected)


@pytest.mark.parametrize("key", ["flux2-klein-4b", "flux2-klein-9b"])
def test_plans_count_what_is_looked_at(key: str) -> None:
    facts = facts_of(manifests.parse(ROOT / "tools" / "bases" / f"{key}.toml"))
    assert facts is not None
    assert facts.references == MOST


def test_who_is_looked_at_changes_the_portrait(base: Base, photos: list[TrainingPhoto]) -> None:
    shots = plan(LOOKS, 1, seed=1)
    [nobody] = painted(base, shots)
    [one] = painted(base, shown(shots, photos[:1]))
    [same] = painted(base, shown(shots, photos[:1]))
    [other] = painted(base, shown(shots, photos[1:2]))
    assert np.array_equal(one, same)
    assert not np.array_equal(one, nobody)
    assert not np.array_equal(one, other)
