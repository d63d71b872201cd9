"""Turns: who is next, and that no place is lost."""

from __future__ import annotations

import asyncio
import contextlib

from web.http.turns import MOST_OVERTAKES, Turns


async def served(turns: Turns, wanted: str) -> list[str]:
    """The order in which everybody of `wanted` had a place, all asking at once in this order."""
    order: list[str] = []

    async def one(who: str) -> None:
        async with turns.hold(who):
            order.append(who)
            await asyncio.sleep(0)

    await asyncio.gather(*(one(who) for who in wanted))
    return order


def test_sessions_take_turns() -> None:
    async def check() -> list[str]:
        return await served(Turns(1), "aaaabbc")

    assert "".join(asyncio.run(check())) == "aabcaba"


def test_as_many_places_as_there_are_and_no_more() -> None:
    async def check() -> None:
        turns = Turns(2)
        await turns.take("a")
        await turns.take("a")
        third = asyncio.create_task(turns.take("b"))
        await asyncio.sleep(0)
        assert not third.done()
        turns.give_back()
        await third
        turns.give_back()
        turns.give_back()
        assert await served(turns, "abab") == ["a", "b", "a", "b"]

    asyncio.run(check())


def test_who_leaves_the_line_takes_no_place_away() -> None:
    async def check() -> None:
        turns = Turns(1)
        await turns.take("a")
        left, given, stays = (asyncio.create_task(turns.take(who)) for who in "bcd")
        await asyncio.sleep(0)
        left.cancel()
        await asyncio.sleep(0)
        turns.give_back()  # to c, who leaves before it notices
        given.cancel()
        await asyncio.wait_for(stays, 5)

    asyncio.run(check())


async def in_order(turns: Turns, wanted: str) -> str:
    """Who had the one place, which "x" holds until all have asked; capitals can wait."""
    order: list[str] = []

    async def one(who: str) -> None:
        await (turns.take_later(who) if who.isupper() else turns.take(who))
        order.append(who)
        turns.give_back()

    await turns.take("x")
    asked = [asyncio.create_task(one(who)) for who in wanted]
    await asyncio.sleep(0)
    turns.give_back()
    await asyncio.wait_for(asyncio.gather(*asked), 5)
    return "".join(order)


def test_what_can_wait_comes_last_and_takes_turns_too() -> None:
    assert asyncio.run(in_order(Turns(1), "AAABab")) == "abABAA"


def test_what_can_wait_does_not_wait_for_ever() -> None:
    order = asyncio.run(in_order(Turns(1), "A" + "a" * 2 * MOST_OVERTAKES))
    assert order.index("A") == MOST_OVERTAKES


def test_whose_turn_cannot_come_is_passed_over_until_it_can() -> None:
    full = {"a"}

    async def check() -> None:
        turns = Turns(1, may=lambda who: who not in full)
        first = asyncio.create_task(turns.take("a"))
        await asyncio.sleep(0)
        assert not first.done()
        assert not turns.wanted
        await turns.take("b")  # the place is free for others, and for what can wait
        turns.give_back()
        await turns.take_later("a")
        full.clear()
        assert turns.wanted
        turns.give_back()
        await asyncio.wait_for(first, 5)

    asyncio.run(check())


def test_where_many_wait_what_can_wait_has_one_place() -> None:
    async def check() -> None:
        turns = Turns(2, crowd=3)
        asked = [asyncio.create_task(turns.take_later(who)) for who in "abcd"]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert [task.done() for task in asked] == [True, True, False, False]
        turns.give_back_later()
        await asyncio.wait_for(asked[2], 5)  # two wait: that is no crowd
        asked += [asyncio.create_task(turns.take_later(who)) for who in "efg"]
        await asyncio.sleep(0)
        turns.give_back_later()
        await asyncio.sleep(0)
        assert sum(task.done() for task in asked) == 3
        await turns.take("h")  # what cannot wait has the other place
        turns.give_back()
        turns.give_back_later()  # nobody is cut out: so one more, and not two
        await asyncio.sleep(0)
        assert sum(task.done() for task in asked) == 4
        for task in asked:
            task.cancel()

    asyncio.run(check())


def test_who_leaves_when_called_gives_the_place_for_what_can_wait_back() -> None:
    async def check() -> None:
        turns = Turns(1, crowd=1)
        await turns.take_later("a")
        second = asyncio.create_task(turns.take_later("b"))
        await asyncio.sleep(0)
        turns.give_back_later()
        second.cancel()  # it has the place, and has not heard of it
        with contextlib.suppress(asyncio.CancelledError):
            await second
        await asyncio.wait_for(turns.take_later("c"), 5)

    asyncio.run(check())
