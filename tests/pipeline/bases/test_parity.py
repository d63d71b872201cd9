"""Our training step is that of diffusers' published scripts.

`parity.json` holds what the scripts computed (`python -m tests.support.parity` runs them); here
our code does the same step again and must come to the same loss and gradients.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.support import parity
from tests.support.parity import CASES, TOLERANCE

NUMBERS = json.loads(parity.NUMBERS.read_text())


@pytest.fixture(scope="module", params=list(CASES))
def case(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def folder(case: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    built = tmp_path_factory.mktemp("parity") / "base"
    CASES[case].build(built)
    return built


@pytest.fixture(scope="module")
def step(case: str, folder: Path) -> parity.Step:
    with parity.loaded(folder) as base:
        return parity.ours(CASES[case], base, NUMBERS[case]["times"], NUMBERS[case]["order"])


def test_every_case_has_numbers_of_a_script() -> None:
    assert list(NUMBERS) == list(CASES)


def test_the_loss_is_the_scripts(case: str, step: parity.Step) -> None:
    assert step.loss == pytest.approx(NUMBERS[case]["loss"], rel=TOLERANCE)


def test_every_gradient_is_the_scripts(case: str, step: parity.Step) -> None:
    expected: dict[str, list[float]] = NUMBERS[case]["gradients"]
    found = parity.summary(step)["gradients"]
    assert found.keys() == expected.keys()
    weights: dict[str, Any] = {name: torch.empty_like(g) for name, g in step.gradients.items()}
    parity.fill(weights)
    for name, (norm, along) in expected.items():
        assert norm > 0
        assert found[name][0] == pytest.approx(norm, rel=TOLERANCE), name
        # Of two numbers that nearly cancel, the error is measured by what they are made of.
        longest = norm * weights[name].norm().item()
        assert found[name][1] == pytest.approx(along, abs=TOLERANCE * longest), name


@pytest.mark.skipif("DIFFUSERS_SCRIPTS" not in os.environ, reason="diffusers' scripts not at hand")
def test_the_scripts_still_say_the_same(case: str, folder: Path) -> None:
    scripts = Path(os.environ["DIFFUSERS_SCRIPTS"])
    with parity.loaded(folder) as base:
        targets = base.adapter_targets()
    numbers = parity.summary(parity.theirs(CASES[case], folder, scripts, targets))
    assert numbers["loss"] == pytest.approx(NUMBERS[case]["loss"], rel=TOLERANCE)
    assert (numbers["times"], numbers["order"]) == (NUMBERS[case]["times"], NUMBERS[case]["order"])
