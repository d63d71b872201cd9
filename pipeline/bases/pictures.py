"""Pictures among the conditions: some that the denoiser looks at, one of which a part stays.

    references   [B, n, C, h, w]  scaled latents of n pictures of one size, to be looked at
    kept         [B, C, h, w]     scaled latents of the picture that stays where `mask` is 1
    mask         [B, 1, h, w]     1 where it stays, 0 where it is painted

Only families that see pictures know them (`folder.sees_pictures`).
"""

from __future__ import annotations

import torch

from pipeline.bases.denoising import Conditions


def holding(
    velocity: torch.Tensor, latents: torch.Tensor, levels: torch.Tensor, conditions: Conditions
) -> torch.Tensor:
    """The predicted velocity [B, C, h, w]; where a picture stays, the one that leads back to it.

    At noise level s a picture x is (1 - s) x + s noise, so its velocity noise - x is known: what
    the latents are beside x, divided by s. A solver that follows it has at every step the picture
    with the noise of that step, and x at the end: masked denoising in any loop (RePaint, Lugmayr et
    al. 2022, without its jumps back).

    levels: [B], noise levels of the latents, above 0.
    """
    if "kept" not in conditions:
        return velocity
    mask = conditions["mask"]
    known = (latents - conditions["kept"]) / levels.view(-1, 1, 1, 1)
    return mask * known + (1 - mask) * velocity.float()
