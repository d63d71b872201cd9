"""Fetch the sample photo that the product's pictures are made of: `make setup-dev` runs this.

    python -m dev.fetch_astronaut

NASA's portrait of the astronaut Eileen Collins (public domain, 512 pixels), as the wheel of
scikit-image ships it. Only this file is taken out of the wheel, which is not installed. The photo
stays out of the repository; only pictures made with it are in there.
"""

from __future__ import annotations

import sys

from dev.fetch_dev import FOLDER
from pipeline.photos.detection import ModelFile
from tools.fetch_faces import FetchFailed, Wheel, fetch

ASTRONAUT = ModelFile(
    "astronaut.png", "88431cd9653ccd539741b555fb0a46b61558b301d4110412b5bc28b5e3ea6cb5"
)
PHOTO = FOLDER / ASTRONAUT.name

_WHEEL = Wheel("scikit-image==0.25.2", {ASTRONAUT: "skimage/data/astronaut.png"})


def main() -> int:
    try:
        fetch(FOLDER, (_WHEEL,))
    except FetchFailed as problem:
        print(problem, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
