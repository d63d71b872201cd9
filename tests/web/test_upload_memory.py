"""Whose announced file may come now: as many as are near, and no slow one stands before others."""

from __future__ import annotations

import asyncio

import pytest

from web import upload_memory
from web.http.turns import Turns
from web.upload_memory import Near


def test_a_file_keeps_its_place_until_it_is_cut_out() -> None:
    async def check() -> None:
        turns = Turns(1)
        first, second = Near(turns, "a"), Near(turns, "b")
        await first.begin()
        first.whole()
        waiting = asyncio.create_task(second.begin())
        await asyncio.sleep(0)
        assert not waiting.done()
        first.end()
        first.end()  # harmless
        await asyncio.wait_for(waiting, 5)
        assert not turns.idle
        second.end()
        assert turns.idle

    asyncio.run(check())


def test_a_file_that_comes_slowly_keeps_nobody_elses_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upload_memory, "SLOW_S", 0.01)

    async def check() -> None:
        turns = Turns(1)
        await Near(turns, "slow").begin()
        await asyncio.wait_for(Near(turns, "b").begin(), 5)

    asyncio.run(check())
