"""Seconds of painting, with portraits finished behind the sampling and one after the other.

On the embedded base, which computes on the same cores, and on a tiny large one whose sampling waits
as for a GPU. The same adapter and seed paint the same portraits in turns; the better round counts.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
from PIL import Image

import settings as configuration
from benchmarks.measure import Measurement
from dev.make_selfies import selfies
from pipeline import job
from pipeline.assembly import Assembly, open_assembly
from pipeline.bases.families.sdxl import StableDiffusionXL
from pipeline.orders import Order
from pipeline.planning.planning import Planning
from privacy.keys import MasterKey
from privacy.log import configure as configure_log
from tests.support.at_once import AtOnce
from tests.support.tiny_base import build_tiny_sdxl

PORTRAITS = 12
ROUNDS = 2
PHOTOS = 4
GPU_S = 0.9
"""Seconds for which a portrait keeps the GPU, as docs/gpu.md computes it of klein on an H100."""

RECIPE: dict[str, Any] = {"steps": 4, "variants": 2, "batch": 2, "rank": 4, "alpha": 4}


def run() -> dict[str, Measurement]:
    """Both bases."""
    configure_log("error")
    with tempfile.TemporaryDirectory(prefix="likeness-bench-") as name:
        folder = Path(name)
        build_tiny_sdxl(folder / "sdxl")
        large = mock.patch.multiple(
            StableDiffusionXL, sample=_waiting(StableDiffusionXL.sample), knows=lambda *_: True
        )
        with large, mock.patch.object(Planning, "gpu_plans", True):
            waiting = _measured(configuration.load(base=str(folder / "sdxl")), folder / "1")
        embedded = _measured(configuration.load(), folder / "2")
    what = f"s, {PORTRAITS} portraits"
    return {
        "overlap_embedded": Measurement(embedded[0], what, "ratio <= 1.0", embedded[1]),
        "overlap_large": Measurement(waiting[0], what, "ratio <= 0.9", waiting[1]),
    }


def _measured(settings: configuration.Settings, scratch: Path) -> tuple[float, float]:
    """Seconds side by side, and one after the other."""
    with open_assembly(settings, scratch=scratch, master_key=MasterKey.ram()) as assembly:
        assembly.services.load_base(lambda: False).recipe = RECIPE
        paint = _painter(assembly)
        paint()  # learns, and reads what is read once
        ours, reference = [], []
        for _ in range(ROUNDS):
            ours.append(paint())
            with mock.patch("pipeline.overlap.ThreadPoolExecutor", AtOnce):
                reference.append(paint())
    return min(ours), min(reference)


def _painter(assembly: Assembly) -> Callable[[], float]:
    """A function that paints an order in a session with photos, and returns how long it took."""
    services = assembly.services
    session, _ = services.sessions.create()
    portrait = sorted((configuration.ROOT / "tests" / "samples").glob("*.jpg"))[0]
    with Image.open(portrait) as image:
        pixels = np.asarray(image.convert("RGB"))
    for number, photo in enumerate(
        selfies(pixels, services.faces, services.segmenter.matte, count=PHOTOS)
    ):
        encoded = BytesIO()
        Image.fromarray(photo).save(encoded, "JPEG", quality=92)
        services.album.add(session, encoded.getvalue(), f"{number}.jpg")

    def paint() -> float:
        order = Order((), PORTRAITS, seed=7, way="painted", keep_adapter=True)
        report = job.run(session, order, services, report=lambda _: None, stop=lambda: False)
        return report.seconds["generate"]

    return paint


def _waiting(sample: Callable[..., Any]) -> Callable[..., Any]:
    """The same latents, after as long as a GPU would take."""

    def waiting(base: Any, *given: Any) -> Any:
        time.sleep(GPU_S * len(given[2]))
        return sample(base, *given)

    return waiting
