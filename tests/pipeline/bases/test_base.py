"""The frozen base: shapes, words, loss."""

from __future__ import annotations

import numpy as np
import torch

from pipeline.bases.base import Base

PROMPT = ["photo of a person, navy studio backdrop"]


def test_nothing_of_the_base_learns(base: Base) -> None:
    assert not any(p.requires_grad for network in base.networks() for p in network.parameters())


def test_images_and_latents_have_the_stated_shapes(base: Base) -> None:
    side = base.resolution
    images = np.zeros((2, side, side, 3), np.uint8)
    latents = base.encode_images(images)
    assert latents.shape == (2, 4, side // 8, side // 8)
    assert latents.dtype == torch.float32
    decoded = base.decode(latents)
    assert decoded.shape == images.shape
    assert decoded.dtype == np.uint8
    assert base.output_px >= 512
    assert base.output_px % side == 0


def test_words_the_base_does_not_know_are_left_out(base: Base) -> None:
    assert base.knows("navy studio backdrop")
    assert not base.knows("navy zeppelin backdrop")
    known, mixed = (
        base.encode_prompts([text])["encoder_hidden_states"]
        for text in ("photo of a person, navy", "photo of a zeppelin person, navy")
    )
    assert torch.equal(known, mixed)


def test_the_loss_weighs_every_timestep_and_depends_on_the_seed_only(base: Base) -> None:
    latents = torch.randn(4, 4, 8, 8)
    words = base.encode_prompts(PROMPT * 4)
    losses = [
        base.loss(latents, words, torch.Generator().manual_seed(seed)).item() for seed in (1, 1, 2)
    ]
    assert losses[0] == losses[1] != losses[2]
