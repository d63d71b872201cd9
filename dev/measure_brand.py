"""Measure whether many people's portraits look like one shooting, as a brand kit promises.

    python -m dev.measure_brand KIT OUT PHOTO...

One photo of each person; compared are those that have room for the kit's frame and look towards the
camera. Each look of the kit that has a wall is composed as an order composes it.
What is measured, is measured in the finished pictures: the face is found in them anew.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from errors import BadOrder, BadPhoto
from pipeline.compositing.colour import delta_e, lab, linear, luminance
from pipeline.compositing.composite import GRADES
from pipeline.compositing.face_mesh import FaceMesh, five
from pipeline.compositing.framing import Frame, head_share
from pipeline.compositing.look import PhotoLook
from pipeline.compositing.matting import cut_out
from pipeline.compositing.render import Lighting, alpha_in, render
from pipeline.compositing.segmenter import Segmenter
from pipeline.compositing.skin import LEFT_EYE, RIGHT_EYE
from pipeline.compositing.studio import Sitter, neutralised, sit
from pipeline.photos.detection import Faces
from pipeline.photos.quality import check_photo
from pipeline.photos.record import CutOutPhoto
from pipeline.portraits.photo_way import PhotoWay
from pipeline.portraits.shots import plan_photo_shots
from settings import ROOT
from web.brand.kit import load

_CELLS = 16
"""The wall is compared in this many columns and rows."""
_AWAY = 0.08
"""Share of the height that a place of the wall keeps from a person and what they shade."""
_TILE = 240


@dataclass(frozen=True)
class Seen:
    """What was measured of one portrait.

    eyes, head: shares of the height. stops: how much brighter the face is than the same frame in
    neutral light, EV. exact: the photo had room. facing: neither turned far to a side nor bent
    down. wall: CIELAB [16, 16, 3], NaN where no wall.
    """

    eyes: float
    head: float
    stops: float
    exact: bool
    facing: bool
    wall: NDArray[np.float32]


def measured(
    image: NDArray[np.uint8], frame: Frame, sitter: Sitter, look: PhotoLook, tools: Tools
) -> Seen:
    """Measure a finished portrait, uint8 RGB [H, W, 3]."""
    height = image.shape[0]
    alpha = (alpha_in(sitter.cut_out.alpha, frame) * 255).astype(np.uint8)
    face = max(tools.faces.detect(image), key=lambda found: found.box[2])
    upright = Frame(((1, 0, 0), (0, 1, 0)), image.shape[:2], 1.0, fade=False, exact=True)
    points = tools.mesh.find(image, face.landmarks).points
    neutral = render(
        sitter.cut_out,
        frame,
        Lighting(balance=sitter.balance),
        np.ones((*image.shape[:2], 3), np.float32),
        GRADES[look.grade],
        np.random.default_rng(0),
    )
    return Seen(
        eyes=float(five(points)[:2, 1].mean() + 0.5) / height,
        head=head_share(alpha, five(points), upright),
        stops=float(np.log2(_brightness(image, points) / _brightness(neutral, points))),
        exact=frame.exact,
        facing=_facing(points),
        wall=_wall(image, alpha),
    )


def summary(seen: list[Seen]) -> dict[str, float]:
    """How far portraits of one look are apart: two walls, or a person and the median of all."""
    walls = np.stack([portrait.wall for portrait in seen])
    apart = [
        float(delta_e(a[both], b[both]).max())
        for i, a in enumerate(walls)
        for b in walls[:i]
        if (both := np.isfinite(a[..., 0]) & np.isfinite(b[..., 0])).any()
    ]
    eyes, head, stops = (
        np.array([getattr(portrait, name) for portrait in seen])
        for name in ("eyes", "head", "stops")
    )
    return {
        "compared": len(seen),
        "wall_delta_e": round(max(apart), 2),
        "eyes_percent_of_height": round(100 * float(np.abs(eyes - np.median(eyes)).max()), 2),
        "head_percent": round(100 * float(np.abs(head / np.median(head) - 1).max()), 2),
        "skin_ev": round(float(np.abs(stops - np.median(stops)).max()), 3),
        "eyes_median": round(float(np.median(eyes)), 4),
        "head_median": round(float(np.median(head)), 4),
    }


@dataclass(frozen=True)
class Tools:
    """The models that find faces, people and points of faces."""

    faces: Faces
    segmenter: Segmenter
    mesh: FaceMesh


def _wall(image: NDArray[np.uint8], alpha: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Mean colour of each cell, CIELAB; NaN where a person is near."""
    reach = 2 * round(_AWAY * image.shape[0]) + 1
    near = cv2.dilate(alpha, np.ones((reach, reach), np.uint8))
    size = (_CELLS, _CELLS)
    colours = lab(cv2.resize(linear(image), size, interpolation=cv2.INTER_AREA))
    person = cv2.resize((near > 0).astype(np.float32), size, interpolation=cv2.INTER_AREA)
    colours[person > 0] = np.nan
    return colours


def _brightness(image: NDArray[np.uint8], points: NDArray[np.float32]) -> float:
    """Median luminance of a face without its eyes; portraits are evened by the mean with them."""
    face = np.zeros(image.shape[:2], np.uint8)
    for part, value in ((slice(None), 1), (LEFT_EYE, 0), (RIGHT_EYE, 0)):
        ring = np.round(points[part, :2]).astype(np.int32)
        cv2.fillConvexPoly(face, cv2.convexHull(ring), value)
    return float(np.median(luminance(linear(image)[face == 1])))


def _facing(points: NDArray[np.float32]) -> bool:
    """Whether the tip of the nose stands near the middle of the cheeks, and of eyes and chin."""
    x, y = points[:, 0], points[:, 1]
    across = (x[1] - x[234]) / (x[454] - x[234])
    down = (y[1] - y[6]) / (y[152] - y[6])
    return bool(abs(across - 0.5) < 0.2 and 0.2 < down < 0.5)


def _photo(file: Path, tools: Tools) -> CutOutPhoto:
    checked = check_photo(np.asarray(Image.open(file).convert("RGB")), tools.faces, 2048)
    cut = cut_out(checked.image, checked.face, tools.segmenter.matte, tools.mesh)
    sharp = checked.numbers.sharpness
    return CutOutPhoto(file.stem, cut, checked.face.landmarks, None, sharp)


def main(kit: str, out: str, *files: str) -> None:
    """Measure, and leave a contact sheet of each look in `out`."""
    folder, models = Path(out), ROOT / "models" / "faces"
    folder.mkdir(parents=True, exist_ok=True)
    tools = Tools(Faces(models), Segmenter(models), FaceMesh(models))
    looks = [look for look in load(kit, ROOT / "styles").styles.values() if look.photo]
    found: dict[str, list[Seen]] = {look.key: [] for look in looks}
    tiles: dict[str, list[Image.Image]] = {look.key: [] for look in looks}
    for file in map(Path, files):
        try:
            photo = _photo(file, tools)
        except BadPhoto as why:
            print(f"{file.name}: {why}")
            continue
        (sitter,) = neutralised([sit(photo.cut_out, photo.landmarks, photo.sharpness, tools.mesh)])
        way = PhotoWay([photo], tools.faces, tools.mesh)
        shots = plan_photo_shots(looks, way.merits, len(looks), seed=sum(map(ord, file.stem)))
        try:
            portraits = list(way.portraits(shots, "look", 0.0, lambda: False))
        except BadOrder as why:
            print(f"{file.name}: {why}")
            continue
        for made in portraits:
            look, photo_look = made.shot.style, made.shot.style.photo
            assert photo_look is not None
            seen = measured(made.image, made.frame, sitter, photo_look, tools)
            found[look.key].append(seen)
            if seen.exact and seen.facing:
                tile = Image.fromarray(made.image)
                tile.thumbnail((_TILE, _TILE))
                tiles[look.key].append(tile)
            print(
                f"{file.stem} {look.key}: eyes {seen.eyes:.4f}, head {seen.head:.4f}, skin "
                f"{seen.stops:+.2f} EV, {made.image.shape[0]} px"
                + ("" if seen.exact else ", no room")
                + ("" if seen.facing else ", turned away")
            )
    for key, pictures in tiles.items():
        rows = -(-len(pictures) // 5)
        sheet = Image.new("RGB", (5 * _TILE, rows * _TILE), "white")
        for place, tile in enumerate(pictures):
            sheet.paste(tile, (place % 5 * _TILE, place // 5 * _TILE))
        sheet.save(folder / f"{key}.png")
    told = {
        key: {"people": len(seen), "with_room": sum(portrait.exact for portrait in seen)}
        | summary([portrait for portrait in seen if portrait.exact and portrait.facing])
        for key, seen in found.items()
    }
    (folder / "report.json").write_text(json.dumps(told, indent=1))
    print(json.dumps(told, indent=1))


if __name__ == "__main__":
    main(*sys.argv[1:])
