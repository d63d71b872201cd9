"""Train the refiner and export it: see the package."""

from __future__ import annotations

import argparse
import math
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import torch
from torch import nn
from torch.utils.data import DataLoader

from dev.measure_matting import ROOT
from pipeline.compositing.segmenter import Segment, Segmenter
from train_matting import people
from train_matting.data import Batch, Examples
from train_matting.export import write_onnx
from train_matting.net import Refiner

RATE = 3e-3
BATCH = 16
WARM_UP = 100
"""Steps over which the rate rises to `RATE`; from there it falls along a cosine."""

EDGE_WEIGHT = 1.5
"""Weight of errors of the matte's slope beside errors of the matte."""

AVERAGE = 0.998
SAVED_EVERY_S = 60


def main() -> int:
    """Train for the time given; 2 without anybody to train on."""
    words = argparse.ArgumentParser(prog="train_matting", description="Train the refiner.")
    words.add_argument("--shared", type=Path, default=ROOT / ".." / "shared")
    words.add_argument("--pack", type=Path, help="people and walls of `train_matting.people`")
    words.add_argument("--out", type=Path, default=ROOT / "models" / "matting" / "refiner.onnx")
    words.add_argument("--minutes", type=float, default=20)
    words.add_argument("--workers", type=int, default=max(1, (os.cpu_count() or 2) - 1))
    chosen = words.parse_args()
    if chosen.pack:
        everybody, walls = people.read(chosen.pack)
    elif (chosen.shared / "portraits").is_dir():
        everybody, walls = people.gathered(chosen.shared)
    else:
        print(f"{chosen.shared}/portraits is not here: nothing to train on.", file=sys.stderr)
        return 2
    torch.set_num_threads(1)
    torch.manual_seed(0)
    cv2.setNumThreads(1)
    print(f"{len(everybody)} people, {len(walls)} walls", flush=True)
    examples = Examples(everybody, walls, _segmenter, seed=1, batch=BATCH)
    for net in _training(examples, chosen.minutes, chosen.workers):
        digest = write_onnx(net, chosen.out)
    print(f"{chosen.out}: {digest}")
    return 0


def _segmenter() -> Segment:
    return Segmenter(ROOT / "models" / "faces").matte


def _training(examples: Examples, minutes: float, workers: int) -> Iterator[Refiner]:
    """The averaged network on the CPU, every minute and at the end."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    net = Refiner().to(device, memory_format=torch.channels_last)
    average = torch.optim.swa_utils.AveragedModel(
        net, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(AVERAGE), use_buffers=True
    )
    optimiser = torch.optim.AdamW(net.parameters(), RATE, weight_decay=1e-4)
    # Spawned, not forked: OpenCV's nets do not survive a fork.
    batches = DataLoader(
        examples, None, num_workers=workers, prefetch_factor=4, multiprocessing_context="spawn"
    )
    start = saved = time.monotonic()
    losses: list[torch.Tensor] = []
    for step, (x, known) in enumerate(batches):
        done = (time.monotonic() - start) / 60 / minutes
        if done >= 1:
            break
        rate = (
            RATE
            * min(1, (step + 1) / WARM_UP)
            * (0.01 + 0.99 * (0.5 + 0.5 * math.cos(math.pi * done)))
        )
        for group in optimiser.param_groups:
            group["lr"] = rate
        losses.append(_step(net, optimiser, (x.to(device), known.to(device))))
        average.update_parameters(net)
        if step % 100 == 99:
            error = float(torch.stack(losses[-100:]).mean())
            print(
                f"{60 * done * minutes:.0f} s, step {step + 1}: mean error {error:.4f}", flush=True
            )
        if time.monotonic() - saved > SAVED_EVERY_S:
            saved = time.monotonic()
            yield _whole(average.module)
    yield _whole(average.module)


def _step(net: Refiner, optimiser: torch.optim.Optimizer, batch: Batch) -> torch.Tensor:
    """One step of the optimiser; returns the mean error of alpha."""
    x, known = batch[0].float(), batch[1].float() / 255
    with torch.autocast(x.device.type, torch.bfloat16, enabled=x.is_cuda):
        made = net(x.contiguous(memory_format=torch.channels_last))
    away = made.float() - known
    slope = away.diff(dim=-1).abs().mean() + away.diff(dim=-2).abs().mean()
    loss = away.abs().mean() + EDGE_WEIGHT * slope + 0.5 * (away * away).mean()
    optimiser.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(net.parameters(), 1.0)
    optimiser.step()
    return away.detach().abs().mean()


def _whole(net: nn.Module) -> Refiner:
    """A copy on the CPU, ready to be exported."""
    copy = Refiner()
    copy.load_state_dict({key: value.float().cpu() for key, value in net.state_dict().items()})
    return copy.eval()
