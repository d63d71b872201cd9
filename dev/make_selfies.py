"""Eight "selfies" out of one portrait: turned, cropped, relit, blurred, before other walls.

    python -m dev.make_selfies PORTRAIT.jpg OUT [--count 8] [--seed 7]

Real selfies of one person are nothing a project can ship. These are made for tests, measurements
and the README's picture, from a portrait whose use is free: one that the embedded base dreamt up,
or a public-domain one. They are easier than life: one expression, one pose, one day.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

import settings as configuration
from pipeline.compositing.backdrops import BACKDROPS
from pipeline.compositing.segmenter import Segment, Segmenter
from pipeline.photos.detection import Faces

Picture = NDArray[np.uint8]
SIDE_PX = 900
ROOMS = (
    "bright office background",
    "garden background",
    "wood library background",
    "brick loft background",
    "white studio backdrop",
    "beige studio backdrop",
    "teal studio backdrop",
    "grey studio backdrop",
)


def selfies(
    portrait: Picture, faces: Faces, segment: Segment, *, count: int = 8, seed: int = 7
) -> list[Picture]:
    """Varied pictures of the one person in a portrait.

    Args:
        portrait: uint8 [H, W, 3] RGB with one face.

    Returns:
        `count` pictures, uint8 [900, 900, 3].

    Raises:
        ValueError: no face was found.
    """
    found = faces.detect(portrait)
    if not found:
        raise ValueError("no face in this portrait")
    rng = np.random.default_rng(seed)
    matte = segment(portrait)
    return [
        _selfie(portrait, matte, found[0].box, rng, ROOMS[i % len(ROOMS)]) for i in range(count)
    ]


def _selfie(
    portrait: Picture,
    matte: Picture,
    box: tuple[float, float, float, float],
    rng: np.random.Generator,
    room: str,
) -> Picture:
    x, y, width, height = box
    turn = cv2.getRotationMatrix2D(
        (x + width / 2, y + height / 2),
        rng.uniform(-9, 9),
        SIDE_PX * rng.uniform(0.3, 0.44) / width,
    )
    turn[:, 2] += np.array([SIDE_PX / 2, SIDE_PX * 0.5]) - (x + width / 2, y + height / 2)
    turn[:, 2] += rng.uniform(-0.06, 0.06, 2) * SIDE_PX
    person = cv2.warpAffine(
        portrait, turn, (SIDE_PX, SIDE_PX), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
    ).astype(np.float32)
    # Replicated borders carry the shoulders on to the picture's edge; cut off, they would float.
    alpha = cv2.warpAffine(matte, turn, (SIDE_PX, SIDE_PX), borderMode=cv2.BORDER_REPLICATE)[
        ..., None
    ]
    alpha = alpha / 255.0
    wall = BACKDROPS[room](rng, SIDE_PX) * 255
    across = np.linspace(-1, 1, SIDE_PX)[None, :, None] * rng.uniform(-0.25, 0.25)
    picture = (person * alpha + wall * (1 - alpha)) * (1 + across) * rng.uniform(0.82, 1.12)
    picture = picture * (1 + rng.uniform(-0.06, 0.06, 3)) + rng.normal(0, 2.0, picture.shape)
    blur = rng.uniform(0, 1.2)
    if blur > 0.3:
        picture = cv2.GaussianBlur(picture, (0, 0), blur)
    return np.clip(picture, 0, 255).astype(np.uint8)


def write(portrait: Path, out: Path, *, count: int = 8, seed: int = 7) -> list[Path]:
    """Read a portrait, write its selfies as JPEG; returns the files."""
    models = configuration.load().models / "faces"
    faces, segment = Faces(models), Segmenter(models).matte
    with Image.open(portrait) as image:
        pictures = selfies(np.asarray(image.convert("RGB")), faces, segment, count=count, seed=seed)
    out.mkdir(parents=True, exist_ok=True)
    files = [out / f"selfie-{i:02d}.jpg" for i in range(1, count + 1)]
    for file, picture in zip(files, pictures, strict=True):
        Image.fromarray(picture).save(file, quality=92)
    return files


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("portrait", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--count", type=int, default=8)
    parser.add_argument("--seed", type=int, default=7)
    chosen = parser.parse_args()
    write(chosen.portrait, chosen.out, count=chosen.count, seed=chosen.seed)
    return 0


if __name__ == "__main__":
    sys.exit(main())
