"""Which wall does a portrait show?  A small classifier by colour, to judge obedience to words."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.compositing.backdrops import BACKDROPS, GRADES, LIGHTS, compose
from pipeline.imaging import TEMPLATE_SIZE
from pipeline.portraits.style import Style
from train_base.checkpoint import step_rng

Picture = NDArray[np.uint8]
GREY = ("black and white",)

MOSTLY_WALL = 40
"""Largest value of a matte that counts as wall."""


def wall_features(picture: Picture, matte: Picture | None = None) -> NDArray[np.float64]:
    """What can be seen of the wall: mean and spread of its upper and its lower part, [12].

    matte: uint8 [S, S], 255 = person, so that hair is not taken for wall; without one, two strips
    at the sides are looked at.
    """
    size = picture.shape[0]
    seen = np.zeros((size, size), bool)
    strip, rows = int(size * 0.16), int(size * 0.55)
    seen[:rows, :strip] = seen[:rows, -strip:] = True
    if matte is not None:
        away = cv2.dilate(matte, np.ones((size // 20, size // 20), np.uint8)) < MOSTLY_WALL
        away[rows:] = False
        if min(away[: rows // 2].sum(), away[rows // 2 :].sum()) > size:
            seen = away
    wall = picture / 255.0
    parts = [wall[: rows // 2][seen[: rows // 2]], wall[rows // 2 :][seen[rows // 2 :]]]
    return np.concatenate([f(p, axis=0) for p in parts for f in (np.mean, np.std)])


def is_grey(picture: Picture) -> bool:
    """Whether the middle, where the face is, has no colour.  Skin has at least 0.1."""
    size = picture.shape[0]
    face = picture[size // 4 : -size // 4, size // 3 : -size // 3] / 255.0
    return float(np.median(face.max(axis=2) - face.min(axis=2))) < 0.05


class WallClassifier:
    """Which backdrop and grade a picture shows: the likeliest Gaussian over `wall_features`.

    Fitted on painted walls, never on a model's pictures.  Looks that ask for the same backdrop
    and grade (light aside) share a class; pictures without colour are compared among themselves.
    """

    def __init__(self, styles: Sequence[Style], per_wall: int = 60) -> None:
        self._walls = sorted({_wall(style.prompt) for style in styles})
        groups = []
        for number, (backdrop, grade) in enumerate(self._walls):
            rng = step_rng(99, number)
            groups.append(
                np.stack([wall_features(_paint(rng, backdrop, grade)) for _ in range(per_wall)])
            )
        self._means = np.stack([group.mean(0) for group in groups])
        # A denoiser's wall varies in its own ways, not only in the painter's.
        self._spread = np.stack([group.std(0) for group in groups]) + 0.04
        self._grey = np.array([grade in GREY for _, grade in self._walls])

    def __call__(self, picture: Picture, matte: Picture | None = None) -> tuple[str, str]:
        """(backdrop, grade) whose painted walls are likeliest; `matte` as in `wall_features`."""
        away = (wall_features(picture, matte) - self._means) / self._spread
        cost = (away**2).sum(1) + 2 * np.log(self._spread).sum(1)
        cost[self._grey != is_grey(picture)] = np.inf
        return self._walls[int(cost.argmin())]

    def wall_of(self, style: Style) -> tuple[str, str]:
        """(backdrop, grade) that a style's words ask for."""
        return _wall(style.prompt)


def _wall(prompt: str) -> tuple[str, str]:
    """(backdrop, grade) named in a prompt.

    Raises:
        ValueError: the prompt names no backdrop.
    """
    parts = [part.strip() for part in prompt.split(",")]
    backdrops = [part for part in parts if part in BACKDROPS]
    if not backdrops:
        raise ValueError(f"no backdrop in {prompt!r}")
    return backdrops[0], next((part for part in parts if part and part in GRADES), "")


def _paint(rng: np.random.Generator, backdrop: str, grade: str) -> Picture:
    nobody = np.zeros((TEMPLATE_SIZE, TEMPLATE_SIZE, 3), np.uint8)
    light = str(rng.choice(LIGHTS[:3]))
    return compose(rng, nobody, nobody[..., 0], backdrop=backdrop, grade=grade, light=light)
