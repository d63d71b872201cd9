"""The tables of docs/gpu.md."""

from __future__ import annotations

from settings import ROOT
from tools.fetch_base import BASES
from tools.plan_tables import films, known, steps, tables


def test_the_document_is_what_is_planned() -> None:
    document = (ROOT / "docs" / "gpu.md").read_text()
    assert tables(known(BASES)) in document, "run `python -m tools.plan_tables`"
    assert steps(known(BASES)) in document, "run `python -m tools.plan_tables`"
    assert films(BASES) in document, "run `python -m tools.plan_tables`"
