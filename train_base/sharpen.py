"""Stage 6: the decoder alone learns crispness from an adversary.  Latents do not move.

    python -m train_base.sharpen --work /work/train-base --steps 2000

A pixel loss prefers the mean of all plausible hair strands, which is a blur.  A small patch
discriminator (Isola 2017) that looks at 30-pixel patches asks for one of them.  The encoder is
frozen, so this may run before, between or after denoiser runs.
"""

from __future__ import annotations

import argparse
import math
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from train_base import autoencoder as plain
from train_base.checkpoint import (
    DEVICE,
    Average,
    Metrics,
    load,
    save_atomic,
    step_rng,
    torch_rng,
)
from train_base.data import Portraits
from train_base.latents import Crowd, pictures
from train_base.likeness import reconstruction_likeness
from train_base.people import probe_woman, read_held_out, sampling_weights, split


@dataclass
class Config:
    """Of a sharpening run; the autoencoder's own shape is in its checkpoint."""

    width: int = 48
    rate: float = 2e-4
    adversary_rate: float = 4e-4
    adversarial: float = 0.06
    starts: int = 150
    """Steps that the discriminator learns alone before the decoder listens to it."""
    seed: int = 11


class Adversary(nn.Sequential):
    """Patches of a picture [n, 3, S, S] -> how real each looks, [n, 1, s, s] (hinge scores)."""

    def __init__(self, width: int) -> None:
        def block(inputs: int, outputs: int, stride: int) -> list[nn.Module]:
            conv = nn.utils.parametrizations.spectral_norm(nn.Conv2d(inputs, outputs, 4, stride, 1))
            return [conv, nn.LeakyReLU(0.2)]

        super().__init__(
            *block(3, width, 2),
            *block(width, width * 2, 2),
            *block(width * 2, width * 2, 1),
            nn.Conv2d(width * 2, 1, 3, 1, 1),
        )


class Trainer:
    """Decoder and adversary in turns; everything a checkpoint holds."""

    def __init__(self, config: Config, base: dict, weights: Path, total_steps: int) -> None:
        """base: a checkpoint of the autoencoder stage; its averaged weights are the start."""
        torch.manual_seed(config.seed)
        self.config = config
        self.total_steps = total_steps
        self.base_config = plain.Config(**base["config"])
        self.model = self.base_config.network().to(DEVICE)
        with torch.no_grad():
            for parameter, value in zip(self.model.parameters(), base["average"], strict=True):
                parameter.copy_(value)
        self.model.encoder.requires_grad_(False)
        self.adversary = Adversary(config.width).to(DEVICE, memory_format=torch.channels_last)
        decoder = list(self.model.decoder.parameters())
        self.optimiser = torch.optim.AdamW(decoder, config.rate, betas=(0.5, 0.98))
        self.opponent = torch.optim.AdamW(
            self.adversary.parameters(), config.adversary_rate, betas=(0.5, 0.98)
        )
        self.average = Average(self.model.parameters(), 0.998)
        self.losses = plain.Losses(self.base_config, weights)
        self.done = 0

    def step(self, real: Tensor) -> dict[str, float]:
        """The adversary learns to tell, then the decoder learns not to be told."""
        config = self.config
        random = torch_rng(step_rng(config.seed + 1, self.done), DEVICE)
        turn = 0.5 * (1 + math.cos(math.pi * min(1.0, self.done / self.total_steps)))
        for group in self.optimiser.param_groups:
            group["lr"] = config.rate * (0.05 + 0.95 * turn)
        with torch.autocast(DEVICE.type, torch.bfloat16):
            with torch.no_grad():
                latents = self.model.encode(real).latents
            noise = torch.randn(latents.shape, generator=random, device=DEVICE) * 0.05
            made = self.model.decode(latents + noise).sample.float()
            told_real = self.adversary(real).float()
            told_made = self.adversary(made.detach()).float()
        cost = F.relu(1 - told_real).mean() + F.relu(1 + told_made).mean()
        self.opponent.zero_grad(set_to_none=True)
        cost.backward()
        self.opponent.step()
        total, parts = self.losses(real, made, latents.float(), random)
        if self.done >= config.starts:
            self.adversary.requires_grad_(False)
            with torch.autocast(DEVICE.type, torch.bfloat16):
                fooled = -self.adversary(made).float().mean()
            self.adversary.requires_grad_(True)
            total = total + config.adversarial * fooled
        self.optimiser.zero_grad(set_to_none=True)
        total.backward()
        nn.utils.clip_grad_norm_(self.model.decoder.parameters(), 1.0)
        self.optimiser.step()
        self.done += 1
        self.average.update(self.model.parameters(), self.done)
        return {**parts, "adversary": cost.item()}

    def state(self) -> dict:
        """As the autoencoder stage stores it, so that its loader reads both."""
        return {
            "config": asdict(self.base_config),
            "model": self.model.state_dict(),
            "average": self.average.values,
            "optimiser": self.optimiser.state_dict(),
            "adversary": self.adversary.state_dict(),
            "opponent": self.opponent.state_dict(),
            "done": self.done,
        }

    def restore(self, state: dict) -> None:
        self.model.load_state_dict(state["model"])
        self.average.restore(state["average"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.adversary.load_state_dict(state["adversary"])
        self.opponent.load_state_dict(state["opponent"])
        self.done = state["done"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--batch", type=int, help="pictures a step; default as the autoencoder's")
    parser.add_argument("--pool", type=int, help="draw so many at first instead of at every step")
    parser.add_argument("--workers", type=int, default=1, help="processes that draw the pool")
    parser.add_argument("--judge-steps", type=int, default=250, help="0: never")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    cv2.setNumThreads(1)
    weights, folder = args.work / "weights", args.work / "sharpen"
    base = torch.load(args.work / "autoencoder" / "last.pt", weights_only=True)
    everyone = Portraits.load(args.work / "data" / "portraits.npz")
    training, judges = split(everyone, read_held_out())
    held_out, table = everyone.take(judges), everyone.take(training)
    woman = probe_woman(everyone)[training]
    chances = sampling_weights(table)
    trainer = Trainer(Config(), base, weights, args.steps)
    checkpoint = folder / "last.pt"
    if (state := load(checkpoint)) is not None:
        trainer.restore(state)
    metrics = Metrics(folder / "metrics.jsonl")
    size = args.batch or trainer.base_config.batch
    crowd = Crowd(table, chances, woman)
    pool = pictures(crowd, args.pool, trainer.config.seed, args.workers) if args.pool else None
    while trainer.done < args.steps:
        rng = step_rng(trainer.config.seed, trainer.done)
        if pool is None:
            real = plain.batch_of(rng, table, chances, woman, size)
        else:
            real = plain.to_tensor(list(pool[rng.integers(len(pool), size=size)])).to(DEVICE)
        metrics.add(**trainer.step(real))
        if trainer.done % 20 == 0:
            metrics.write(trainer.done, trainer.done * size)
        if trainer.done % 100 == 0 or trainer.done == args.steps:
            save_atomic(trainer.state(), checkpoint)
        if args.judge_steps and (
            trainer.done % args.judge_steps == 0 or trainer.done == args.steps
        ):
            model = plain.load_autoencoder(checkpoint)
            scores, shown = reconstruction_likeness(model, held_out, weights)
            likeness = float(np.median(scores))
            metrics.write(trainer.done, trainer.done * size, held_out_likeness=likeness)
            cv2.imwrite(str(folder / "reconstruction.png"), shown[:, :, ::-1])


if __name__ == "__main__":
    main()
