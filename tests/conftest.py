"""What many tests share: an assembly on a tiny base, photos of nobody, a served application.

What takes seconds to import is imported where it is used: workers import it with their tests, and
the process that only hands tests out does not wait for it.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import closing
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import settings as configuration
from tests.support.hand import Hand

if TYPE_CHECKING:
    import httpx

    from pipeline.assembly import Assembly
    from pipeline.bases.base import Base
    from pipeline.compositing.segmenter import Segmenter
    from pipeline.photos.detection import Faces
    from tests.support.web import Place

SAMPLES = Path(__file__).parent / "samples"
MODELS = configuration.ROOT / "models"


LONGEST = configuration.ROOT / "tests" / "browser" / "test_main_job.py"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Slow files first, the longest of all before them: no worker is left alone at the end."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)
    items.sort(key=lambda item: item.path != LONGEST)


@pytest.fixture(autouse=True, scope="module")
def what_stays() -> None:
    """Each job's end looks for garbage, and need not look through what earlier modules left."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> Iterator[None]:
    """Tiny models on a busy machine: threads that wait for each other cost more than they do."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(autouse=True, scope="session")
def one_look() -> Iterator[None]:
    """Hundreds of tests bring the same photos: a second of the processor for each, each time."""
    from pipeline import assembly as assembling
    from tests.support.cut_outs import cut_out_once
    from tests.support.remembered import remembered
    from tests.support.seen_faces import SeenFaces

    with remembered(), pytest.MonkeyPatch.context() as patching:
        patching.setattr(assembling, "cut_out", cut_out_once)
        patching.setattr(assembling, "Faces", SeenFaces)
        yield


@pytest.fixture(autouse=True, scope="session")
def one_trust_store() -> Iterator[None]:
    """A new client reads a hundred authorities that no test asks: 50 ms, two thousand times."""
    from httpx import create_ssl_context

    with pytest.MonkeyPatch.context() as patching:
        patching.setattr("httpx._transports.default.create_ssl_context", cache(create_ssl_context))
        yield


@pytest.fixture
def hand() -> Hand:
    return Hand()


@pytest.fixture(scope="session")
def faces() -> Faces:
    """The real detector and recogniser, fetched at set-up."""
    from pipeline.photos.detection import Faces

    return Faces(MODELS / "faces")


@pytest.fixture(scope="session")
def segmenter() -> Segmenter:
    """The real segmenter."""
    from pipeline.compositing.segmenter import Segmenter

    return Segmenter(MODELS / "faces")


@pytest.fixture(scope="session")
def selfie_jpegs(faces: Faces, segmenter: Segmenter) -> list[bytes]:
    """Eight JPEG photos of one person who does not exist, 600 px: large ones take longer."""
    import cv2
    import numpy as np
    from PIL import Image

    from dev.make_selfies import selfies
    from tests.support.faces import encoded

    portrait = sorted(SAMPLES.glob("*.jpg"))[0]
    with Image.open(portrait) as image:
        portrait_px = np.asarray(image.convert("RGB"))
    pictures = selfies(portrait_px, faces, segmenter.matte, count=8)
    small = [cv2.resize(picture, (600, 600), interpolation=cv2.INTER_AREA) for picture in pictures]
    return [encoded(picture, quality=92) for picture in small]


@pytest.fixture(scope="session")
def tiny_base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A base folder with random weights: the real code in a second instead of minutes."""
    from tests.support.tiny_base import build_tiny_base

    folder = tmp_path_factory.mktemp("base") / "tiny"
    build_tiny_base(folder, least=True)
    return folder


@pytest.fixture(scope="module")
def base(tiny_base: Path) -> Base:
    """The tiny base, loaded, for one module."""
    from pipeline.bases.loading import load_base

    return load_base(tiny_base)


@pytest.fixture
def tiny_settings(tmp_path: Path, tiny_base: Path) -> configuration.Settings:
    return configuration.load(
        scratch=tmp_path / "scratch", receipts=tmp_path / "receipts", base=str(tiny_base), port=0
    )


@pytest.fixture
def assembly(tiny_settings: configuration.Settings, hand: Hand) -> Iterator[Assembly]:
    """The real parts on the tiny base, with a clock that the test moves."""
    from pipeline.assembly import open_assembly
    from privacy.keys import MasterKey

    with open_assembly(tiny_settings, master_key=MasterKey.ram(), now=hand) as opened:
        yield opened


# --- a served application and its visitors: for the tests of the web layer and its attacks -------


@pytest.fixture(scope="module")
def clock() -> Hand:
    """The clock of the module's server; tests move it only forward."""
    return Hand()


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, clock: Hand) -> Iterator[Place]:
    """One server per module. A session per test keeps tests apart."""
    from tests.support.web import served

    with served(tmp_path_factory.mktemp("scratch"), now=clock) as place:
        yield place


@pytest.fixture
def ann(place: Place) -> Iterator[httpx.Client]:
    """A visitor."""
    from tests.support.web import visitor

    with closing(visitor(place)) as client:
        yield client


@pytest.fixture
def bob(place: Place) -> Iterator[httpx.Client]:
    """Another visitor."""
    from tests.support.web import visitor

    with closing(visitor(place)) as client:
        yield client


@pytest.fixture
def stranger(place: Place) -> Iterator[httpx.Client]:
    """A browser that never agreed to anything."""
    import httpx

    with httpx.Client(base_url=place.url, headers={"origin": place.url}) as client:
        yield client


@pytest.fixture
def ann_with_photos(ann: httpx.Client, selfie_jpegs: list[bytes]) -> httpx.Client:
    """A visitor with four good photos."""
    from tests.support.web import upload

    assert upload(ann, *selfie_jpegs[:4]).status_code == 200
    return ann
