"""The README's picture, the welcome page's and the previews of the looks, from one run.

    python -m dev.make_pictures [--portrait tests/samples/nobody-c.jpg] [--base studio-mini]

Somebody who does not exist, so nobody is shown; the real command line, so the pictures show what
the product does.  Writes docs/picture.jpg (selfies above, portraits below), for the embedded base
web/static/welcome.webp (a selfie, then looks), and into the base's own folder previews/LOOK.webp:
every base shows what it makes itself.
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
PREVIEW_PX = 320
WELCOME_LOOKS = ("linkedin-classic", "boardroom", "black-white", "garden-party")


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


def strip(selfie: Path, portraits: list[Path]) -> Image.Image:
    """One selfie and, after a gap, portraits in a row."""
    picture = Image.new("RGBA", ((TILE_PX + GAP_PX) * (1 + len(portraits)) + GAP_PX, TILE_PX))
    for column, file in enumerate([selfie, *portraits]):
        with Image.open(file) as image:
            tile = image.convert("RGB").resize((TILE_PX, TILE_PX), Image.Resampling.LANCZOS)
        picture.paste(tile, (column * (TILE_PX + GAP_PX) + (GAP_PX if column else 0), 0))
    return picture


def previews(looks: dict[str, list[Path]], folder: Path) -> None:
    """The best portrait of each look as `folder`/LOOK.webp."""
    folder.mkdir(exist_ok=True)
    for old in folder.glob("*.webp"):
        old.unlink()
    for look, files in looks.items():
        with Image.open(files[0]) as image:
            image.thumbnail((PREVIEW_PX, PREVIEW_PX), Image.Resampling.LANCZOS)
            image.convert("RGB").save(folder / f"{look}.webp", quality=82)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--portrait", type=Path, default=ROOT / "tests/samples/nobody-c.jpg")
    parser.add_argument("--to", type=Path, default=ROOT / "docs/picture.jpg")
    parser.add_argument("--base", default="studio-mini")
    parser.add_argument("--count", type=int, default=100)
    chosen = parser.parse_args()
    base = configuration.load(base=chosen.base).base_folder
    with tempfile.TemporaryDirectory() as folder:
        photos, out, report = (Path(folder, name) for name in ("photos", "out", "report.json"))
        selfies = make_selfies.write(chosen.portrait, photos, count=COLUMNS)
        command = [sys.executable, "-m", "pipeline", photos, "--out", out, "--json", report]
        subprocess.run(
            [*map(str, command), "--count", str(chosen.count)],
            check=True,
            cwd=ROOT,
            env={**os.environ, "LIKENESS_BASE": str(base)},
        )
        looks = by_look(out)
        sheet(selfies, in_turn(looks, ROWS * COLUMNS)).save(chosen.to, quality=88)
        previews(looks, base / "previews")
        if chosen.base == "studio-mini":
            shown = [looks[look][0] for look in WELCOME_LOOKS]
            strip(selfies[0], shown).save(ROOT / "web/static/welcome.webp", quality=82)
        print(json.dumps(json.loads(report.read_text()), indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
