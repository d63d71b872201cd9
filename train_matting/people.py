"""Who is trained on, and the walls behind them, as one file that a machine with a GPU can be given.

    python -m train_matting.people [--shared ../shared] --pack FILE

Nobody of `dev/matting_people.txt` is trained on, and no wall that the measurement takes.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from dev import plain_walls
from dev.joined import Bytes, join, split
from dev.measure_matting import PEOPLE, ROOT, read_picture
from pipeline.compositing.segmenter import Segmenter
from pipeline.photos.detection import Faces
from train_matting.scene import Person, Picture

LONG_HAIR_WEIGHT = 3.0
"""People with wide hair are rarer among the portraits, and harder."""

_WALL_SIDE = 400
_QUALITY = 95

Wall = tuple[Picture, Picture]


def main() -> int:
    """Write the file; 2 without ../shared."""
    words = argparse.ArgumentParser(
        prog="train_matting.people", description=__doc__.splitlines()[0]
    )
    words.add_argument("--shared", type=Path, default=ROOT / ".." / "shared")
    words.add_argument("--pack", type=Path, required=True)
    chosen = words.parse_args()
    if not (chosen.shared / "portraits").is_dir():
        print(f"{chosen.shared}/portraits is not here: nothing to train on.", file=sys.stderr)
        return 2
    cv2.setNumThreads(1)
    people, walls = gathered(chosen.shared)
    write(chosen.pack, people, walls)
    print(f"{len(people)} people, {len(walls)} walls, {chosen.pack.stat().st_size} bytes")
    return 0


def gathered(shared: Path) -> tuple[list[Person], list[Wall]]:
    """Everybody of ../shared/portraits whose wall is plain, and walls of other photos."""
    return _people(shared), _walls(shared)


def _people(shared: Path) -> list[Person]:
    faces, segment = Faces(ROOT / "models" / "faces"), Segmenter(ROOT / "models" / "faces").matte
    kept_back = set(PEOPLE.read_text().split())
    people = []
    for file in sorted((shared / "portraits").glob("*.jpg")):
        if f"portraits/{file.name}" in kept_back:
            continue
        image = read_picture(file)
        found = plain_walls.key(image, segment)
        face = next(iter(faces.detect(image)), None)
        if found is None or face is None or not found.fit:
            continue
        known = plain_walls.truth(image, found)
        wide = plain_walls.hair_width(known.alpha, face.box)
        colours = (np.clip(known.colours, 0, 1) * 255 + 0.5).astype(np.uint8)
        alpha = (known.alpha * 255 + 0.5).astype(np.uint8)
        weight = LONG_HAIR_WEIGHT if wide > 1.2 else 1.0
        people.append(Person(colours, alpha, face.box, weight))
    return people


def _walls(shared: Path) -> list[Wall]:
    """Photos with busy walls and their masks, at most 400 pixels."""
    segment = Segmenter(ROOT / "models" / "faces").matte
    files = sorted((shared / "people-cc0").glob("*.jpg"))[::2]
    files += sorted((shared / "portraits-bioguide").glob("*.jpg"))[1::12]
    walls = []
    for file in files:
        image = read_picture(file)
        if max(image.shape[:2]) > _WALL_SIDE:
            size = (_WALL_SIDE, _WALL_SIDE)
            image = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
        walls.append((image, segment(image)))
    return walls


def write(file: Path, people: list[Person], walls: list[Wall]) -> None:
    """Store all of it, pictures as WebP and mattes as PNG."""
    stored = {
        "colours": [_webp(person.colours) for person in people],
        "alpha": [_png(person.alpha) for person in people],
        "walls": [_webp(photo) for photo, _ in walls],
        "masks": [_png(mask) for _, mask in walls],
    }
    arrays: dict[str, Any] = {}
    for name, files in stored.items():
        arrays[name], arrays[f"{name}_bytes"] = join(files)
    arrays["box"] = np.array([person.box for person in people], np.float32)
    arrays["weight"] = np.array([person.weight for person in people], np.float32)
    np.savez(file, **arrays)


def read(file: Path) -> tuple[list[Person], list[Wall]]:
    """What `write` stored."""
    with np.load(file) as kept:
        colours, alpha, walls, masks = (
            split(kept[name], kept[f"{name}_bytes"])
            for name in ("colours", "alpha", "walls", "masks")
        )
        boxes = [(float(x), float(y), float(w), float(h)) for x, y, w, h in kept["box"]]
        weights = [float(weight) for weight in kept["weight"]]
    people = [
        Person(_colour(c), _grey(a), box, weight)
        for c, a, box, weight in zip(colours, alpha, boxes, weights, strict=True)
    ]
    return people, [(_colour(w), _grey(m)) for w, m in zip(walls, masks, strict=True)]


def _webp(picture: Picture) -> Bytes:
    quality = [cv2.IMWRITE_WEBP_QUALITY, _QUALITY]
    return np.asarray(cv2.imencode(".webp", picture[..., ::-1], quality)[1], np.uint8)


def _png(matte: Picture) -> Bytes:
    return np.asarray(cv2.imencode(".png", matte)[1], np.uint8)


def _colour(coded: Bytes) -> Picture:
    picture = np.asarray(cv2.imdecode(coded, cv2.IMREAD_COLOR), np.uint8)
    return np.ascontiguousarray(picture[..., ::-1])


def _grey(coded: Bytes) -> Picture:
    return np.asarray(cv2.imdecode(coded, cv2.IMREAD_GRAYSCALE), np.uint8)


if __name__ == "__main__":
    sys.exit(main())
