"""Train the refiner and export it: see the package.

Nobody of `dev/matting_people.txt` is trained on, and no wall that the measurement takes.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import torch
from torch.utils.data import DataLoader

from dev import plain_walls
from dev.measure_matting import PEOPLE, ROOT, Picture
from pipeline.compositing.segmenter import Segment, Segmenter
from pipeline.photos.detection import Faces
from train_matting.data import Examples, Person
from train_matting.export import write_onnx
from train_matting.net import Refiner

RATE = 3e-3
BATCH = 16
WARM_UP = 40
"""Steps over which the rate rises to `RATE`; from there it falls along a cosine."""

EDGE_WEIGHT = 1.5
"""Weight of errors of the matte's slope beside errors of the matte."""

LONG_HAIR_WEIGHT = 3.0
"""People with wide hair are rarer among the portraits, and harder."""


def main() -> int:
    """Train for the time given; 2 without ../shared."""
    words = argparse.ArgumentParser(prog="train_matting", description="Train the refiner.")
    words.add_argument("--shared", type=Path, default=ROOT / ".." / "shared")
    words.add_argument("--out", type=Path, default=ROOT / "models" / "matting" / "refiner.onnx")
    words.add_argument("--minutes", type=float, default=20)
    chosen = words.parse_args()
    if not (chosen.shared / "portraits").is_dir():
        print(f"{chosen.shared}/portraits is not here: nothing to train on.", file=sys.stderr)
        return 2
    torch.set_num_threads(1)
    torch.manual_seed(0)
    cv2.setNumThreads(1)
    people = _people(chosen.shared)
    walls = _walls(chosen.shared)
    print(f"{len(people)} people, {len(walls)} walls")
    write_onnx(_trained(Examples(people, walls, _segmenter, seed=1), chosen.minutes), chosen.out)
    return 0


def _segmenter() -> Segment:
    return Segmenter(ROOT / "models" / "faces").matte


def _people(shared: Path) -> list[Person]:
    """Everybody of ../shared/portraits whose wall is plain, without those measured on."""
    faces, segment = Faces(ROOT / "models" / "faces"), _segmenter()
    kept_back = set(PEOPLE.read_text().split())
    people = []
    for file in sorted((shared / "portraits").glob("*.jpg")):
        if f"portraits/{file.name}" in kept_back:
            continue
        image = _read(file)
        found = plain_walls.key(image, segment)
        face = next(iter(faces.detect(image)), None)
        if found is None or face is None or not found.fit:
            continue
        known = plain_walls.truth(image, found)
        wide = plain_walls.hair_width(known.alpha, face.box)
        colours = (np.clip(known.colours, 0, 1) * 255 + 0.5).astype(np.uint8)
        alpha = (known.alpha * 255 + 0.5).astype(np.uint8)
        people.append(Person(colours, alpha, LONG_HAIR_WEIGHT if wide > 1.2 else 1.0))
    return people


def _walls(shared: Path) -> list[tuple[Picture, Picture]]:
    """Photos with busy walls and their masks, at most 400 pixels."""
    segment = _segmenter()
    files = sorted((shared / "people-cc0").glob("*.jpg"))[::2]
    files += sorted((shared / "portraits-bioguide").glob("*.jpg"))[1::12]
    walls = []
    for file in files:
        image = _read(file)
        if max(image.shape[:2]) > 400:
            image = np.asarray(cv2.resize(image, (400, 400), interpolation=cv2.INTER_AREA))
        walls.append((image, segment(image)))
    return walls


def _trained(examples: Examples, minutes: float) -> Refiner:
    net = Refiner()
    optimiser = torch.optim.AdamW(net.parameters(), RATE, weight_decay=1e-4)
    # Spawned, not forked: OpenCV's nets do not survive a fork.
    batches = DataLoader(
        examples, BATCH, num_workers=1, prefetch_factor=8, multiprocessing_context="spawn"
    )
    start, losses = time.monotonic(), []
    for step, (x, known) in enumerate(batches):
        done = (time.monotonic() - start) / 60 / minutes
        if done >= 1:
            break
        rate = RATE * min(1, (step + 1) / WARM_UP) * (0.5 + 0.5 * math.cos(math.pi * done))
        for group in optimiser.param_groups:
            group["lr"] = rate
        away = net(x) - known
        slope = away.diff(dim=-1).abs().mean() + away.diff(dim=-2).abs().mean()
        loss = away.abs().mean() + EDGE_WEIGHT * slope + 0.5 * (away * away).mean()
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimiser.step()
        losses.append(float(away.detach().abs().mean()))
        if step % 100 == 99:
            print(f"step {step + 1}: mean error {np.mean(losses[-100:]):.4f}", flush=True)
    return net.eval()


def _read(file: Path) -> Picture:
    data = cv2.imread(str(file))
    if data is None:
        raise FileNotFoundError(file)
    return np.ascontiguousarray(data[..., ::-1])
