"""The portraits of stage 1 as one small file, for a machine with a GPU that has nothing else.

    python -m train_base.pack --work FOLDER --to FILE      # data/portraits.npz -> FILE
    python -m train_base.pack --work FOLDER --open FILE    # and back

Pictures are stored as WebP and mattes as PNG: a tenth of the bytes.
"""

from __future__ import annotations

import argparse
from dataclasses import fields
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from dev.joined import Bytes, join, split
from train_base.data import Portraits

_QUALITY = 92


def write(table: Portraits, file: Path) -> None:
    """Store all rows of a table."""
    webp = [cv2.IMWRITE_WEBP_QUALITY, _QUALITY]
    arrays = {f.name: getattr(table, f.name) for f in fields(table)}
    images = [cv2.imencode(".webp", image[..., ::-1], webp)[1] for image in arrays["image"]]
    mattes = [cv2.imencode(".png", matte)[1] for matte in arrays["matte"]]
    arrays["image"], arrays["image_bytes"] = join(images)
    arrays["matte"], arrays["matte_bytes"] = join(mattes)
    with file.open("wb") as out:  # a path would get another ending
        np.savez(out, **arrays)


def read(file: Path) -> Portraits:
    """The table that `write` stored."""
    with np.load(file) as kept:
        arrays = {name: kept[name] for name in kept.files}
    images = split(arrays["image"], arrays.pop("image_bytes"))
    mattes = split(arrays["matte"], arrays.pop("matte_bytes"))
    arrays["image"] = np.stack([_opened(i, cv2.IMREAD_COLOR)[..., ::-1] for i in images])
    arrays["matte"] = np.stack([_opened(m, cv2.IMREAD_GRAYSCALE) for m in mattes])
    return Portraits(**arrays)


def _opened(coded: Bytes, kind: int) -> NDArray[np.uint8]:
    return np.asarray(cv2.imdecode(coded, kind), np.uint8)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--to", type=Path)
    parser.add_argument("--open", type=Path)
    args = parser.parse_args()
    portraits = args.work / "data" / "portraits.npz"
    if args.open:
        portraits.parent.mkdir(parents=True, exist_ok=True)
        read(args.open).save(portraits)
    if args.to:
        write(Portraits.load(portraits), args.to)


if __name__ == "__main__":
    main()
