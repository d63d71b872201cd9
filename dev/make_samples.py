"""Somebody who does not exist, dreamt up by the built-in base, so that nobody is shown.

    python -m dev.make_samples [--to tests/samples] [--selfies web/samples]

A portrait, and eight "selfies" of it for visitors who want to try the studio without giving a face.

The seed was chosen by eye among 48: both eyes open, nothing melted. Run again with other weights,
it shows somebody else; then look, and choose anew. nobody-a and nobody-b of tests/samples are by
other weights and stay, since tests know their faces.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from PIL import Image

import settings as configuration
from dev import make_selfies
from pipeline.bases.denoising import Sampling
from pipeline.bases.loading import load_base
from pipeline.portraits.generate import Shot, generate
from pipeline.portraits.style import Style

BACKDROPS = ("grey studio backdrop", "beige studio backdrop")
CHOSEN = {"nobody-c": 2001}  # file name -> seed
SAMPLING = Sampling(steps=30, guidance=3.0)
SIDE_PX = 640


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--to", type=Path, default=configuration.ROOT / "tests/samples")
    parser.add_argument("--selfies", type=Path, default=configuration.ROOT / "web/samples")
    chosen = parser.parse_args()
    base = load_base(configuration.load().base_folder)
    shots = [
        Shot(i, Style("sample", "Sample", "-", "work", _prompt(seed)), seed)
        for i, seed in enumerate(CHOSEN.values())
    ]
    made = generate(base, None, shots, stop=lambda: False, sampling=SAMPLING)
    for name, (_, image) in zip(CHOSEN, made, strict=True):
        small = Image.fromarray(image).resize((SIDE_PX, SIDE_PX), Image.Resampling.LANCZOS)
        small.save(chosen.to / f"{name}.jpg", quality=90)
    first = chosen.to / f"{next(iter(CHOSEN))}.jpg"
    for file in make_selfies.write(first, chosen.selfies):
        with Image.open(file) as selfie:
            small = selfie.resize((SIDE_PX, SIDE_PX), Image.Resampling.LANCZOS)
        small.save(file, quality=85)
    return 0


def _prompt(seed: int) -> str:
    return f"photo of {{subject}}, {BACKDROPS[seed % 2]}"


if __name__ == "__main__":
    sys.exit(main())
