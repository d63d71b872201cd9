"""Measure portraits that move: `python -m dev.measure_motion OUT PHOTO...`.

Makes the loops of each photo in every preset and writes a sheet of twelve frames of each into OUT;
prints a Markdown table, whose last lines are the worst of each preset. What its columns mean, and
what was measured: docs/motion.md. Needs the face models.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

import settings as configuration
from pipeline.assembly import cutter
from pipeline.compositing.face_mesh import FaceMesh
from pipeline.compositing.segmenter import Segmenter
from pipeline.compositing.studio import Sitter, Sitting, Studio, neutralised, sit, wish_of
from pipeline.compositing.warp import FRAMES, PRESETS, Moving
from pipeline.compositing.warp.motion import pose
from pipeline.imaging import Face
from pipeline.photos.crop import kept_frame
from pipeline.photos.detection import Faces
from pipeline.portraits.style import load_styles

Picture = NDArray[np.uint8]

SIDE = 512
SHOWN = 12
"""Frames on a sheet."""

LOOKS = ("linkedin-classic", "old-money", "bright-office", "clean-white")
"""Of the photos in turn: plain and busy walls, dark and light."""


@dataclass(frozen=True)
class Row:
    """One loop, measured.

    likeness: least cosine of a frame's embedding to the photo's. faces: found, of those on the
    sheet. closing: mean difference of last and first frame, and the most of neighbours. jitter:
    second differences in pixels, of the movement itself (the most of any point), and of points
    found anew, of the frames and of a still picture that is shifted (root mean square). flicker:
    of a wall that stands still, grey levels. narrowest: see `Field.narrowest`.
    """

    name: str
    preset: str
    likeness: float
    faces: int
    closing: tuple[float, float]
    jitter: tuple[float, float, float]
    flicker: float | None
    narrowest: float

    @property
    def cells(self) -> str:
        """The row of the table without its name."""
        flicker = "moves" if self.flicker is None else f"{self.flicker:.2f}"
        return (
            f"{self.likeness:.3f} | {self.faces} of {SHOWN} | "
            f"{self.closing[0]:.2f} of {self.closing[1]:.2f} | "
            f"{self.jitter[0]:.3f}; {self.jitter[1]:.2f}, {self.jitter[2]:.2f} | {flicker} | "
            f"{self.narrowest:.2f} |"
        )


@dataclass(frozen=True)
class Models:
    """What finds and compares faces."""

    faces: Faces
    mesh: FaceMesh
    segmenter: Segmenter


def main() -> int:
    """Measure, print; 0, or 1 if a bar is missed."""
    words = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    words.add_argument("out", type=Path)
    words.add_argument("photos", type=Path, nargs="+")
    words.add_argument("--presets", nargs="+", choices=PRESETS, default=PRESETS)
    asked = words.parse_args()
    cv2.setNumThreads(1)
    asked.out.mkdir(parents=True, exist_ok=True)
    conf = configuration.load()
    folder = conf.models / "faces"
    models = Models(Faces(folder), FaceMesh(folder), Segmenter(folder))
    styles, studio = load_styles(conf.styles), Studio()
    print("| photo, preset | likeness | faces | closing | jitter | flicker | narrowest |")
    print("|---|---|---|---|---|---|---|")
    rows = []
    for number, file in enumerate(asked.photos):
        look = styles[LOOKS[number % len(LOOKS)]].photo
        assert look is not None
        sitter, embedding = _seated(file, models)
        sitting = Sitting(look, wish_of(look, "square", look.frame, SIDE), seed=number)
        moving = Moving(sitter, sitting, "square", SIDE, studio)
        for preset in asked.presets:
            frames = list(moving.frames(preset))
            sheet(frames).save(asked.out / f"{file.stem}-{preset}.jpg", quality=90)
            row = measured(file.stem, preset, (moving, sitter, frames), embedding, models)
            print(f"| {row.name}, {preset} | {row.cells}", flush=True)
            rows.append(row)
    for preset in asked.presets:
        worst = _worst([row for row in rows if row.preset == preset])
        print(f"| **worst, {preset}** | {worst.cells}")
    return 0 if all(_good(row) for row in rows) else 1


def _seated(file: Path, models: Models) -> tuple[Sitter, NDArray[np.float32]]:
    """The person of a photo, and the embedding of the photo's face."""
    image = np.asarray(Image.open(file).convert("RGB"))
    kept, face = kept_frame(image, models.faces.detect(image)[0], (), 2048)
    cut_out = cutter(models.segmenter)(kept, face)
    sitter = neutralised([sit(cut_out, face.landmarks, 0.2, models.mesh)])[0]
    return sitter, models.faces.embed(kept, face)


def measured(
    name: str,
    preset: str,
    loop: tuple[Moving, Sitter, Sequence[Picture]],
    embedding: NDArray[np.float32],
    models: Models,
) -> Row:
    """Measure one loop. embedding: of the photo's face."""
    moving, sitter, frames = loop
    field, poses = moving.field, [pose(preset, number) for number in range(FRAMES)]
    fives = [field.carried(sitter.landmarks, one) for one in poses]
    points = np.stack([field.carried(sitter.points[:, :2], one) for one in poses])
    likeness = [
        float(embedding @ models.faces.embed(frame, Face((0, 0, *frame.shape[1::-1]), five, 1.0)))
        for frame, five in zip(frames, fives, strict=True)
    ]
    apart = [_apart(frames[number], frames[number - 1]) for number in range(FRAMES)]
    still = _shifted(frames[0], fives)
    return Row(
        name,
        preset,
        min(likeness),
        sum(bool(models.faces.detect(frames[number])) for number in _sampled()),
        (apart[0], max(apart[1:])),
        (
            float(np.linalg.norm(bent(points), axis=-1).max()),
            _rough(frames, fives, models.mesh),
            _rough(still, fives, models.mesh),
        ),
        _flicker(moving, frames) if all(p.wall == p.wall_closer == 0 for p in poses) else None,
        min(float(field.narrowest(one)) for one in poses),
    )


def bent(path: NDArray[np.float32]) -> NDArray[np.float32]:
    """Second differences of a closed path [n, ...] in time."""
    return np.asarray(np.roll(path, 1, 0) + np.roll(path, -1, 0) - 2 * path, np.float32)


def _rough(
    frames: Sequence[Picture], fives: Sequence[NDArray[np.float32]], mesh: FaceMesh
) -> float:
    """Root mean square of the second differences of the points, found anew in each frame."""
    found = np.stack(
        [mesh.points(frame, five)[:, :2] for frame, five in zip(frames, fives, strict=True)]
    )
    return float(np.sqrt((bent(found) ** 2).sum(axis=-1).mean()))


def _shifted(still: Picture, fives: Sequence[NDArray[np.float32]]) -> list[Picture]:
    """A still picture moved as the middle of the face is, as smoothly and without any bending."""
    start = fives[0].mean(axis=0)
    shifts = [
        np.array([[1, 0, x], [0, 1, y]], np.float64)
        for x, y in (f.mean(axis=0) - start for f in fives)
    ]
    size = still.shape[1::-1]
    return [
        np.asarray(cv2.warpAffine(still, shift, size, flags=cv2.INTER_CUBIC), np.uint8)
        for shift in shifts
    ]


def _apart(one: Picture, other: Picture) -> float:
    return float(np.abs(one.astype(np.int16) - other).mean())


def _flicker(moving: Moving, frames: Sequence[Picture]) -> float:
    """The most that any frame's wall differs from the first one's, on average over the wall."""
    wall = moving.bare()
    first = frames[0][wall].astype(np.int16)
    return max(float(np.abs(frame[wall] - first).mean()) for frame in frames)


def _sampled() -> Iterator[int]:
    return (round(step * FRAMES / SHOWN) for step in range(SHOWN))


def sheet(frames: Sequence[Picture]) -> Image.Image:
    """Twelve frames of a loop in three rows, 1.2 megapixels."""
    height, width = frames[0].shape[:2]
    size = (316, round(316 * height / width))
    small = [cv2.resize(frames[at], size, interpolation=cv2.INTER_AREA) for at in _sampled()]
    return Image.fromarray(np.vstack([np.hstack(small[row : row + 4]) for row in (0, 4, 8)]))


def _worst(rows: Sequence[Row]) -> Row:
    """The worst of each number."""
    closing = max((row.closing for row in rows), key=lambda pair: pair[0] / pair[1])
    jitter = np.max([row.jitter for row in rows], axis=0)
    flicker = [row.flicker for row in rows if row.flicker is not None]
    return Row(
        "worst",
        rows[0].preset,
        min(row.likeness for row in rows),
        min(row.faces for row in rows),
        closing,
        (float(jitter[0]), float(jitter[1]), float(jitter[2])),
        max(flicker) if flicker else None,
        min(row.narrowest for row in rows),
    )


def _good(row: Row) -> bool:
    """Whether a loop keeps every bar."""
    return (
        row.likeness >= 0.7
        and row.closing[0] <= row.closing[1]
        and row.jitter[0] <= 0.3
        and (row.flicker is None or row.flicker <= 0.5)
        and row.narrowest > 0
    )


if __name__ == "__main__":
    sys.exit(main())
