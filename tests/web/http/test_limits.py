"""Counting in RAM, without knowing whom."""

from __future__ import annotations

from contextlib import suppress

import pytest

from errors import Busy, UnknownSession
from tests.support.hand import Hand
from web.http.limits import ConcurrencyLimiter, RateLimiter


def test_an_allowance_is_used_up_and_comes_back(hand: Hand) -> None:
    limiter = RateLimiter(2, 60, now=hand)
    limiter.count("a")
    limiter.count("a")
    with pytest.raises(Busy):
        limiter.count("a")
    limiter.count("b")
    hand.forward(61)
    limiter.count("a")


def test_whoever_was_quiet_is_forgotten_and_nobody_is_kept_by_name(hand: Hand) -> None:
    limiter = RateLimiter(2, 60, now=hand)
    for number in range(50):
        limiter.count(f"192.0.2.{number}")
    assert "192.0.2" not in repr(vars(limiter))
    hand.forward(61)
    limiter.count("a")
    assert len(limiter) == 1


def test_slots_are_given_back_even_after_an_error() -> None:
    limiter = ConcurrencyLimiter(1)
    with suppress(ZeroDivisionError), limiter.hold("a"):
        with pytest.raises(Busy), limiter.hold("a"):
            pass
        raise ZeroDivisionError
    with limiter.hold("a"):
        pass
    assert len(limiter) == 0


def test_looking_counts_nothing_and_tells_how_long_to_wait(hand: Hand) -> None:
    limiter = RateLimiter(1, 60, now=hand)
    for _ in range(3):
        limiter.check("a")
    limiter.count("a")
    hand.forward(20)
    with pytest.raises(Busy) as busy:
        limiter.check("a")
    assert busy.value.wait_s == pytest.approx(40)
    hand.forward(41)
    limiter.check("a")


def test_only_what_fails_is_counted(hand: Hand) -> None:
    limiter = RateLimiter(2, 60, now=hand)
    for _ in range(5):
        with limiter.failures("a"):
            pass
    for _ in range(2):
        with pytest.raises(UnknownSession), limiter.failures("a"):
            raise UnknownSession
    ran = False
    with pytest.raises(Busy), limiter.failures("a"):
        ran = True
    assert not ran
