"""The photo way: 100 portraits of eight photos, and cut-outs, beside the same libraries alone."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

import settings as configuration
from benchmarks.measure import Measurement
from dev import make_selfies
from pipeline.assembly import cutter
from pipeline.compositing.face_mesh import FaceMesh
from pipeline.compositing.framing import Refusal
from pipeline.compositing.segmenter import Segmenter
from pipeline.compositing.studio import Sitting, Studio, neutralised, sit, wish_of
from pipeline.compositing.texture import texture_ratio
from pipeline.imaging import CutOut, png_of
from pipeline.photos.crop import kept_frame
from pipeline.photos.detection import Faces
from pipeline.portraits.style import load_styles

COUNT = 100
PORTRAIT = configuration.ROOT / "tests" / "samples"
PORTRAIT_PX = 1024
TRIED = 6
"""Portraits that the reference makes: each costs it the same, since it keeps nothing."""


def run() -> dict[str, Measurement]:
    """The command line as a process of its own; the reference in this one, on as many cores."""
    with tempfile.TemporaryDirectory() as folder:
        photos, report = Path(folder, "photos"), Path(folder, "report.json")
        make_selfies.write(sorted(PORTRAIT.glob("*.jpg"))[0], photos, count=8)
        command = [sys.executable, "-m", "pipeline", str(photos), "--out", str(Path(folder, "out"))]
        asked = ["--way", "photo", "--count", str(COUNT), "--json", str(report)]
        subprocess.run(
            [*command, *asked], check=True, cwd=configuration.ROOT, stdout=subprocess.DEVNULL
        )
        result = json.loads(report.read_text())
        peak_kb = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
        files = sorted(photos.iterdir())
        each = _portrait_by_portrait(files[:TRIED])
        cut_out, bare = _cut_outs(files[0])
    ours, photo = result["seconds"]["total"], result["photo"]
    return {
        "photo_way": Measurement(ours, "s for 100", "ratio <= 0.25", each * COUNT),
        "photo_way_total": Measurement(ours, "s", "<= 75"),
        "photo_way_memory": Measurement(peak_kb / 1e6, "GB peak", "<= 1.2"),
        "photo_way_likeness": Measurement(photo["likeness"]["median"], "cosine", ">= 0.9"),
        "photo_way_least_likeness": Measurement(photo["likeness"]["min"], "cosine", ">= 0.75"),
        "photo_way_texture": Measurement(photo["texture"]["median"], "ratio", "0.95 to 1.05"),
        "photo_way_cut_outs": Measurement(1 / cut_out, "per s", "ratio >= 0.8", 1 / bare),
    }


def _portrait_by_portrait(files: list[Path]) -> float:
    """Seconds for one portrait, measured and written like ours, when nothing is kept."""
    models = configuration.load().models / "faces"
    faces, mesh = Faces(models), FaceMesh(models)
    looks = [s for s in load_styles(configuration.load().styles).values() if s.photo is not None]
    cut = cutter(Segmenter(models))
    started = time.monotonic()
    for number, file in enumerate(files):
        look = looks[number].photo
        assert look is not None
        image = np.asarray(Image.open(file).convert("RGB"))
        frame, face = kept_frame(image, faces.detect(image)[0], (), 2048)
        sitter = neutralised([sit(cut(frame, face), face.landmarks, 0.2, mesh)])[0]
        wish = wish_of(look, "square", look.frame, PORTRAIT_PX)
        made = Studio().compose(sitter, Sitting(look, wish, seed=number))
        assert not isinstance(made, Refusal)
        portrait, place = made
        texture_ratio(frame, portrait, place.affine, sitter.points)
        np.dot(faces.embed(frame, face), faces.embed(portrait, faces.detect(portrait)[0]))
        png_of(portrait)
    return (time.monotonic() - started) / len(files)


def _cut_outs(file: Path) -> tuple[float, float]:
    """Seconds for one cut-out: ours, and pymatting's closed form and colours of the same size.

    The reference gets a trimap for nothing, made of our own alpha.
    """
    from pymatting import estimate_alpha_cf, estimate_foreground_ml

    models = configuration.load().models / "faces"
    faces = Faces(models)
    image = np.asarray(Image.open(file).convert("RGB"))
    frame, face = kept_frame(image, faces.detect(image)[0], (), PORTRAIT_PX)
    cut = cutter(Segmenter(models))
    made: CutOut = cut(frame, face)  # also loads what is loaded once
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (31, 31))
    trimap = np.full(made.alpha.shape, 0.5)
    trimap[cv2.erode((made.alpha > 240).astype(np.uint8), disc) == 1] = 1
    trimap[cv2.erode((made.alpha < 15).astype(np.uint8), disc) == 1] = 0
    started = time.monotonic()
    cut(frame, face)
    ours = time.monotonic() - started
    started = time.monotonic()
    alpha = estimate_alpha_cf(frame / 255.0, trimap)
    estimate_foreground_ml(frame / 255.0, alpha)
    return ours, time.monotonic() - started
