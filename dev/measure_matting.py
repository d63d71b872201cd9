"""Measure the matte against known ones: 60 people of plain walls, each before 10 busy rooms.

    python -m dev.measure_matting [--shared ../shared] [--people 60] [--rooms 10] [--write FILE]

Compares `pipeline.compositing.matting` with the segmenter alone by the measures of C. Rhemann et
al., "A Perceptually Motivated Online Benchmark for Image Matting", 2009: SAD and gradient error in
thousands, MSE in thousandths. Ground truth is made as `dev.plain_walls` says. The portraits are
225 x 275 pixels; they are enlarged three times (people-cc0 is not), so that the segmenter's 256
pixels are as coarse beside them as beside a photo of a telephone.
"""

from __future__ import annotations

import argparse
import platform
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from dev import plain_walls, rooms
from pipeline.compositing.matting import cut_out
from pipeline.compositing.segmenter import Segment, Segmenter
from pipeline.photos.detection import Face, Faces

ROOT = Path(__file__).resolve().parents[1]
Picture = NDArray[np.uint8]
Floats = NDArray[np.float32]

PEOPLE = Path(__file__).with_name("matting_people.txt")
"""Files below ../shared: the plainest walls of nine classes (three of hair, three of skin)."""

ENLARGED = 3
GREEN = (20, 200, 40)
BAND = 12
"""Pixels about the edge in which the green wall's colour is searched."""

HAIR = ("short", "middle", "long")
SKIN = ("dark", "medium", "light")


@dataclass(frozen=True)
class Sitter:
    """A person whose matte is known: uint8 colours and alpha; face; classes of hair and skin."""

    name: str
    colours: Picture
    alpha: Picture
    face: Face | None
    hair: str
    skin: str


@dataclass(frozen=True)
class Row:
    """One picture measured. alone, ours: SAD, MSE, gradient error of segmenter and matte."""

    sitter: Sitter
    alone: tuple[float, float, float]
    ours: tuple[float, float, float]
    seconds: float


def main() -> int:
    """Measure and print; 0 if the bars are met, 1 if not, 2 without ../shared."""
    words = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    words.add_argument("--shared", type=Path, default=ROOT / ".." / "shared")
    words.add_argument("--people", type=int, default=60)
    words.add_argument("--rooms", type=int, default=10)
    words.add_argument("--enlarged", type=int, default=ENLARGED)
    words.add_argument("--write", type=Path)
    chosen = words.parse_args()
    if not (chosen.shared / "portraits").is_dir():
        print(f"{chosen.shared}/portraits is not here: nothing to measure with.", file=sys.stderr)
        return 2
    cv2.setNumThreads(1)
    models = ROOT / "models" / "faces"
    faces, segment = Faces(models), Segmenter(models).matte
    sitters = list(_sitters(chosen.shared, chosen.people, chosen.enlarged, faces, segment))
    walls = _walls(chosen.shared, segment)
    rows = []
    left_over = []
    for number, sitter in enumerate(sitters):
        for room in range(chosen.rooms):
            rows.append(_measured(sitter, _room(number, room, sitter, walls), faces, segment))
        left_over.append(_green_left(sitter, faces, segment))
        print(f"{number + 1} of {len(sitters)}", end="\r", file=sys.stderr, flush=True)
    text, met = _report(rows, left_over)
    print(text)
    if chosen.write:
        chosen.write.write_text(text + "\n")
    return 0 if met else 1


def _sitters(
    shared: Path, count: int, enlarged: int, faces: Faces, segment: Segment
) -> Iterator[Sitter]:
    """The people, spread evenly over the classes when fewer than all are asked for."""
    files = [shared / name for name in PEOPLE.read_text().split()]
    for place in np.linspace(0, len(files) - 1, min(count, len(files))).round().astype(int):
        image = read_picture(files[place])
        found = plain_walls.key(image, segment)
        face = next(iter(faces.detect(image)), None)
        if found is None or face is None:
            continue
        known = plain_walls.truth(image, found)
        colours = (np.clip(known.colours, 0, 1) * 255 + 0.5).astype(np.uint8)
        alpha = (known.alpha * 255 + 0.5).astype(np.uint8)
        hair, skin = _hair(known.alpha, face), _skin(image, face)
        if enlarged > 1 and max(alpha.shape) < 500:
            size = (alpha.shape[1] * enlarged, alpha.shape[0] * enlarged)
            colours = cv2.resize(colours, size, interpolation=cv2.INTER_CUBIC)
            alpha = cv2.resize(alpha, size, interpolation=cv2.INTER_CUBIC)
        yield Sitter(files[place].stem, colours, alpha, face, hair, skin)


def _hair(alpha: Floats, face: Face) -> str:
    wide = plain_walls.hair_width(alpha, face.box)
    return HAIR[int(wide >= 1.05) + int(wide >= 1.2)]


def _skin(image: Picture, face: Face) -> str:
    """Third of skin tone by the median CIELAB lightness of both cheeks."""
    light = cv2.cvtColor(image, cv2.COLOR_RGB2LAB)[..., 0]
    reach = max(2, int(0.06 * face.box[2]))
    cheeks = []
    for eye, mouth in ((0, 3), (1, 4)):
        x, y = (0.4 * face.landmarks[eye] + 0.6 * face.landmarks[mouth]).astype(int)
        cheeks.append(light[max(0, y - reach) : y + reach, max(0, x - reach) : x + reach].ravel())
    lightness = float(np.median(np.concatenate(cheeks))) / 2.55
    return SKIN[int(lightness >= 52) + int(lightness >= 63)]


def _walls(shared: Path, segment: Segment) -> list[tuple[Picture, Picture]]:
    """Photos with busy walls that no training has seen, and their masks, at 400 pixels."""
    found = []
    for file in sorted((shared / "people-cc0").glob("*.jpg"))[1::2]:
        image = cv2.resize(read_picture(file), (400, 400), interpolation=cv2.INTER_AREA)
        found.append((image, segment(image)))
    return found


def _room(number: int, room: int, sitter: Sitter, walls: list[tuple[Picture, Picture]]) -> Picture:
    """The room before which a person is set: even numbers are painted, odd ones out of photos."""
    rng = np.random.default_rng(1000 * number + room)
    height, width = sitter.alpha.shape
    for _ in range(50 * (room % 2)):
        photo, mask = walls[int(rng.integers(len(walls)))]
        wall = rooms.taken(rng, photo, mask, height, width)
        if wall is not None:
            return wall
    return rooms.painted(rng, height, width)


def _measured(sitter: Sitter, room: Picture, faces: Faces, segment: Segment) -> Row:
    picture = _set_before(sitter, room)
    face = next(iter(faces.detect(picture)), None)
    known = sitter.alpha / 255.0
    alone = errors(segment(picture) / 255.0, known)
    start = time.process_time()
    cut = cut_out(picture, face, segment)
    seconds = time.process_time() - start
    return Row(sitter, alone, errors(cut.alpha / 255.0, known), seconds)


def _set_before(sitter: Sitter, room: Picture) -> Picture:
    part = sitter.alpha[..., None] / 255.0
    mixed = sitter.colours * part + room * (1 - part)
    return np.asarray(np.clip(mixed + 0.5, 0, 255), np.uint8)


def errors(ours: NDArray[np.float64], known: NDArray[np.float64]) -> tuple[float, float, float]:
    """SAD in thousands, MSE in thousandths, gradient error in thousands (sigma 1.4)."""
    away = ours - known
    slope = _slope(ours) - _slope(known)
    sad, mse = float(np.abs(away).sum()), float((away * away).mean())
    return sad / 1000, mse * 1000, float((slope * slope).sum()) / 1000


def _slope(alpha: NDArray[np.float64]) -> NDArray[np.float64]:
    """Length of the gradient by derivatives of a Gaussian of unit energy."""
    sigma, reach = 1.4, 5
    at = np.arange(-reach, reach + 1)
    bell = np.exp(-at * at / (2 * sigma * sigma))
    kernel = np.outer(bell, -at * bell)
    kernel /= np.sqrt((kernel * kernel).sum())
    edge = cv2.BORDER_REPLICATE
    across = cv2.filter2D(alpha, -1, kernel, borderType=edge)
    down = cv2.filter2D(alpha, -1, kernel.T, borderType=edge)
    return np.asarray(np.hypot(across, down), np.float64)


def _green_left(sitter: Sitter, faces: Faces, segment: Segment) -> float:
    """Share of a saturated green wall's colour that is left in the band about the edge.

    Excess green (green above the larger of red and blue) of the cut-out beyond the person's own,
    both premultiplied by their alphas, in units of the wall's; mean over the band.
    """
    wall = np.full_like(sitter.colours, GREEN)
    picture = _set_before(sitter, wall)
    cut = cut_out(picture, next(iter(faces.detect(picture)), None), segment)
    edge = cv2.morphologyEx(
        (sitter.alpha > 127).astype(np.uint8), cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8)
    )
    band = cv2.distanceTransform((edge == 0).astype(np.uint8), cv2.DIST_L2, 5) <= BAND / 2
    more = _green(cut.colours, cut.alpha) - _green(sitter.colours, sitter.alpha)
    return float(np.clip(more[band], 0, None).mean() / (GREEN[1] - max(GREEN[0], GREEN[2])))


def _green(colours: Picture, alpha: Picture) -> NDArray[np.float64]:
    ink = colours.astype(np.float64)
    excess = np.clip(ink[..., 1] - np.maximum(ink[..., 0], ink[..., 2]), 0, None)
    return np.asarray(excess * (alpha / 255.0))


def _report(rows: list[Row], left_over: list[float]) -> tuple[str, bool]:
    """The table in Markdown, and whether the bars are met."""
    seconds = np.array([row.seconds for row in rows])
    lines = [
        f"Measured on {date.today()}, {len(rows)} pictures of {len(left_over)} people, "
        f"{platform.machine()}, one core: median {np.median(seconds):.2f} s a picture "
        f"(95 of 100 within {np.percentile(seconds, 95):.2f} s).",
        "",
        "| pictures | n | SAD alone | SAD | times | MSE alone | MSE | gradient alone | gradient |"
        " times |",
        "|---|---|---|---|---|---|---|---|---|---|",
        _line("all, medians", rows, np.median),
        _line("all, means", rows, np.mean),
    ]
    for kind, names in (("hair", HAIR), ("skin", SKIN)):
        for name in names:
            some = [row for row in rows if getattr(row.sitter, kind) == name]
            if some:
                lines.append(_line(f"{kind}: {name}", some, np.median))
    green = np.array(left_over)
    lines += [
        "",
        f"Green left over in a {BAND}-pixel band: median {np.median(green):.1%}, "
        f"mean {green.mean():.1%}, most {green.max():.1%}.",
    ]
    alone, ours = (np.median([getattr(r, k) for r in rows], axis=0) for k in ("alone", "ours"))
    ratio = alone / np.maximum(ours, 1e-9)
    met = bool(ratio[0] >= 2.5 and ratio[2] >= 5 and np.median(green) <= 0.03)
    return "\n".join(lines), met


def _line(name: str, rows: list[Row], middle: object) -> str:
    assert callable(middle)
    a, b = (middle([getattr(row, k) for row in rows], axis=0) for k in ("alone", "ours"))
    return (
        f"| {name} | {len(rows)} | {a[0]:.2f} | {b[0]:.2f} | {a[0] / b[0]:.1f} | {a[1]:.2f} | "
        f"{b[1]:.2f} | {a[2]:.2f} | {b[2]:.2f} | {a[2] / b[2]:.1f} |"
    )


def read_picture(file: Path) -> Picture:
    """uint8 RGB [H, W, 3]; raises FileNotFoundError if it is none."""
    data = cv2.imread(str(file))
    if data is None:
        raise FileNotFoundError(file)
    return np.ascontiguousarray(data[..., ::-1])


if __name__ == "__main__":
    sys.exit(main())
