"""Stage 3: restyled portraits as latents, in rounds that the denoiser picks up as they appear.

    python -m train_base.latents --work /work/train-base --rounds 4 --pictures 8192

A round is one file of freshly drawn pictures (other people, walls, lights, words).  Encoding
once and training from the cache costs a twentieth of encoding at every step.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from diffusers import AutoencoderTiny
from torch import Tensor

from train_base.autoencoder import load_autoencoder, to_tensor
from train_base.checkpoint import save_atomic, step_rng
from train_base.data import Portraits
from train_base.people import probe_woman, read_held_out, sampling_weights, split
from train_base.restyle import person_at, restyle
from train_base.words import build_tokenizer, numbers_of

JUDGES_FILE = "judges.pt"


@torch.no_grad()
def encode(model: AutoencoderTiny, pictures: list[np.ndarray]) -> Tensor:
    """uint8 [S, S, 3] pictures -> float16 latents [n, 8, S/8, S/8], not scaled."""
    with torch.autocast("cpu", torch.bfloat16):
        return model.encode(to_tensor(pictures)).latents.half()


@dataclass(frozen=True)
class Crowd:
    """The people of a round. chances: [n], of being drawn; woman: [n], as `people` says."""

    table: Portraits
    chances: np.ndarray
    woman: np.ndarray


def make_round(
    model: AutoencoderTiny, crowd: Crowd, count: int, seed: int, batch: int = 64
) -> dict[str, Tensor]:
    """`count` restyled pictures as {"latents": [n, 8, s, s] float16, "words": [n, 20] int16}."""
    tokenizer = build_tokenizer()
    rng = step_rng(seed, 0)
    latents, captions = [], []
    rows = rng.choice(len(crowd.chances), count, p=crowd.chances)
    for start in range(0, count, batch):
        drawn = [
            restyle(rng, person_at(crowd.table, int(row), crowd.woman))
            for row in rows[start : start + batch]
        ]
        latents.append(encode(model, [picture for picture, _ in drawn]))
        captions += [words for _, words in drawn]
    words = numbers_of(tokenizer, captions).to(torch.int16)
    return {"latents": torch.cat(latents).contiguous(), "words": words}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--pictures", type=int, default=8192)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    cv2.setNumThreads(1)
    folder = args.work / "latents"
    model = load_autoencoder(args.work / "autoencoder" / "last.pt")
    everyone = Portraits.load(args.work / "data" / "portraits.npz")
    training, judges = split(everyone, read_held_out())
    woman = probe_woman(everyone)
    table = everyone.take(training)
    crowd = Crowd(table, sampling_weights(table), woman[training])
    if not (folder / JUDGES_FILE).exists():
        held_out = everyone.take(judges)
        even = np.full(len(judges), 1 / len(judges))
        made = make_round(model, Crowd(held_out, even, woman[judges]), 4 * len(judges), seed=10**6)
        save_atomic(made, folder / JUDGES_FILE)
    for number in range(args.rounds):
        path = folder / f"round-{number:03d}.pt"
        if not path.exists():
            made = make_round(model, crowd, args.pictures, number)
            save_atomic(made, path)
            print(path.name, tuple(made["latents"].shape), flush=True)


if __name__ == "__main__":
    main()
