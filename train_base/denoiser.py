"""Stage 4: the text-conditioned denoiser, trained on cached latents until it is stopped.

    python -m train_base.denoiser --work /work/train-base [--init DIFFUSERS_FOLDER]

v-prediction with zero terminal SNR (Lin 2023), min-SNR weights (Hang 2023), the face weighted,
an average of the weights.  New rounds of latents are picked up while it runs.
"""

from __future__ import annotations

import argparse
import math
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import torch
from diffusers import UNet2DConditionModel
from diffusers.models.attention_processor import AttnProcessor
from safetensors.torch import load_file
from torch import Tensor, nn

from train_base.autoencoder import face_weight, load_autoencoder
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
from train_base.latents import JUDGES_FILE
from train_base.sampling import Sampler, signal_share, training_sheet
from train_base.words import adopt, build_text_encoder, build_tokenizer, numbers_of


@dataclass
class Config:
    """The shape of the network and of a run."""

    channels: tuple[int, ...] = (96, 192, 256)
    latent_channels: int = 8
    sample_size: int = 20
    words: int = 0
    """Size of the vocabulary; 0 asks for today's."""
    batch: int = 32
    rate: float = 3e-4
    warmup: int = 100
    min_snr: float = 5.0
    no_words: float = 0.1
    """Share of captions that are emptied, for classifier-free guidance."""
    average: float = 0.999
    seed: int = 0

    def network(self) -> UNet2DConditionModel:
        cross, plain = "CrossAttnDownBlock2D", "DownBlock2D"
        deeper = len(self.channels) - 1
        model = UNet2DConditionModel(
            sample_size=self.sample_size,
            in_channels=self.latent_channels,
            out_channels=self.latent_channels,
            down_block_types=(plain, *[cross] * deeper),
            up_block_types=(*["CrossAttnUpBlock2D"] * deeper, "UpBlock2D"),
            block_out_channels=tuple(self.channels),
            layers_per_block=1,
            cross_attention_dim=192,
            # Heads per level, in spite of the argument's name: 32 channels each.  Heads of 6 gave
            # the same loss and cost 15 % of every step.
            attention_head_dim=tuple(max(1, width // 32) for width in self.channels),
            norm_num_groups=16,
        )
        if DEVICE.type == "cpu":
            # Torch's fused attention has a slow backward pass on CPUs for such small maps: half of
            # the whole step's time (4.7 s of 32 pictures against 2.1 s with the plain products).
            model.set_attn_processor(AttnProcessor())
        return model.to(memory_format=torch.channels_last)


class Rounds:
    """The cached latents.  Which rounds there were at which step does not change a resumed run
    as long as the files stay; rounds that appear later are taken in by `refresh`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._names: list[str] = []
        self.latents = torch.empty(0)
        self.words = torch.empty(0)
        self.refresh()

    def refresh(self) -> bool:
        """Read rounds that were written since; True where there were any."""
        names = sorted(path.name for path in self._folder.glob("round-*.pt"))
        if names == self._names:
            return False
        parts = [torch.load(self._folder / name, weights_only=True) for name in names]
        self.latents = torch.cat([part["latents"] for part in parts]).to(DEVICE)
        self.words = torch.cat([part["words"] for part in parts]).to(DEVICE)
        self._names = names
        return True


class Trainer:
    """Denoiser and text encoder, trained together; everything a checkpoint holds."""

    def __init__(self, config: Config, scale: float) -> None:
        """scale: what latents are multiplied with so that their deviation is one."""
        torch.manual_seed(config.seed)
        self.config = config
        self.scale = scale
        self.tokenizer = build_tokenizer()
        config.words = config.words or len(self.tokenizer)
        self.unet = config.network().to(DEVICE).train()
        self.text = build_text_encoder(config.words).to(DEVICE).train()
        self.parameters: list[nn.Parameter] = [*self.unet.parameters(), *self.text.parameters()]
        self.optimiser = torch.optim.AdamW(
            self.parameters, config.rate, betas=(0.9, 0.99), weight_decay=0.01, fused=True
        )
        self.average = Average(self.parameters, config.average)
        self.done = 0
        self.samples = 0
        self.cooling = 1.0
        """What the rate is multiplied with: falls from one to nothing over a run with an end."""
        self._signal = signal_share().to(DEVICE)
        size = config.sample_size
        self._weight = nn.functional.interpolate(face_weight(), (size, size), mode="area")
        self._weight = (self._weight / self._weight.mean()).to(DEVICE)
        self._no_words = numbers_of(self.tokenizer, [""]).to(DEVICE)

    def start_from(self, folder: Path) -> None:
        """Begin from an exported diffusers folder, whose vocabulary may be smaller."""
        unet = load_file(folder / "unet" / "diffusion_pytorch_model.safetensors")
        self.unet.load_state_dict({k: v.float() for k, v in unet.items()})
        adopt(self.text, load_file(folder / "text_encoder" / "model.safetensors"))
        self.average = Average(self.parameters, self.config.average)

    def loss(self, latents: Tensor, words: Tensor, noise: Tensor, times: Tensor) -> Tensor:
        """Squared error of the predicted v per picture, [n]; latents already scaled."""
        signal = self._signal[times].view(-1, 1, 1, 1)
        noisy = signal.sqrt() * latents + (1 - signal).sqrt() * noise
        wanted = signal.sqrt() * noise - (1 - signal).sqrt() * latents
        with torch.autocast(DEVICE.type, torch.bfloat16):
            context = self.text(words)[0]
            noisy = noisy.contiguous(memory_format=torch.channels_last)
            predicted = self.unet(noisy, times, context).sample
        return ((predicted.float() - wanted).square() * self._weight).mean((1, 2, 3))

    def step(self, latents: Tensor, words: Tensor) -> Tensor:
        """One optimisation step over a cache (latents [m, ...] unscaled, words [m, 20]).

        Returns the mean error, on the device: reading it at every step would hold a GPU up.
        """
        config = self.config
        random = torch_rng(step_rng(config.seed, self.done), DEVICE)
        count = (config.batch,)
        rows = torch.randint(len(latents), count, generator=random, device=DEVICE)
        picked = latents[rows].float() * self.scale
        prompts = words[rows].long()
        silent = torch.rand(count, generator=random, device=DEVICE) < config.no_words
        prompts[silent] = self._no_words
        times = torch.randint(len(self._signal), count, generator=random, device=DEVICE)
        noise = torch.randn(picked.shape, generator=random, device=DEVICE)
        for group in self.optimiser.param_groups:
            group["lr"] = config.rate * min(1.0, (self.done + 1) / config.warmup) * self.cooling
        error = self.loss(picked, prompts, noise, times)
        signal = self._signal[times]
        ratio = signal / (1 - signal).clamp(min=1e-6)
        weight = (ratio.clamp(max=config.min_snr) / (ratio + 1)).clamp(min=0.1)
        loss = (error * weight).mean() / weight.mean()
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.parameters, 1.0)
        self.optimiser.step()
        self.done += 1
        self.samples += config.batch
        self.average.update(self.parameters, self.done)
        return error.detach().mean()

    @torch.no_grad()
    def judge(self, latents: Tensor, words: Tensor) -> float:
        """Mean v error on held-out people with fixed noise and times: comparable over a run."""
        random = torch.Generator().manual_seed(1)
        errors = []
        for start in range(0, len(latents), 48):
            picked = latents[start : start + 48].to(DEVICE).float() * self.scale
            noise = torch.randn(picked.shape, generator=random).to(DEVICE)
            times = torch.linspace(20, 980, len(picked)).long().to(DEVICE)
            said = words[start : start + 48].to(DEVICE).long()
            errors.append(self.loss(picked, said, noise, times))
        return torch.cat(errors).mean().item()

    def state(self) -> dict:
        return {
            "config": asdict(self.config),
            "scale": self.scale,
            "unet": self.unet.state_dict(),
            "text": self.text.state_dict(),
            "average": self.average.values,
            "optimiser": self.optimiser.state_dict(),
            "done": self.done,
            "samples": self.samples,
        }

    def restore(self, state: dict) -> None:
        self.unet.load_state_dict(state["unet"])
        self.text.load_state_dict(state["text"])
        self.average.restore(state["average"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.done, self.samples = state["done"], state["samples"]


def averaged(state: dict) -> Trainer:
    """A trainer that holds the averaged weights of a checkpoint, ready to run."""
    trainer = Trainer(Config(**state["config"]), state["scale"])
    with torch.no_grad():
        for parameter, value in zip(trainer.parameters, state["average"], strict=True):
            parameter.copy_(value)
    trainer.unet.eval()
    trainer.text.eval()
    return trainer


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--init", type=Path, help="exported folder to begin from")
    parser.add_argument("--steps", type=int, default=10**9, help="stop after so many in all")
    parser.add_argument("--rate", type=float, default=Config.rate)
    parser.add_argument("--batch", type=int, default=Config.batch)
    parser.add_argument("--average", type=float, default=Config.average)
    parser.add_argument("--minutes", type=float, help="cool down and end after so many")
    parser.add_argument("--compile", action="store_true", help="for long runs on a GPU")
    parser.add_argument("--save-seconds", type=float, default=180)
    parser.add_argument("--sheet-minutes", type=float, default=30)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    cv2.setNumThreads(1)
    folder, latents = args.work / "denoiser", args.work / "latents"
    checkpoint, log = folder / "last.pt", folder / "metrics.jsonl"
    rounds = Rounds(latents)
    judges = torch.load(latents / JUDGES_FILE, weights_only=True)
    state = load(checkpoint)
    scale = state["scale"] if state else 1 / float(rounds.latents[:4096].float().std())
    trainer = Trainer(Config(rate=args.rate, batch=args.batch, average=args.average), scale)
    if state:
        trainer.restore(state)
    elif args.init:
        trainer.start_from(args.init)
    if args.compile:
        trainer.unet.compile()
    metrics = Metrics(log)
    start = saved = sheet_at = time.monotonic()
    liked = load(folder / "best.pt")
    lowest = averaged(liked).judge(judges["latents"], judges["words"]) if liked else math.inf
    ended = False
    while not ended:
        if args.minutes:
            share = min(1.0, (time.monotonic() - start) / 60 / args.minutes)
            trainer.cooling = 0.01 + 0.99 * (0.5 + 0.5 * math.cos(math.pi * share))
            ended = share == 1
        ended = ended or trainer.done + 1 >= args.steps
        metrics.add(v_error=trainer.step(rounds.latents, rounds.words))
        if trainer.done % 25 == 0:
            metrics.write(trainer.done, trainer.samples)
        now = time.monotonic()
        if now - saved > args.save_seconds or ended:
            save_atomic(trainer.state(), checkpoint)
            saved = now
            rounds.refresh()
        if trainer.done % 250 == 0:
            best = averaged(trainer.state())
            judged = best.judge(judges["latents"], judges["words"])
            metrics.write(trainer.done, trainer.samples, judges_v_error=judged)
            if judged < lowest:
                lowest = judged
                save_atomic(trainer.state(), folder / "best.pt")
            plot(log, folder / "losses.png", ("v_error", "judges_v_error"))
        if now - sheet_at > args.sheet_minutes * 60 or (ended and args.minutes):
            sheet_at = now
            autoencoder = load_autoencoder(args.work / "autoencoder" / "last.pt").to(DEVICE)
            best = averaged(trainer.state())
            sampler = Sampler(best.unet, best.text, best.tokenizer, autoencoder, best.scale)
            sheet = training_sheet(sampler)
            path = folder / f"samples-{trainer.samples:07d}.png"
            cv2.imwrite(str(path), sheet[:, :, ::-1])


if __name__ == "__main__":
    main()
