"""A server as if it had SDXL on a GPU: what its pages ask then; it cannot paint."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pipeline.planning.facts import Facts
from pipeline.planning.planning import Planning
from tests.support.planned import KNOWN
from tests.support.web import Place, served


@contextmanager
def served_with_sdxl(scratch: Path) -> Iterator[Place]:
    """As `served`."""

    def planning(_: object, file: Path, others: list[Facts]) -> Planning:
        return Planning(KNOWN["sdxl"], file, others)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tests.support.web.Planning", planning)
        with served(scratch) as place:
            yield place
