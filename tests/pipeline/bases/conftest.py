"""Bases that are tested themselves have attention wherever real ones have it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.tiny_base import build_tiny_base


@pytest.fixture(scope="session")
def tiny_base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("base") / "tiny"
    build_tiny_base(folder)
    return folder
