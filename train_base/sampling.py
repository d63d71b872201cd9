"""Pictures from the denoiser: the noise schedule, a sampler, sheets to look at."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from diffusers import (
    AutoencoderTiny,
    DDPMScheduler,
    DPMSolverMultistepScheduler,
    UNet2DConditionModel,
)
from numpy.typing import NDArray
from torch import Tensor
from transformers import CLIPTextModel, PreTrainedTokenizerFast

from pipeline.compositing.backdrops import BACKDROPS, caption
from train_base.words import numbers_of

SCHEDULE = {
    "num_train_timesteps": 1000,
    "beta_schedule": "scaled_linear",
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "prediction_type": "v_prediction",
    "rescale_betas_zero_snr": True,
    "timestep_spacing": "trailing",
}


def signal_share() -> Tensor:
    """Share of the picture's variance left at each of 1000 times, float [1000]."""
    return DDPMScheduler(**SCHEDULE, clip_sample=False).alphas_cumprod


class Sampler:
    """Words to pictures: DPM-Solver++ with classifier-free guidance."""

    def __init__(
        self,
        unet: UNet2DConditionModel,
        text: CLIPTextModel,
        tokenizer: PreTrainedTokenizerFast,
        autoencoder: AutoencoderTiny,
        scale: float,
    ) -> None:
        self._unet, self._text, self._tokenizer = unet, text, tokenizer
        self._autoencoder, self._scale = autoencoder, scale

    @torch.no_grad()
    def __call__(
        self,
        prompts: Sequence[str],
        *,
        seed: int = 0,
        steps: int = 20,
        guidance: float = 2.0,
        batch: int = 16,
    ) -> NDArray[np.uint8]:
        """uint8 [n, S, S, 3]; picture i depends on (seed, i) and its prompt alone."""
        made = []
        for start in range(0, len(prompts), batch):
            part = list(prompts[start : start + batch])
            noise = torch.stack([self._noise(seed, start + i) for i in range(len(part))])
            made.append(self._pictures(part, noise, steps, guidance))
        return np.concatenate(made)

    def _noise(self, seed: int, number: int) -> Tensor:
        config = self._unet.config
        shape = (config.in_channels, config.sample_size, config.sample_size)
        generator = torch.Generator().manual_seed(seed * 1_000_003 + number)
        return torch.randn(shape, generator=generator)

    def _pictures(
        self, prompts: list[str], noise: Tensor, steps: int, guidance: float
    ) -> NDArray[np.uint8]:
        scheduler = DPMSolverMultistepScheduler(**SCHEDULE)
        scheduler.set_timesteps(steps)
        device = self._unet.device
        words = numbers_of(self._tokenizer, prompts + [""] * len(prompts)).to(device)
        x = (noise * scheduler.init_noise_sigma).to(device)
        with torch.autocast(device.type, torch.bfloat16):
            context = self._text(words)[0]
            for time in scheduler.timesteps:
                pair = torch.cat([x, x]).contiguous(memory_format=torch.channels_last)
                told, untold = self._unet(pair, time, context).sample.float().chunk(2)
                x = scheduler.step(untold + guidance * (told - untold), time, x).prev_sample
            decoded = self._autoencoder.decode(x / self._scale).sample
        levels = (decoded.float().clamp(-1, 1) + 1) * 127.5 + 0.5
        return levels.byte().permute(0, 2, 3, 1).cpu().numpy()


def sheet(pictures: NDArray[np.uint8], columns: int) -> NDArray[np.uint8]:
    """[n, S, S, 3] -> one picture with `columns` per row; the last row is padded with black."""
    missing = -len(pictures) % columns
    padded = np.concatenate([pictures, np.zeros((missing, *pictures.shape[1:]), np.uint8)])
    rows = padded.reshape(-1, columns, *pictures.shape[1:])
    return np.concatenate([np.concatenate(list(row), axis=1) for row in rows], axis=0)


def training_prompts() -> list[str]:
    """Thirty-two fixed prompts: every backdrop once, then grades, lights and attire."""
    prompts = [caption(backdrop=words) for words in BACKDROPS]
    grey, blue = "grey studio backdrop", "blue studio backdrop"
    prompts += [
        caption(backdrop=grey, grade="black and white"),
        caption(backdrop=blue, grade="warm"),
        caption(backdrop=blue, grade="cool"),
        caption(backdrop=grey, light="left"),
        caption(backdrop=grey, light="right"),
        caption(backdrop=grey, attire="navy suit"),
        caption(backdrop=grey, attire="beige blazer"),
        caption(backdrop=blue, attire="burgundy blazer"),
        *[caption(backdrop=grey, subject="a woman") for _ in range(3)],
        *[caption(backdrop="navy studio backdrop", subject="a man") for _ in range(3)],
    ]
    return prompts


def training_sheet(sampler: Sampler, seed: int = 7) -> NDArray[np.uint8]:
    """The same prompts and the same noise every time, so that sheets can be compared."""
    return sheet(sampler(training_prompts(), seed=seed), 8)
