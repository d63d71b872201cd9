"""A portrait that moves: 75 frames of 720 pixels, beside the same frames rendered one by one."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable

import numpy as np
from PIL import Image

import settings as configuration
from benchmarks.measure import Measurement
from pipeline.assembly import cutter
from pipeline.compositing.face_mesh import FaceMesh
from pipeline.compositing.segmenter import Segmenter
from pipeline.compositing.studio import Sitter, Sitting, Studio, neutralised, sit, wish_of
from pipeline.compositing.warp import FRAMES, Moving
from pipeline.photos.crop import kept_frame
from pipeline.photos.detection import Faces
from pipeline.portraits.style import load_styles

PHOTO = configuration.ROOT / "tests" / "samples" / "nobody-a.jpg"
LOOK = "old-money"
SIDE = 720
TRIED = 5
"""Frames that the reference makes: each costs it the same, since it keeps nothing."""


def run() -> dict[str, Measurement]:
    """Ours in a process of its own, whose memory is its own; the reference in this one."""
    command = [sys.executable, "-m", "benchmarks.motion"]
    told = subprocess.run(
        command, check=True, cwd=configuration.ROOT, stdout=subprocess.PIPE, text=True
    )
    seconds, peak_kb = json.loads(told.stdout)
    each = _one_by_one(*_seated())
    return {
        "motion": Measurement(seconds, "s for 75", "ratio <= 0.33", each * FRAMES),
        "motion_total": Measurement(seconds, "s", "<= 7"),
        "motion_memory": Measurement(peak_kb / 1e6, "GB peak", "<= 0.8"),
    }


def _seated() -> tuple[Sitter, Sitting]:
    """A person and a look with a room, whose wall costs the most to paint."""
    conf = configuration.load()
    models = conf.models / "faces"
    faces = Faces(models)
    image = np.asarray(Image.open(PHOTO).convert("RGB"))
    frame, face = kept_frame(image, faces.detect(image)[0], (), 2048)
    cut_out = cutter(Segmenter(models))(frame, face)
    sitter = neutralised([sit(cut_out, face.landmarks, 0.2, FaceMesh(models))])[0]
    look = load_styles(conf.styles)[LOOK].photo
    assert look is not None
    return sitter, Sitting(look, wish_of(look, "square", look.frame, SIDE), seed=1)


def _timed(work: Callable[[], None]) -> float:
    started = time.monotonic()
    work()
    return time.monotonic() - started


def _shared(sitter: Sitter, sitting: Sitting) -> float:
    """Seconds for a whole loop, with all that its frames share."""

    def loop() -> None:
        made = Moving(sitter, sitting, "square", SIDE, Studio()).frames("turn")
        assert sum(1 for _ in made) == FRAMES

    return _timed(loop)


def _one_by_one(sitter: Sitter, sitting: Sitting) -> float:
    """Seconds for one frame where nothing is kept: person and wall are developed for each."""

    def some() -> None:
        for _ in range(TRIED):
            next(Moving(sitter, sitting, "square", SIDE, Studio()).frames("turn", every=FRAMES))

    return _timed(some) / TRIED


if __name__ == "__main__":
    taken = _shared(*_seated())
    print(json.dumps([taken, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss]))
