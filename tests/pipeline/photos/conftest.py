"""What tests of photos share: a decoder for a whole file of tests, a vault and a session each."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.photos.ingest import Decoder
from privacy.sessions import Session
from tests.support.store import Store


@pytest.fixture(scope="module")
def decoder() -> Iterator[Decoder]:
    with Decoder(max_bytes=5_000_000, max_pixels=20_000_000) as opened:
        yield opened


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path)


@pytest.fixture
def session(store: Store) -> Session:
    return store.sessions.create()[0]
