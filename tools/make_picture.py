"""The README's picture: selfies of somebody who does not exist, and portraits made from them.

    python -m tools.make_picture [--portrait tests/samples/nobody-a.jpg] [--to docs/picture.jpg]

Runs the real command line with the built-in base, so the picture shows what the product does.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

import settings as configuration
from tools import make_selfies

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


def best_per_style(out: Path, count: int) -> list[Path]:
    """The best portrait of each style first, then the next best; files are named by their place."""
    by_style: dict[str, list[Path]] = {}
    for file in sorted(out.glob("*.png")):
        by_style.setdefault(file.stem.split("-", 1)[1], []).append(file)
    rounds = max(map(len, by_style.values()))
    ordered = [f[i] for i in range(rounds) for f in by_style.values() if i < len(f)]
    return ordered[:count]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--portrait", type=Path, default=ROOT / "tests/samples/nobody-a.jpg")
    parser.add_argument("--to", type=Path, default=ROOT / "docs/picture.jpg")
    parser.add_argument("--count", type=int, default=100)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        photos, out, report = (Path(folder, name) for name in ("photos", "out", "report.json"))
        selfies = make_selfies.write(chosen.portrait, photos, count=COLUMNS)
        command = [sys.executable, "-m", "pipeline", photos, "--out", out, "--json", report]
        subprocess.run([*map(str, command), "--count", str(chosen.count)], check=True, cwd=ROOT)
        sheet(selfies, best_per_style(out, ROWS * COLUMNS)).save(chosen.to, quality=88)
        print(json.dumps(json.loads(report.read_text()), indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
