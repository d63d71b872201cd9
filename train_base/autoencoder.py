"""Stage 2: the autoencoder, 160 x 160 x 3 to 20 x 20 x 8 and back, that must keep a likeness.

    python -m train_base.autoencoder --work /work/train-base --steps 6000 [--init FILE]

The loss asks for pixels, for detail (a Laplacian at two scales), and through SFace for what
makes the face this person's.  Pictures are restyled portraits of both folders.
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
from diffusers import AutoencoderTiny
from torch import Tensor

from pipeline.imaging import TEMPLATE_SIZE, face_bump
from train_base.checkpoint import (
    DEVICE,
    Average,
    Metrics,
    load,
    plot,
    save_atomic,
    step_rng,
    torch_rng,
)
from train_base.data import Portraits
from train_base.identity import SFace, faces_112, sface_grid
from train_base.likeness import reconstruction_likeness
from train_base.people import probe_woman, read_held_out, sampling_weights, split
from train_base.restyle import Person, exposure, jitter, person_at, restyle

TAPS = (3, 7, 13, 21)
"""After which convolutions SFace's activations are compared: skin, parts, layout, person."""


@dataclass
class Config:
    """What a run is made of.  Rates are per step; the rest is stored with the weights."""

    channels: tuple[int, ...] = (32, 32, 32, 32)
    latent_channels: int = 8
    encoder_blocks: tuple[int, ...] = (1, 3, 4, 4)
    decoder_blocks: tuple[int, ...] = (4, 4, 3, 1)
    batch: int = 12
    judged: int = 6
    """How many of a batch SFace looks at: its backward pass costs more than the network's own."""
    rate: float = 5e-4
    warmup: int = 100
    identity: float = 0.6
    perceptual: float = 0.3
    noise: float = 0.08
    """Noise added to half of the latents: the denoiser's will never be perfect either."""
    seed: int = 0

    def network(self) -> AutoencoderTiny:
        model = AutoencoderTiny(
            in_channels=3,
            out_channels=3,
            encoder_block_out_channels=tuple(self.channels),
            decoder_block_out_channels=tuple(self.channels),
            latent_channels=self.latent_channels,
            num_encoder_blocks=tuple(self.encoder_blocks),
            num_decoder_blocks=tuple(self.decoder_blocks),
        )
        return model.to(memory_format=torch.channels_last)


def to_tensor(pictures: list[np.ndarray]) -> Tensor:
    """uint8 [S, S, 3] pictures -> float [n, 3, S, S] in -1..1, channels last in memory."""
    stacked = torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).float() / 127.5 - 1
    return stacked.contiguous(memory_format=torch.channels_last)


def face_weight(size: int = TEMPLATE_SIZE) -> Tensor:
    """[1, 1, S, S]: three on the middle of the face, one far from it."""
    return torch.from_numpy(1 + 2 * face_bump(size, size))[None, None]


def detail(x: Tensor) -> Tensor:
    """What a picture loses when it is halved and doubled again (one Laplacian level)."""
    coarse = F.interpolate(F.avg_pool2d(x, 2), scale_factor=2.0, mode="bilinear")
    return x - coarse


def draw_picture(rng: np.random.Generator, person: Person) -> np.ndarray:
    """Three of four restyled; the rest as photographed, so that real rooms stay known."""
    if rng.random() < 0.75:
        return restyle(rng, person)[0]
    return exposure(rng, jitter(rng, person)[0])


class Losses:
    """The terms of the loss; the recogniser and its grid are built once."""

    def __init__(self, config: Config, weights: Path) -> None:
        self._config = config
        self._sface = SFace(weights)
        self._grid = sface_grid().to(DEVICE)
        self._weight = face_weight().to(DEVICE)

    def person(self, real: Tensor, made: Tensor, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        """(perceptual, identity): distances of SFace's layers, and 1 - cosine of its vectors.

        The crop is shifted by up to a pixel, alike for both, because the product's detector
        will not place it exactly either.  In float32: on this network's depthwise convolutions
        bfloat16 is the slower of the two.
        """
        real, made = real[: self._config.judged], made[: self._config.judged]
        shift = torch.rand(len(real), 1, 1, 2, generator=rng, device=rng.device)
        shift = (shift - 0.5) * (3.0 / TEMPLATE_SIZE)
        grid = self._grid.expand(len(real), -1, -1, -1) + shift
        with torch.no_grad():
            vector_real, layers_real = self._sface(faces_112(real, grid).contiguous(), TAPS)
        vector_made, layers_made = self._sface(faces_112(made, grid).contiguous(), TAPS)
        distances = [
            (a - b).abs().mean() / (b.abs().mean() + 1e-3)
            for a, b in zip(layers_made, layers_real, strict=True)
        ]
        cosine = F.cosine_similarity(vector_made, vector_real)
        return torch.stack(distances).mean(), (1 - cosine).mean()

    def __call__(
        self, real: Tensor, made: Tensor, latents: Tensor, rng: torch.Generator
    ) -> tuple[Tensor, dict[str, float]]:
        """Total loss and its readable parts."""
        pixel = ((made - real).abs() * self._weight).mean()
        fine = ((detail(made) - detail(real)).abs() * self._weight).mean()
        half_made, half_real = F.avg_pool2d(made, 2), F.avg_pool2d(real, 2)
        coarse = (detail(half_made) - detail(half_real)).abs().mean()
        perceptual, identity = self.person(real, made, rng)
        centred = latents.mean((0, 2, 3)).square().mean()
        scaled = (latents.std((0, 2, 3)) - 1).square().mean()
        wild = (latents.abs() - 2.5).clamp(min=0).square().mean()
        total = (
            pixel + fine + coarse
            + self._config.perceptual * perceptual
            + self._config.identity * identity
            + 0.02 * (centred + scaled) + 0.001 * wild
        )  # fmt: skip
        parts = {"pixel": pixel, "perceptual": perceptual, "identity": identity}
        return total, {k: v.item() for k, v in parts.items()}


class Trainer:
    """The network, its optimiser and its average; everything a checkpoint holds."""

    def __init__(self, config: Config, weights: Path, total_steps: int) -> None:
        torch.manual_seed(config.seed)
        self.config = config
        self.total_steps = total_steps
        self.model = config.network().to(DEVICE).train()
        self.optimiser = torch.optim.AdamW(
            self.model.parameters(), config.rate, betas=(0.9, 0.98), weight_decay=1e-4
        )
        self.average = Average(self.model.parameters(), 0.998)
        self.losses = Losses(config, weights)
        self.done = 0

    def start_from(self, model_state: dict[str, Tensor]) -> None:
        """Begin from weights of an earlier autoencoder instead of from noise."""
        self.model.load_state_dict(model_state)
        self.average = Average(self.model.parameters(), self.average.decay)

    def rate(self) -> float:
        """Warm-up, then a cosine down to a fiftieth over the planned steps."""
        warm = min(1.0, (self.done + 1) / self.config.warmup)
        turn = 0.5 * (1 + math.cos(math.pi * min(1.0, self.done / self.total_steps)))
        return self.config.rate * warm * (0.02 + 0.98 * turn)

    def step(self, real: Tensor) -> dict[str, float]:
        """One optimisation step on pictures [n, 3, S, S] in -1..1."""
        random = torch_rng(step_rng(self.config.seed + 1, self.done), DEVICE)
        for group in self.optimiser.param_groups:
            group["lr"] = self.rate()
        with torch.autocast(DEVICE.type, torch.bfloat16):
            latents = self.model.encode(real).latents
            chosen = torch.rand(len(real), 1, 1, 1, generator=random, device=DEVICE) < 0.5
            noise = torch.randn(latents.shape, generator=random, device=DEVICE)
            noise = noise * self.config.noise
            made = self.model.decode(latents + noise * chosen).sample
        total, parts = self.losses(real, made.float(), latents.float(), random)
        self.optimiser.zero_grad(set_to_none=True)
        total.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimiser.step()
        self.done += 1
        self.average.update(self.model.parameters(), self.done)
        return parts

    def state(self) -> dict:
        return {
            "config": asdict(self.config),
            "model": self.model.state_dict(),
            "average": self.average.values,
            "optimiser": self.optimiser.state_dict(),
            "done": self.done,
        }

    def restore(self, state: dict) -> None:
        self.model.load_state_dict(state["model"])
        self.average.restore(state["average"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.done = state["done"]


def load_autoencoder(path: Path) -> AutoencoderTiny:
    """The averaged network of a checkpoint, ready to run."""
    state = torch.load(path, weights_only=True, map_location="cpu")
    model = Config(**state["config"]).network().eval().requires_grad_(False)
    with torch.no_grad():
        for parameter, value in zip(model.parameters(), state["average"], strict=True):
            parameter.copy_(value)
    return model


def batch_of(
    rng: np.random.Generator,
    table: Portraits,
    chances: np.ndarray,
    woman: np.ndarray,
    size: int,
) -> Tensor:
    """A batch of restyled pictures; rows of the table drawn by chance."""
    rows = rng.choice(len(chances), size, p=chances)
    drawn = [draw_picture(rng, person_at(table, int(r), woman)) for r in rows]
    return to_tensor(drawn).to(DEVICE)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=6000)
    parser.add_argument("--rate", type=float, default=Config.rate)
    parser.add_argument("--init", type=Path, help="an earlier autoencoder.pt: (settings, weights)")
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    cv2.setNumThreads(1)
    weights, folder = args.work / "weights", args.work / "autoencoder"
    table = Portraits.load(args.work / "data" / "portraits.npz")
    training, judges = split(table, read_held_out())
    held_out = table.take(judges)
    woman = probe_woman(table)[training]
    table = table.take(training)
    chances = sampling_weights(table)
    trainer = Trainer(Config(rate=args.rate), weights, args.steps)
    checkpoint = folder / "last.pt"
    if (state := load(checkpoint)) is not None:
        trainer.restore(state)
    elif args.init:
        trainer.start_from(torch.load(args.init, weights_only=True)[1])
        save_atomic(trainer.state(), checkpoint)  # with --steps 0: adopt it as it is
    metrics = Metrics(folder / "metrics.jsonl")
    while trainer.done < args.steps:
        rng = step_rng(trainer.config.seed, trainer.done)
        batch = batch_of(rng, table, chances, woman, trainer.config.batch)
        metrics.add(**trainer.step(batch))
        if trainer.done % 20 == 0:
            metrics.write(trainer.done, trainer.done * trainer.config.batch, rate=trainer.rate())
        if trainer.done % 100 == 0 or trainer.done == args.steps:
            save_atomic(trainer.state(), checkpoint)
        if trainer.done % 200 == 0 or trainer.done == args.steps:
            model = load_autoencoder(checkpoint)
            scores, shown = reconstruction_likeness(model, held_out, weights)
            metrics.write(
                trainer.done,
                trainer.done * trainer.config.batch,
                held_out_likeness=float(np.median(scores)),
            )
            cv2.imwrite(str(folder / "reconstruction.png"), shown[:, :, ::-1])
            keys = ("pixel", "perceptual", "identity", "held_out_likeness")
            plot(folder / "metrics.jsonl", folder / "losses.png", keys)


if __name__ == "__main__":
    main()
