"""The picture of the painted way, from one run: selfies above, portraits below.

    python -m dev.make_pictures [--portrait tests/samples/nobody-c.jpg] [--base studio-mini]

Somebody who does not exist, so nobody is shown; the real command line, so the picture shows what
the product does. Writes docs/painted.jpg. `dev.make_photo_pictures` makes those of the photo way.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from itertools import zip_longest
from pathlib import Path

from PIL import Image

import settings as configuration
from dev import make_selfies

ROOT = configuration.ROOT
COLUMNS, TILE_PX, GAP_PX = 8, 180, 6
ROWS = 3


def sheet(selfies: list[Path], portraits: list[Path]) -> Image.Image:
    """Selfies in the first row, a line of space, portraits below."""
    height = TILE_PX * (1 + ROWS) + GAP_PX * 3
    picture = Image.new("RGB", (COLUMNS * TILE_PX, height), "white")
    for row, files in enumerate([selfies, *(portraits[i::ROWS] for i in range(ROWS))]):
        for column, file in enumerate(files[:COLUMNS]):
            with Image.open(file) as image:
                tile = image.convert("RGB").resize((TILE_PX, TILE_PX), Image.Resampling.LANCZOS)
            gap = GAP_PX * 3 if row else 0
            picture.paste(tile, (column * TILE_PX, row * TILE_PX + gap))
    return picture


def by_look(out: Path) -> dict[str, list[Path]]:
    """Portraits of each look, best first; files are named by their place and look."""
    looks: dict[str, list[Path]] = {}
    for file in sorted(out.glob("*.png")):
        looks.setdefault(file.stem.split("-", 1)[1], []).append(file)
    return looks


def in_turn(looks: dict[str, list[Path]], count: int) -> list[Path]:
    """The best portrait of each look first, then the next best."""
    rounds = zip_longest(*looks.values())
    return [file for together in rounds for file in together if file][:count]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--portrait", type=Path, default=ROOT / "tests/samples/nobody-c.jpg")
    parser.add_argument("--to", type=Path, default=ROOT / "docs/painted.jpg")
    parser.add_argument("--base", default="studio-mini")
    parser.add_argument("--count", type=int, default=100)
    chosen = parser.parse_args()
    base = configuration.load(base=chosen.base).base_folder
    with tempfile.TemporaryDirectory() as folder:
        photos, out, report = (Path(folder, name) for name in ("photos", "out", "report.json"))
        selfies = make_selfies.write(chosen.portrait, photos, count=COLUMNS)
        command = [sys.executable, "-m", "pipeline", photos, "--out", out, "--json", report]
        command += ["--way", "painted"]
        subprocess.run(
            [*map(str, command), "--count", str(chosen.count)],
            check=True,
            cwd=ROOT,
            env={**os.environ, "LIKENESS_BASE": str(base)},
        )
        looks = by_look(out)
        sheet(selfies, in_turn(looks, ROWS * COLUMNS)).save(chosen.to, quality=88)
        print(json.dumps(json.loads(report.read_text()), indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
