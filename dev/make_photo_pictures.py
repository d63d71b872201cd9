"""The README's picture, the welcome page's and the previews of the looks, made by the photo way.

    python -m dev.make_photo_pictures

One photo, NASA's portrait of Eileen Collins (`dev.fetch_astronaut`), and the real command line, so
the pictures show what the product does. Writes docs/picture.jpg (the photo, then portraits of it),
web/static/before-after.webp (the photo and one portrait) and
web/static/looks/LOOK.webp, one for each look.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

import settings as configuration
from dev.fetch_astronaut import PHOTO

ROOT = configuration.ROOT
PREVIEWS = ROOT / "web" / "static" / "looks"

COLUMNS, ROWS, TILE_PX, GAP_PX = 6, 3, 261, 6
PHOTO_TILES = 2
"""Tiles that the photo spans each way, in the upper left."""

WELCOME_PX, WELCOME_GAP_PX = 360, 12
PREVIEW_PX = 320
PREVIEW_BYTES = 12_000
QUALITIES = range(82, 40, -4)

# Look and camera distance, as they stand in the picture, row by row.
GRID = (
    ("linkedin-classic", "near"),
    ("old-money", "far"),
    ("boardroom", "near"),
    ("garden-party", "far"),
    ("corporate-baddie", "far"),
    ("black-white", "near"),
    ("lobby", "far"),
    ("natural", "near"),
    ("mustard", "near"),
    ("city-dusk", "far"),
    ("authority", "near"),
    ("clean-white", "far"),
    ("burgundy", "near"),
    ("bright-office", "far"),
)
WELCOME = (("linkedin-classic", "near"),)


@dataclass(frozen=True)
class Made:
    """The portraits of one look: near, the face fills the picture; far, head and shoulders."""

    near: Image.Image
    far: Image.Image


def portraits(report: Path) -> dict[str, Made]:
    """Two portraits of every look, by the command line; what was measured goes to `report`."""
    looks = sorted(file.stem for file in (ROOT / "styles").glob("*.toml"))
    found: dict[str, list[Image.Image]] = {look: [] for look in looks}
    with tempfile.TemporaryDirectory() as folder:
        photos, out = Path(folder, "photos"), Path(folder, "out")
        photos.mkdir()
        shutil.copy(PHOTO, photos)
        command = [sys.executable, "-m", "pipeline", photos, "--out", out, "--json", report]
        command += ["--way", "photo", "--count", 2 * len(looks), "--crop", "square"]
        subprocess.run([str(part) for part in command], check=True, cwd=ROOT)
        for file in sorted(out.glob("*.png")):
            with Image.open(file) as image:
                found[file.stem.split("-", 1)[1]].append(image.convert("RGB"))
    # Portraits have the photo's own size: the nearer the frame, the fewer pixels.
    return {
        look: Made(*sorted(images, key=lambda image: image.width)) for look, images in found.items()
    }


def chosen(made: dict[str, Made], looks: tuple[tuple[str, str], ...]) -> list[Image.Image]:
    """Portraits by look and distance."""
    return [getattr(made[look], distance) for look, distance in looks]


def tile(image: Image.Image, px: int) -> Image.Image:
    """A square picture at another size."""
    return image.resize((px, px), Image.Resampling.LANCZOS)


def sheet(photo: Image.Image, pictures: list[Image.Image]) -> Image.Image:
    """The photo, large, and portraits around it."""
    step = TILE_PX + GAP_PX
    picture = Image.new("RGB", (COLUMNS * step - GAP_PX, ROWS * step - GAP_PX), "white")
    picture.paste(tile(photo, PHOTO_TILES * step - GAP_PX), (0, 0))
    free = [
        (column, row)
        for row in range(ROWS)
        for column in range(COLUMNS)
        if column >= PHOTO_TILES or row >= PHOTO_TILES
    ]
    for (column, row), image in zip(free, pictures, strict=True):
        picture.paste(tile(image, TILE_PX), (column * step, row * step))
    return picture


def strip(photo: Image.Image, pictures: list[Image.Image]) -> Image.Image:
    """The photo and, after a wider gap, portraits in a row."""
    step = WELCOME_PX + WELCOME_GAP_PX
    picture = Image.new("RGBA", (step * (1 + len(pictures)) + WELCOME_GAP_PX, WELCOME_PX))
    for column, image in enumerate([photo, *pictures]):
        left = column * step + (WELCOME_GAP_PX if column else 0)
        picture.paste(tile(image, WELCOME_PX), (left, 0))
    return picture


def previews(made: dict[str, Made], folder: Path) -> None:
    """A small picture of each look, as good as its few bytes allow."""
    folder.mkdir(exist_ok=True)
    for old in folder.glob("*.webp"):
        old.unlink()
    for look, images in made.items():
        file, small = folder / f"{look}.webp", tile(images.near, PREVIEW_PX)
        for quality in QUALITIES:
            small.save(file, quality=quality, method=6)
            if file.stat().st_size < PREVIEW_BYTES:
                break


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m dev.make_photo_pictures", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.parse_args()
    with Image.open(PHOTO) as opened:
        photo = opened.convert("RGB")
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder, "report.json")
        made = portraits(report)
        print(json.dumps(json.loads(report.read_text()), indent=2))
    sheet(photo, chosen(made, GRID)).save(ROOT / "docs" / "picture.jpg", quality=88)
    strip(photo, chosen(made, WELCOME)).save(
        ROOT / "web" / "static" / "before-after.webp", quality=82, method=6
    )
    previews(made, PREVIEWS)
    return 0


if __name__ == "__main__":
    sys.exit(main())
