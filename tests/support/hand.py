"""A clock that stands still until a test moves it."""

from __future__ import annotations


class Hand:
    """A clock that a test moves by hand. Seconds since the epoch."""

    def __init__(self, now: float = 1_800_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now

    def forward(self, seconds: float) -> None:
        self.now += seconds
