"""What is heavy and hardly used is not imported with the painted way, and works when it is."""

from __future__ import annotations

import subprocess
import sys

import pytest

from pipeline.bases.later import later
from settings import ROOT

PAINTED = """
import sys, torch
compiles = torch.compile
import pipeline.painted_job
assert torch.compile is compiles
print(*sys.modules)
import scipy.stats
from scipy.stats import norm
print(scipy.stats.norm.cdf(0), norm.cdf(0))
"""


@pytest.mark.slow
def test_neither_torchs_compiler_nor_statistics_are_loaded() -> None:
    ran = subprocess.run(
        [sys.executable, "-c", PAINTED], cwd=ROOT, capture_output=True, text=True, check=True
    )
    modules, asked = ran.stdout.splitlines()
    loaded = set(modules.split())
    assert {"peft", "bitsandbytes", "diffusers", "scipy.stats"} <= loaded
    assert not {"torch._inductor.compile_fx", "scipy.stats.distributions"} & loaded
    assert asked == "0.5 0.5"


def test_a_module_is_imported_when_something_of_it_is_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import colorsys as before

    monkeypatch.setitem(sys.modules, "colorsys", before)
    del sys.modules["colorsys"]
    later("colorsys")
    import colorsys

    assert "rgb_to_hsv" not in vars(colorsys)
    later("colorsys")  # is there already
    assert sys.modules["colorsys"] is colorsys
    assert colorsys.rgb_to_hsv(1, 1, 1) == (0, 0, 1)
    assert "rgb_to_hsv" in vars(sys.modules["colorsys"])
    with pytest.raises(AttributeError):
        _ = colorsys.no_such_thing  # type: ignore[attr-defined]
