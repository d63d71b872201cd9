"""A secret for one receiver, once, in time."""

from __future__ import annotations

import pytest

from errors import TamperedError
from privacy.envelope import OPEN_WITHIN_S, Receiver, seal


class Steady:
    """A clock that a test moves."""

    at = 0.0

    def __call__(self) -> float:
        return self.at


def test_the_receiver_opens_it() -> None:
    receiver = Receiver()
    assert receiver.open(seal(receiver.public(), b"a key", b"for this"), b"for this") == b"a key"


def test_it_opens_once() -> None:
    receiver = Receiver()
    envelope = seal(receiver.public(), b"a key", b"")
    receiver.open(envelope, b"")
    with pytest.raises(TamperedError):
        receiver.open(envelope, b"")


def test_an_attempt_with_something_else_uses_the_key_up() -> None:
    receiver = Receiver()
    envelope = seal(receiver.public(), b"a key", b"job 1")
    for info in (b"job 2", b"job 1"):
        with pytest.raises(TamperedError):
            receiver.open(envelope, info)


def test_a_newer_key_closes_the_one_before() -> None:
    receiver = Receiver()
    envelope = seal(receiver.public(), b"a key", b"")
    receiver.public()
    with pytest.raises(TamperedError):
        receiver.open(envelope, b"")


@pytest.mark.parametrize(("late", "opens"), [(-0.1, True), (0.1, False)])
def test_it_opens_for_a_minute_by_a_steady_clock(late: float, opens: bool) -> None:
    clock = Steady()
    receiver = Receiver(clock)
    envelope = seal(receiver.public(), b"a key", b"")
    clock.at = OPEN_WITHIN_S + late
    if opens:
        assert receiver.open(envelope, b"") == b"a key"
    else:
        with pytest.raises(TamperedError):
            receiver.open(envelope, b"")


@pytest.mark.parametrize("public", [b"", bytes(31), bytes(32)], ids=["none", "short", "zero"])
def test_what_is_no_key_gets_nothing(public: bytes) -> None:
    with pytest.raises(TamperedError):
        seal(public, b"a key", b"")


@pytest.mark.parametrize("envelope", [b"", b"x", bytes(48)])
def test_what_is_no_envelope_is_refused(envelope: bytes) -> None:
    receiver = Receiver()
    receiver.public()
    with pytest.raises(TamperedError):
        receiver.open(envelope, b"")
