"""The real segmenter on a person who does not exist."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from errors import BaseUnavailable
from pipeline.compositing.segmenter import Segmenter
from tests.support.faces import portrait, segmenter


def test_the_matte_holds_the_person_and_not_the_wall() -> None:
    matte = segmenter().matte(portrait("a"))
    assert matte.shape == portrait("a").shape[:2]
    assert matte.dtype == np.uint8
    assert matte[300, 320] > 240
    assert matte[20, 20] < 40


def test_a_missing_model_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(BaseUnavailable, match="make setup"):
        Segmenter(tmp_path).matte(portrait("a"))
