"""Processor time per visitor and hour."""

from __future__ import annotations

import pytest

from errors import Busy
from pipeline.photos.cpu_budget import CpuBudget


def test_what_was_spent_counts_for_an_hour_and_for_its_owner_alone() -> None:
    now = 0.0
    budget = CpuBudget(10.0, window_s=3600.0, now=lambda: now)
    for _ in range(2):
        budget.require("ann")
        budget.spend("ann", 6.0)
        now += 1000.0
    with pytest.raises(Busy):
        budget.require("ann")
    budget.require("bob")
    now = 3600.5  # the first has lost its weight, the second not yet
    budget.require("ann")


def test_nobody_is_remembered_for_longer() -> None:
    now = 0.0
    budget = CpuBudget(10.0, window_s=3600.0, now=lambda: now)
    for who in "abc":
        budget.spend(who, 1.0)
        now += 2000.0
    budget.spend("d", 1.0)
    assert len(budget) == 2  # c and d
