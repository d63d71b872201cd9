"""Pictures among the conditions: diffusers' own pipelines judge what ours make of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import DiffusionPipeline, Flux2KleinInpaintPipeline
from numpy.typing import NDArray
from PIL import Image

from errors import Stopped
from pipeline.bases import folder as folders
from pipeline.bases.denoising import Conditions, Sampling
from pipeline.bases.registry import FAMILIES
from tests.support import parity
from tests.support import tiny_base as tiny

SIDE = tiny.SIDE
PROMPT = "photo of a person, grey studio backdrop"
FEW = Sampling(steps=4, guidance=2.0)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    built = tmp_path_factory.mktemp("pictures") / "klein"
    tiny.build_tiny_flux2_klein(built)
    return built


@pytest.fixture(scope="module")
def base(folder: Path) -> Iterator[Any]:
    """In float32, so that it is the same as diffusers' own."""
    with parity.loaded(folder) as loaded:
        yield loaded


@pytest.fixture(scope="module")
def pictures() -> NDArray[np.uint8]:
    return np.random.default_rng(1).integers(0, 256, (3, SIDE, SIDE, 3), np.uint8)


def told(base: Any, prompt: str, **pictures: torch.Tensor) -> Conditions:
    return base.encode_prompts([prompt]) | pictures


def painted(base: Any, stop: Any = lambda: False, **pictures: torch.Tensor) -> torch.Tensor:
    with base.heeding(stop):
        return base.sample(
            told(base, PROMPT, **pictures), told(base, "", **pictures), [3], FEW, stop
        )


def theirs(pipeline: Any, base: Any, **options: Any) -> torch.Tensor:
    pipeline.set_progress_bar_config(disable=True)
    made = pipeline(
        prompt=PROMPT,
        num_inference_steps=FEW.steps,
        guidance_scale=FEW.guidance,
        latents=base.initial_noise([3]),
        output_type="latent",
        **options,
    )
    return made.images


def same(ours: torch.Tensor, expected: torch.Tensor) -> bool:
    return bool((ours - expected).abs().max() < 1e-4 * expected.abs().max())


@pytest.mark.slow
@pytest.mark.parametrize("count", [1, 3])
def test_diffusers_makes_the_same_of_references(
    base: Any, folder: Path, pictures: NDArray[np.uint8], count: int
) -> None:
    pipeline = DiffusionPipeline.from_pretrained(folder, local_files_only=True)
    shown = [Image.fromarray(picture) for picture in pictures[:count]]
    expected = theirs(pipeline, base, image=shown, height=SIDE, width=SIDE)
    seen = base.encode_images(pictures[:count])[None]
    assert same(base.unscaled(painted(base, references=seen)), expected)
    assert not same(base.unscaled(painted(base)), expected)


def upper_half() -> torch.Tensor:
    """A mask of which the upper half stays."""
    mask = torch.zeros(1, 1, 4, 4)
    mask[:, :, :2] = 1
    return mask


@pytest.mark.slow
def test_diffusers_paints_the_same_into_the_same_picture(
    base: Any, folder: Path, pictures: NDArray[np.uint8]
) -> None:
    pipeline: Any = DiffusionPipeline.from_pretrained(folder, local_files_only=True)
    painter = Flux2KleinInpaintPipeline(**pipeline.components)
    to_paint = np.zeros((SIDE, SIDE), np.uint8)
    to_paint[SIDE // 2 :] = 255
    expected = theirs(
        painter,
        base,
        image=Image.fromarray(pictures[0]),
        image_reference=Image.fromarray(pictures[1]),
        mask_image=Image.fromarray(to_paint),
        strength=1.0,
    )
    kept = base.encode_images(pictures[:1])
    seen = base.encode_images(pictures[:2])[None]
    made = painted(base, references=seen, kept=kept, mask=upper_half())
    assert same(base.unscaled(made), expected)


def test_what_is_kept_stays_and_the_rest_is_painted(base: Any, pictures: NDArray[np.uint8]) -> None:
    kept = base.encode_images(pictures[:1])
    made = painted(base, kept=kept, mask=upper_half())
    assert torch.allclose(made[:, :, :2], kept[:, :, :2], atol=1e-4)
    assert (made[:, :, 2:] - kept[:, :, 2:]).abs().mean() > 0.1
    whole = painted(base, kept=kept, mask=torch.ones(1, 1, 4, 4))
    assert torch.allclose(whole, kept, atol=1e-4)
    assert same(painted(base, kept=kept, mask=torch.zeros(1, 1, 4, 4)), painted(base))


def test_a_stop_is_heard_between_the_steps(base: Any, pictures: NDArray[np.uint8]) -> None:
    asked: list[int] = []

    def stop() -> bool:
        asked.append(1)
        return len(asked) > 5

    kept = base.encode_images(pictures[:1])
    with pytest.raises(Stopped):
        painted(base, stop, kept=kept, mask=upper_half())
    assert len(asked) == 6


def test_a_folder_tells_whether_its_base_sees_pictures(folder: Path, tiny_base: Path) -> None:
    assert set(folders.SEEING) <= set(FAMILIES)
    assert folders.sees_pictures(folder)
    assert not folders.sees_pictures(tiny_base)
