"""Stage 1: two folders of portraits -> aligned crops, mattes and labels in one array file.

    python -m train_base.data --work /work/train-base \
        --portraits .../portraits --bioguide .../portraits-bioguide [--people people.csv]

Writes `<work>/data/portraits.npz` (see `Portraits`) and a summary.  Drops what is no photograph
of a usable face: early congresses (engravings and paintings), weak or tiny detections, and
lower-quality copies of a photo that stands in both folders.  Who is held out is decided in
`people.py`.
"""

from __future__ import annotations

import argparse
import csv
import json
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, fields
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.imaging import TEMPLATE_SIZE, align_transform
from train_base.faces import Faces

MARGIN = 16
"""Pixels kept around the 160 px crop, so that a jittered crop shows picture and not border."""

STORED = TEMPLATE_SIZE + 2 * MARGIN
FIRST_CONGRESS = 80
"""1947: from here on nearly all are clean studio photographs; earlier ones are engravings,
paintings, vignettes in ovals or much-handled prints, whose mattes come out ragged."""

MIN_SCORE = 0.75
MIN_EYES = 24.0
"""Pixels between the eyes in the source; the crop has 38, so this is a 1.6-fold enlargement."""

COLOUR_SPREAD = 5.5
"""`colour_spread` above which a picture counts as colour.  Toned prints (sepia, cyanotype) reach
3, true colour begins near 8; what counts as toned is stored as grey."""

FACE_IN_MATTE = 0.97
"""Share of the face's ellipse that the matte must cover; less means that the cut went wrong."""

CORNER_IN_MATTE = 0.35
"""Share of the two upper corners the matte may cover before the wall counts as not cut away."""


@dataclass
class Portraits:
    """Everything the later stages know about the photographs; one row per kept picture."""

    image: NDArray[np.uint8]  # [n, 192, 192, 3] RGB
    matte: NDArray[np.uint8]  # [n, 192, 192] the segmenter's, 255 = person
    embedding: NDArray[np.float32]  # [n, 128] unit SFace vectors
    name: NDArray[np.str_]  # [n] "portraits/A000014" or "bioguide/029701"
    congress: NDArray[np.int32]  # [n] last one served, 0 unknown
    born: NDArray[np.int32]  # [n] year, 0 unknown
    gender: NDArray[np.str_]  # [n] "F", "M" or "" (public record; "" = not recorded)
    eyes: NDArray[np.float32]  # [n] pixels between the eyes in the source
    score: NDArray[np.float32]  # [n] the detector's
    spread: NDArray[np.float32]  # [n] see `colour_spread`
    ita: NDArray[np.float32]  # [n] individual typology angle of the cheeks, degrees

    def save(self, path: Path) -> None:
        """Write atomically: a killed run leaves the old file or the new one."""
        part = path.with_suffix(".part.npz")
        np.savez(part, **{f.name: getattr(self, f.name) for f in fields(self)})
        part.replace(path)

    @classmethod
    def load(cls, path: Path) -> Portraits:
        with np.load(path) as arrays:
            return cls(**{f.name: arrays[f.name] for f in fields(cls)})

    def take(self, rows: NDArray[np.integer] | NDArray[np.bool_]) -> Portraits:
        """The same table with some rows only."""
        return Portraits(**{f.name: getattr(self, f.name)[rows] for f in fields(self)})

    @property
    def in_colour(self) -> NDArray[np.bool_]:
        return self.spread > COLOUR_SPREAD


def stored_transform(landmarks: NDArray[np.float32]) -> NDArray[np.float64]:
    """Picture pixels -> pixels of the stored 192 px crop (the template plus a margin)."""
    transform = align_transform(landmarks)
    transform[:, 2] += MARGIN
    return transform


def colour_spread(crop: NDArray[np.uint8]) -> float:
    """How far the colours of a crop [S, S, 3] are from being a function of lightness alone.

    A toned print maps every grey to one tint; a cubic in L* then explains a* and b*.  Returns
    the root mean square of what it leaves over (CIELAB units).
    """
    lab = cv2.cvtColor(crop[::2, ::2].astype(np.float32) / 255, cv2.COLOR_RGB2LAB).reshape(-1, 3)
    lightness = lab[:, 0].astype(np.float64) / 100
    powers = np.stack([lightness**k for k in range(4)], axis=1)
    fit, *_ = np.linalg.lstsq(powers, lab[:, 1:], rcond=None)
    left_over = lab[:, 1:] - powers @ fit
    return float(np.sqrt((left_over**2).sum(axis=1).mean()))


def skin_angle(crop: NDArray[np.uint8]) -> float:
    """Individual typology angle of the cheeks of a stored crop, in degrees; higher is lighter.

    ITA = atan((L* - 50) / b*) (Chardon 1991).  The cheeks lie beside the nose at fixed points,
    because the crop is aligned; medians leave out glints and stubble.
    """
    lab = cv2.cvtColor(crop.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
    rows = slice(MARGIN + 82, MARGIN + 96)
    patches = [lab[rows, MARGIN + x : MARGIN + x + 12] for x in (53, 95)]
    lightness = float(np.median([p[..., 0] for p in patches]))
    yellow = float(np.median([p[..., 2] for p in patches]))
    return float(np.degrees(np.arctan2(lightness - 50, max(yellow, 1e-3))))


def well_cut(matte: NDArray[np.uint8]) -> bool:
    """Whether a stored matte holds the whole face and leaves the wall out."""
    face = np.zeros_like(matte)
    cv2.ellipse(face, (MARGIN + 80, MARGIN + 84), (32, 44), 0, 0, 360, 255, -1)
    covered = (matte[face > 0] > 127).mean()
    corners = np.concatenate([matte[:40, :40].ravel(), matte[:40, -40:].ravel()])
    return bool(covered > FACE_IN_MATTE and (corners > 127).mean() < CORNER_IN_MATTE)


worker_faces: Faces | None = None


def _start_worker(weights: str) -> None:
    global worker_faces
    cv2.setNumThreads(1)
    worker_faces = Faces(Path(weights))


def prepare(path: Path) -> dict[str, object] | None:
    """One file -> its row, or None where it holds no usable face.  Runs in a worker."""
    assert worker_faces is not None
    bgr = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if bgr is None:
        return None
    image = np.ascontiguousarray(bgr[:, :, ::-1])
    face = worker_faces.largest(image)
    if face is None or face.score < MIN_SCORE:
        return None
    eyes = float(np.linalg.norm(face.landmarks[0] - face.landmarks[1]))
    if eyes < MIN_EYES:
        return None
    transform = stored_transform(face.landmarks)
    size = (STORED, STORED)
    flags = cv2.INTER_AREA if eyes > 60 else cv2.INTER_CUBIC
    crop = cv2.warpAffine(image, transform, size, flags=flags, borderMode=cv2.BORDER_REPLICATE)
    matte = worker_faces.matte(crop)
    embedding = worker_faces.embedding(image)
    if embedding is None or not well_cut(matte):
        return None
    spread, ita = colour_spread(crop), skin_angle(crop)
    if spread <= COLOUR_SPREAD:
        crop = np.repeat(cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY)[..., None], 3, axis=2)
    return {
        "image": crop,
        "matte": matte,
        "embedding": embedding,
        "eyes": eyes,
        "score": face.score,
        "spread": spread,
        "ita": ita,
    }


def list_files(
    portraits: Path, bioguide: Path, people: Path | None
) -> list[tuple[Path, str, int, int, str]]:
    """(file, name, congress, born, gender) of every picture worth opening."""
    by_bioguide: dict[str, dict[str, str]] = {}
    by_icpsr: dict[int, dict[str, str]] = {}
    if people is not None:
        with people.open(newline="") as lines:
            for row in csv.DictReader(lines):
                by_bioguide[row["bioguide"]] = row
                if row["icpsr"]:
                    by_icpsr[int(row["icpsr"])] = row
    found = []
    for path in sorted(portraits.glob("*.jpg")):
        row = by_bioguide.get(path.stem, {})
        found.append(
            (path, f"portraits/{path.stem}", 113, int(row.get("born") or 0), row.get("gender", ""))
        )
    with (bioguide / "members.csv").open(newline="") as lines:
        for member in sorted(csv.DictReader(lines), key=lambda m: m["file"]):
            congress = int(member["congress"] or 0)
            path = bioguide / member["file"]
            if congress < FIRST_CONGRESS or not path.exists():
                continue
            row = by_icpsr.get(int(path.stem), {})
            born = int(float(member["born"] or 0))
            found.append((path, f"bioguide/{path.stem}", congress, born, row.get("gender", "")))
    return found


def drop_copies(table: Portraits, above: float = 0.85) -> Portraits:
    """Without bioguide pictures that show the very photo of the better folder (cosine above)."""
    good = np.char.startswith(table.name, "portraits/")
    likeness = table.embedding @ table.embedding[good].T
    return table.take(good | (likeness.max(axis=1) < above))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--weights", type=Path, help="face models; default <work>/weights")
    parser.add_argument("--portraits", type=Path, default=Path("/work/shared/portraits"))
    parser.add_argument("--bioguide", type=Path, default=Path("/work/shared/portraits-bioguide"))
    parser.add_argument("--people", type=Path, help="csv: bioguide,icpsr,gender,born")
    parser.add_argument("--limit", type=int, help="take every n-th file only, for a trial")
    args = parser.parse_args()
    files = list_files(args.portraits, args.bioguide, args.people)[:: args.limit or 1]
    weights = str(args.weights or args.work / "weights")
    with ProcessPoolExecutor(2, initializer=_start_worker, initargs=(weights,)) as pool:
        rows = list(pool.map(prepare, [f[0] for f in files], chunksize=16))
    kept = [(f, r) for f, r in zip(files, rows, strict=True) if r is not None]
    columns = {
        key: np.stack([np.asarray(r[key]) for _, r in kept])
        for key in ("image", "matte", "embedding")
    }
    for key in ("eyes", "score", "spread", "ita"):
        columns[key] = np.array([r[key] for _, r in kept], np.float32)
    table = Portraits(
        **columns,
        name=np.array([f[1] for f, _ in kept]),
        congress=np.array([f[2] for f, _ in kept], np.int32),
        born=np.array([f[3] for f, _ in kept], np.int32),
        gender=np.array([f[4] for f, _ in kept]),
    )
    before = len(table.name)
    table = drop_copies(table)
    folder = args.work / "data"
    folder.mkdir(parents=True, exist_ok=True)
    table.save(folder / "portraits.npz")
    summary = {
        "opened": len(files),
        "usable": before,
        "kept": len(table.name),
        "colour": int(table.in_colour.sum()),
        "labelled_women": int((table.gender == "F").sum()),
        "labelled_men": int((table.gender == "M").sum()),
    }
    (folder / "summary.json").write_text(json.dumps(summary, indent=1))
    print(json.dumps(summary))


if __name__ == "__main__":
    main()
