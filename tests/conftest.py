"""What many tests share: a workshop on a tiny base, photos of somebody who does not exist."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import settings as configuration
from dev.make_selfies import selfies
from pipeline.assembly import Workshop, open_workshop
from pipeline.photos.detection import Faces
from privacy.keys import MasterKey
from tests.support.tiny_base import build_tiny_base

SAMPLES = Path(__file__).parent / "samples"
MODELS = configuration.ROOT / "models"


class Hand:
    """A clock that a test moves by hand. Seconds since the epoch."""

    def __init__(self, now: float = 1_800_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now

    def forward(self, seconds: float) -> None:
        self.now += seconds


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Slow ones first, so that no worker is left alone with one at the end."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> Iterator[None]:
    """Tiny models on a busy machine: threads that wait for each other cost more than they do."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def hand() -> Hand:
    return Hand()


@pytest.fixture(scope="session")
def faces() -> Faces:
    """The real detector, recogniser and segmenter, fetched at set-up."""
    return Faces(MODELS / "faces")


@pytest.fixture(scope="session")
def selfie_jpegs(faces: Faces) -> list[bytes]:
    """Eight JPEG photos of one person who does not exist."""
    portrait = sorted(SAMPLES.glob("*.jpg"))[0]
    with Image.open(portrait) as image:
        pictures = selfies(np.asarray(image.convert("RGB")), faces, count=8)
    return [jpeg(picture) for picture in pictures]


def jpeg(picture: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "JPEG", quality=92)
    return buffer.getvalue()


@pytest.fixture(scope="session")
def tiny_base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A base folder with random weights: the real code in a second instead of minutes."""
    folder = tmp_path_factory.mktemp("base") / "tiny"
    build_tiny_base(folder)
    return folder


@pytest.fixture
def tiny_settings(tmp_path: Path, tiny_base: Path) -> configuration.Settings:
    return configuration.load(
        scratch=tmp_path / "scratch", log=tmp_path / "receipts", base=str(tiny_base), port=0
    )


@pytest.fixture
def workshop(tiny_settings: configuration.Settings, hand: Hand) -> Iterator[Workshop]:
    """The real parts on the tiny base, with a clock that the test moves."""
    with open_workshop(tiny_settings, master_key=MasterKey.ram(), now=hand) as opened:
        yield opened
