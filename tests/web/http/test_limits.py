"""Counting in RAM, without knowing whom."""

from __future__ import annotations

from contextlib import suppress

import pytest

from errors import Busy
from tests.conftest import Hand
from web.http.limits import Allowance, Slots


def test_an_allowance_is_used_up_and_comes_back(hand: Hand) -> None:
    allowance = Allowance(2, 60, now=hand)
    allowance.spend("a")
    allowance.spend("a")
    with pytest.raises(Busy):
        allowance.spend("a")
    allowance.spend("b")
    hand.forward(61)
    allowance.spend("a")


def test_whoever_was_quiet_is_forgotten_and_nobody_is_kept_by_name(hand: Hand) -> None:
    allowance = Allowance(2, 60, now=hand)
    for number in range(50):
        allowance.spend(f"192.0.2.{number}")
    assert "192.0.2" not in repr(allowance._events)
    hand.forward(61)
    allowance.spend("a")
    assert len(allowance._events) == 1


def test_slots_are_given_back_even_after_an_error() -> None:
    slots = Slots(1)
    with suppress(ZeroDivisionError), slots.hold("a"):
        with pytest.raises(Busy), slots.hold("a"):
            pass
        raise ZeroDivisionError
    with slots.hold("a"):
        pass
    assert slots._taken == {}
