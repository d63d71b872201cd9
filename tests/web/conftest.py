"""A served application over real parts, and its visitors."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import httpx
import pytest

from tests.conftest import Hand
from tests.support.web import Place, served, upload, visitor


@pytest.fixture(scope="module")
def clock() -> Hand:
    """The clock of the module's server; tests move it only forward."""
    return Hand()


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, clock: Hand) -> Iterator[Place]:
    """One server per module. A session per test keeps tests apart."""
    with served(tmp_path_factory.mktemp("scratch"), now=clock) as place:
        yield place


@pytest.fixture
def ann(place: Place) -> Iterator[httpx.Client]:
    """A visitor."""
    with closing(visitor(place)) as client:
        yield client


@pytest.fixture
def bob(place: Place) -> Iterator[httpx.Client]:
    """Another visitor."""
    with closing(visitor(place)) as client:
        yield client


@pytest.fixture
def stranger(place: Place) -> Iterator[httpx.Client]:
    """A browser that never agreed to anything."""
    with httpx.Client(base_url=place.url, headers={"origin": place.url}) as client:
        yield client


@pytest.fixture
def ann_with_photos(ann: httpx.Client, selfie_jpegs: list[bytes]) -> httpx.Client:
    """A visitor with four good photos."""
    assert upload(ann, *selfie_jpegs[:4]).status_code == 200
    return ann
