"""Turns: who is next, and that no place is lost."""

from __future__ import annotations

import asyncio

from web.http.turns import Turns


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
