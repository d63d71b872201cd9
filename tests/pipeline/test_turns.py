"""Whose order is next: rules of `turns`, with time that the test passes."""

from __future__ import annotations

import random

import pytest

from errors import Busy
from pipeline.turns import MOST_OVERTAKES, Turns
from tests.support.hand import Hand
from tests.support.refused import refused


def add(
    turns: Turns, name: str, address: str, seconds: float = 60.0, *, sample: bool = False
) -> None:
    turns.add(name, address=address, seconds=seconds, sample=sample)


def order_of(turns: Turns) -> list[str]:
    return [turns.next() for _ in range(len(turns))]


def test_one_address_is_served_as_it_comes() -> None:
    turns = Turns(20)
    for name in "abc":
        add(turns, name, "x")
    assert order_of(turns) == ["a", "b", "c"]


def test_addresses_take_turns() -> None:
    turns = Turns(20)
    for name in ("x1", "x2", "x3", "y1", "y2", "z1"):
        add(turns, name, name[0])
    assert order_of(turns) == ["x1", "y1", "z1", "x2", "y2", "x3"]


def test_seconds_count_and_not_orders() -> None:
    turns = Turns(20)
    add(turns, "long", "x", 600)
    add(turns, "long too", "x", 600)
    for name in ("short 1", "short 2", "short 3"):
        add(turns, name, "y", 60)
    assert order_of(turns) == ["long", "short 1", "short 2", "short 3", "long too"]


def test_what_was_served_before_counts_while_others_wait() -> None:
    turns = Turns(20)
    add(turns, "x1", "x", 600)
    add(turns, "y1", "y", 60)
    assert turns.next() == "x1"
    add(turns, "x2", "x", 60)
    add(turns, "y2", "y", 60)
    assert order_of(turns) == ["y1", "y2", "x2"]


def test_an_order_that_is_taken_out_costs_its_address_nothing() -> None:
    turns = Turns(20)
    for _ in range(5):
        add(turns, "stopped", "x", 600)
        turns.remove("stopped")
    add(turns, "y1", "y")
    add(turns, "x1", "x")
    add(turns, "x2", "x", 600)
    turns.remove("x2")
    assert "x2" not in turns
    add(turns, "y2", "y")
    assert order_of(turns) == ["y1", "x1", "y2"]


def test_samples_come_last() -> None:
    turns = Turns(20)
    add(turns, "sample", "x", sample=True)
    add(turns, "a", "y")
    add(turns, "b", "y")
    assert order_of(turns) == ["a", "b", "sample"]


def test_nobody_fills_the_queue_alone() -> None:
    turns = Turns(20)
    for number in range(5):
        add(turns, f"sample {number}", f"address {number}", sample=True)
    with refused(Busy, "try again"):
        add(turns, "a sixth sample", "another", sample=True)
    for number in range(15):
        if number < 14:
            add(turns, f"own {number}", "x")
    assert len(turns) == 19
    add(turns, "own 14", "x")
    with refused(Busy, "try again"):
        add(turns, "nobody's", "y")
    turns.remove("sample 0")
    with refused(Busy, "your network"):
        add(turns, "own 15", "x")
    add(turns, "somebody", "y")


def test_orders_without_an_address_are_each_alone() -> None:
    turns = Turns(2)
    for name in "ab":
        turns.add(name, address=None, seconds=1, sample=False)
    with pytest.raises(Busy):
        turns.add("c", address=None, seconds=1, sample=False)


def test_no_address_is_kept() -> None:
    turns = Turns(4)
    add(turns, "a", "192.0.2.7")
    assert "192.0.2" not in repr(vars(turns))
    turns.next()
    assert not vars(turns)["_had"]


@pytest.mark.parametrize("seed", range(20))
def test_what_is_told_is_what_happens_and_nobody_is_overtaken_more_often_than_said(
    seed: int,
) -> None:
    chance, turns = random.Random(seed), Turns(20)
    waiting: dict[str, int] = {}
    overtaken: dict[str, int] = {}
    served = 0
    for number in range(600):
        try:
            add(
                turns,
                f"{number}",
                f"address {chance.randrange(5) if chance.random() < 0.5 else number}",
                chance.choice((8, 90, 240)),
                sample=chance.random() < 0.3,
            )
        except Busy:
            pass
        else:
            waiting[f"{number}"], overtaken[f"{number}"] = number, 0
        if waiting and chance.random() < 0.7:
            told = turns.ahead()
            places = {name: told[name].orders for name in waiting}
            assert sorted(places.values()) == list(range(len(waiting)))
            name = turns.next()
            assert places[name] == 0
            for other, came in waiting.items():
                overtaken[other] += came < waiting[name]
            del waiting[name]
            served += 1
    assert served > 200
    assert max(overtaken.values()) == MOST_OVERTAKES


def flooded() -> Turns:
    """A queue that one address filled as far as it can, and then two orders of another."""
    turns = Turns(20)
    for number in range(5):
        add(turns, f"sample {number}", "attacker", 90, sample=True)
    for number in range(10):
        add(turns, f"flood {number}", "attacker", 240)
    add(turns, "first", "company", 90)
    add(turns, "second", "company", 90)
    return turns


def seconds_of(name: str) -> float:
    return 90 if name in ("first", "second") or name.startswith("sample") else 240


def test_a_flood_from_one_address_costs_others_one_order_of_it_each(hand: Hand) -> None:
    turns, began = flooded(), hand()
    done: dict[str, float] = {}
    while turns:
        name = turns.next()
        assert len(done) >= MOST_OVERTAKES or not name.startswith("sample")
        hand.forward(seconds_of(name))
        done[name] = hand() - began
    assert done["first"] == 240 + 90
    assert done["second"] == 240 + 90 + 90  # which still had less than the flood's first


def test_a_flood_of_new_addresses_costs_ten_orders_more_than_first_come_first_served(
    hand: Hand,
) -> None:
    turns, began = flooded(), hand()
    done: dict[str, float] = {}
    while not {"first", "second", "sample 4"} <= done.keys():
        assert len(done) < 100
        name = turns.next()
        hand.forward(seconds_of(name))
        done[name] = hand() - began
        add(turns, f"new {len(done)}", f"new address {len(done)}", 240)
    overtaking = MOST_OVERTAKES * 240
    assert done["sample 0"] <= overtaking + 90
    assert done["sample 4"] <= overtaking + 5 * 90
    assert done["first"] == 240 + 90
    assert done["second"] <= overtaking + 5 * 90 + 10 * 240 + 2 * 90
