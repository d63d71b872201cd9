"""Seconds of painting, with portraits finished behind the sampling and one after the other.

On the embedded base, which computes on the same cores, and on a stand-in for a large base on a GPU:
its sampling waits for as long as docs/gpu.md computes, without the processor as for a GPU (the
starting of kernels is left out), and what it paints are pictures of a person of 1024 pixels, so
that to judge, encode and encrypt them takes what it takes. The same adapter and seed paint the same
portraits in turns; the better round counts. The stand-in is also set beside the best that there
can be: the first batch has nothing to hide behind it, and the last one nothing to hide behind.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from io import BytesIO
from pathlib import Path
from typing import Any
from unittest import mock

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

import settings as configuration
from benchmarks.measure import Measurement
from dev.make_selfies import selfies
from pipeline import job
from pipeline.assembly import Assembly, open_assembly
from pipeline.bases.base import Base
from pipeline.bases.families.sdxl import StableDiffusionXL
from pipeline.orders import Order
from pipeline.planning.planning import Machine, Planning, choose
from privacy.keys import MasterKey
from privacy.log import configure as configure_log
from tests.support.at_once import AtOnce
from tests.support.planned import KNOWN, card
from tests.support.tiny_base import build_tiny_sdxl
from tools.plan_tables import WORKLOAD

PORTRAITS = 12
ROUNDS = 2
PHOTOS = 4

BASE, CARD = "flux2-klein-4b", "H100"
"""The fastest of both: where the sampling is shortest, most of the finishing is to be hidden."""
AT_ONCE = 9
"""Portraits of a batch, as `generate` makes of twelve that each look at one picture."""
BATCHES = 3
SIDE_PX = 1024

RECIPE: dict[str, Any] = {"steps": 4, "variants": 2, "batch": 2, "rank": 4, "alpha": 4}


def run() -> dict[str, Measurement]:
    """Both bases."""
    configure_log("error")
    gpu_s, count = _seconds_of_a_portrait(), AT_ONCE * BATCHES
    with tempfile.TemporaryDirectory(prefix="likeness-bench-") as name:
        folder = Path(name)
        build_tiny_sdxl(folder / "sdxl")
        with _as_on_a_gpu(gpu_s):
            large = configuration.load(base=str(folder / "sdxl"))
            ours, reference = _measured(large, folder / "1", count)
        embedded = _measured(configuration.load(), folder / "2", PORTRAITS)
    finishing = reference / count - gpu_s
    between = (count - AT_ONCE) * max(gpu_s, finishing)
    best = AT_ONCE * gpu_s + between + AT_ONCE * finishing
    what = f"s, {count} portraits in batches of {AT_ONCE}"
    each = f"{what}; of each {gpu_s:.2f} sampling, {finishing:.2f} finishing"
    return {
        "overlap_embedded": Measurement(
            embedded[0], f"s, {PORTRAITS} portraits", "ratio <= 1.0", embedded[1]
        ),
        "overlap_large": Measurement(ours, each, "ratio <= 0.9", reference),
        "overlap_large_best": Measurement(ours, f"{what}; beside the best", "ratio <= 1.1", best),
    }


def _seconds_of_a_portrait() -> float:
    """For which a portrait keeps the GPU: computed, docs/gpu.md."""
    gpu = card(CARD)
    plan = choose(KNOWN[BASE], WORKLOAD, Machine(gpu.free, gpu.reached))
    assert plan.seconds_per_portrait is not None
    return plan.seconds_per_portrait


def _as_on_a_gpu(gpu_s: float) -> ExitStack:
    """For the time of the block, SDXL samples by waiting, and what it decodes is a portrait."""

    def sample(_base: Base, _positive: object, _negative: object, seeds: Any, *_: object) -> Any:
        time.sleep(gpu_s * len(seeds))
        return torch.zeros(len(seeds), 1)

    def decode(_base: Base, latents: torch.Tensor) -> NDArray[np.uint8]:
        return np.stack([portrait] * len(latents))

    # Enlarged, and grainy as a camera's, since smooth pictures are encoded sooner.
    large = cv2.resize(_person(), (SIDE_PX, SIDE_PX), interpolation=cv2.INTER_CUBIC)
    grain = np.random.default_rng(7).normal(0, 3, large.shape)
    portrait = np.clip(large + grain, 0, 255).astype(np.uint8)
    patches = ExitStack()
    patches.enter_context(
        mock.patch.multiple(
            StableDiffusionXL,
            sample=sample,
            decode=decode,
            knows=lambda *_: True,
            output_px=SIDE_PX,
            batch=AT_ONCE,
        )
    )
    patches.enter_context(mock.patch.object(Planning, "gpu_plans", True))
    return patches


def _measured(settings: configuration.Settings, scratch: Path, count: int) -> tuple[float, float]:
    """Seconds side by side, and one after the other."""
    with open_assembly(settings, scratch=scratch, master_key=MasterKey.ram()) as assembly:
        assembly.services.load_base(lambda: False).recipe = RECIPE
        paint = _painter(assembly)
        paint(2)  # learns, and reads what is read once
        ours, reference = [], []
        for _ in range(ROUNDS):
            ours.append(paint(count))
            with mock.patch("pipeline.overlap.ThreadPoolExecutor", AtOnce):
                reference.append(paint(count))
    return min(ours), min(reference)


def _painter(assembly: Assembly) -> Callable[[int], float]:
    """A function that paints so many portraits in a session with photos, and returns how long it
    took."""
    services = assembly.services
    session, _ = services.sessions.create()
    photos = selfies(_person(), services.faces, services.segmenter.matte, count=PHOTOS)
    for number, photo in enumerate(photos):
        encoded = BytesIO()
        Image.fromarray(photo).save(encoded, "JPEG", quality=92)
        services.album.add(session, encoded.getvalue(), f"{number}.jpg")

    def paint(count: int) -> float:
        order = Order((), count, seed=7, way="painted", keep_adapter=True)
        report = job.run(session, order, services, report=lambda _: None, stop=lambda: False)
        return report.seconds["generate"]

    return paint


def _person() -> NDArray[np.uint8]:
    """A picture of nobody, uint8 RGB [640, 640, 3]."""
    portrait = sorted((configuration.ROOT / "tests" / "samples").glob("*.jpg"))[0]
    with Image.open(portrait) as image:
        return np.asarray(image.convert("RGB"))
