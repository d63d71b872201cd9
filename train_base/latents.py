"""Stage 3: restyled portraits as latents, in rounds that the denoiser picks up as they appear.

    python -m train_base.latents --work /work/train-base --rounds 4 --pictures 8192

A round is one file of freshly drawn pictures (other people, walls, lights, words).  Encoding
once and training from the cache costs a twentieth of encoding at every step.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from multiprocessing import get_context
from pathlib import Path

import cv2
import numpy as np
import torch
from diffusers import AutoencoderTiny
from torch import Tensor

from train_base.autoencoder import load_autoencoder, to_tensor
from train_base.checkpoint import DEVICE, save_atomic, step_rng
from train_base.data import Portraits
from train_base.people import probe_woman, read_held_out, sampling_weights, split
from train_base.restyle import person_at, restyle
from train_base.words import build_tokenizer, numbers_of

JUDGES_FILE = "judges.pt"
_BATCH = 64


_crowd: Crowd | None = None
"""Of a worker: set before it is forked, so that all share one copy of the pictures."""


@torch.no_grad()
def encode(model: AutoencoderTiny, pictures: list[np.ndarray]) -> Tensor:
    """uint8 [S, S, 3] pictures -> float16 latents [n, 8, S/8, S/8], not scaled."""
    device = model.device
    with torch.autocast(device.type, torch.bfloat16):
        return model.encode(to_tensor(pictures).to(device)).latents.half().cpu()


@dataclass(frozen=True)
class Crowd:
    """The people of a round. chances: [n], of being drawn; woman: [n], as `people` says."""

    table: Portraits
    chances: np.ndarray
    woman: np.ndarray


def make_round(
    model: AutoencoderTiny, crowd: Crowd, count: int, seed: int, workers: int = 1
) -> dict[str, Tensor]:
    """`count` restyled pictures as {"latents": [n, 8, s, s] float16, "words": [n, 20] int16}.

    The same for any number of workers: every picture has a generator of its own.
    """
    latents, captions = [], []
    with _drawing(crowd, count, seed, workers) as drawn:
        while part := list(islice(drawn, _BATCH)):
            latents.append(encode(model, [picture for picture, _ in part]))
            captions += [words for _, words in part]
    words = numbers_of(build_tokenizer(), captions).to(torch.int16)
    return {"latents": torch.cat(latents).contiguous(), "words": words}


def pictures(crowd: Crowd, count: int, seed: int, workers: int) -> np.ndarray:
    """`count` restyled pictures as uint8 [n, S, S, 3]."""
    with _drawing(crowd, count, seed, workers) as drawn:
        return np.stack([picture for picture, _ in drawn])


@contextmanager
def _drawing(
    crowd: Crowd, count: int, seed: int, workers: int
) -> Iterator[Iterator[tuple[np.ndarray, str]]]:
    """Pictures and words, drawn by workers while they are read."""
    global _crowd
    _crowd = crowd
    rows = step_rng(seed, 0).choice(len(crowd.chances), count, p=crowd.chances)
    tasks = [(seed, number + 1, int(row)) for number, row in enumerate(rows)]
    with ProcessPoolExecutor(workers, mp_context=get_context("fork")) as pool:
        yield pool.map(_drawn, tasks, chunksize=_BATCH)


def _drawn(task: tuple[int, int, int]) -> tuple[np.ndarray, str]:
    """One restyled picture and its words; runs in a worker. task: seed, number, row."""
    assert _crowd is not None
    cv2.setNumThreads(1)
    seed, number, row = task
    return restyle(step_rng(seed, number), person_at(_crowd.table, row, _crowd.woman))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--pictures", type=int, default=8192)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--workers", type=int, default=1, help="processes that draw pictures")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    cv2.setNumThreads(1)
    folder = args.work / "latents"
    model = load_autoencoder(args.work / "autoencoder" / "last.pt").to(DEVICE)
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
            made = make_round(model, crowd, args.pictures, number, args.workers)
            save_atomic(made, path)
            print(path.name, tuple(made["latents"].shape), flush=True)


if __name__ == "__main__":
    main()
