"""When adapters are tried while one is trained, and with how much work."""

from __future__ import annotations

from typing import NamedTuple

ENOUGH = 8
"""Photos of which one is held out to try adapters with; of fewer all train, and none is tried."""


class Moments(NamedTuple):
    """When adapters are tried.

    shares: of the recipe's steps, rising to 1. portraits: that each try paints. margin: by how much
    an earlier adapter must score above a later one to be used.
    """

    shares: tuple[float, ...]
    portraits: int
    margin: float


LARGE = Moments((0.4, 0.6, 0.8, 1.0), portraits=4, margin=0.02)

SMALL = Moments((0.6, 1.0), portraits=2, margin=0.05)
"""For bases that are not `Base.large`. Of nine people (docs/painted.md), each with 28 pairs out of
eight portraits, no pair scored the earlier adapter above the later one by more than 0.03."""

FEWEST_STEPS = 4


def trial_steps(steps: int) -> int:
    """Of the solver, in a trial of a large base: half of a portrait's, but not below four."""
    return min(steps, max(FEWEST_STEPS, steps // 2))
