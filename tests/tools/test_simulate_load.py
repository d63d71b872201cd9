"""How long a company waits: small companies, whose answers are known."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pipeline.orders import Order, OrderedWay
from settings import ROOT
from tools.simulate_load import (
    HEAD,
    SIZED,
    Hardware,
    Load,
    arrivals,
    lanes,
    main,
    row,
    seconds_of,
    sizing,
    table,
)
from tools.simulated_queue import AGAIN_S, Arrival, Served, SimulatedQueue

PAGE = (ROOT / "docs" / "cluster.md").read_text()


def served(number: int, came: list[Arrival], length: int = 20, places: int = 0) -> list[Served]:
    """Everybody's hour on so many cards: each portrait takes a minute."""
    queue = SimulatedQueue(
        lanes(number, places), queue_length=length, seconds=lambda order: 60.0 * order.count
    )
    return queue.run(came)


def at(minute: float, way: OrderedWay = "painted", count: int = 10) -> Arrival:
    return Arrival(f"at-{minute}-{way}", 60 * minute, Order((), count=count, way=way))


def test_each_card_makes_one_order_at_a_time() -> None:
    came = [at(0), at(1), at(2)]
    assert [one.waited for one in served(1, came)] == [0, 9 * 60, 18 * 60]
    assert [one.waited for one in served(2, came)] == [0, 0, 8 * 60]


def test_a_photo_waits_for_no_card() -> None:
    came = [at(0), at(1), at(2, "photo")]
    assert [one.lane for one in served(1, came, places=1)] == [
        "likeness-1",
        "likeness-photo-1",
        "likeness-1",
    ]


def test_of_two_photos_at_the_same_moment_a_free_card_takes_one() -> None:
    first = at(1, "photo")
    both = served(1, [first, replace(first, name="second")], places=1)
    assert [one.waited for one in both] == [0, 0]
    assert {one.lane for one in both} == {"likeness-1", "likeness-photo-1"}


def test_who_finds_the_queue_full_comes_again() -> None:
    came = [at(minute, count=30) for minute in range(3)]
    (*_, last) = served(1, came, length=1)
    assert last.arrival == came[2]
    assert last.refused == 2  # after 2 minutes and after 17; after 32 the second is no longer there
    assert last.began == 60 * 60
    assert AGAIN_S == 15 * 60


def test_the_line_of_the_table_says_what_happened() -> None:
    came = [at(9 * 60 + minute, count=60) for minute in range(3)]
    line = row(1, served(1, came, length=1), days=2)
    # Waits of 0, 59 and 118 minutes; three hours' work within the twenty of two days.
    assert line == "| 1 | – | 59; 112 | 2.0 | 33% | 15% | 12:00 – |"


def test_everybody_orders_once_in_working_hours_and_most_on_the_first_day() -> None:
    everybody = arrivals(Load(people=2000, days=5, painted=0.3))
    assert everybody == arrivals(Load(people=2000, days=5, painted=0.3))
    assert everybody != arrivals(Load(people=2000, days=5, painted=0.3, seed=8))
    hours = [one.at / 3600 % 24 for one in everybody]
    assert 8 <= min(hours) < max(hours) < 18
    assert sum(9 <= hour < 10 for hour in hours) > 3 * sum(12 <= hour < 13 for hour in hours)
    days = [sum(one.at // 86400 == day for one in everybody) for day in range(5)]
    assert days == sorted(days, reverse=True)
    painted = sum(one.order.way != "photo" for one in everybody) / 2000
    assert painted == pytest.approx(0.3, abs=0.03)


def test_an_order_takes_what_is_planned() -> None:
    seconds = seconds_of(Hardware(base="flux2-klein-4b", card="RTX 4090", photo_s=2.0))
    photo, painted, both = (
        seconds(Order((), count=100, way=way)) for way in ("photo", "painted", "both")
    )
    assert photo == 200
    assert painted / 60 == pytest.approx(10.4, abs=0.05)  # as docs/gpu.md has it
    assert both == photo + painted


def test_a_command_that_cannot_be_done_says_why(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--card", "Voodoo 2"]) == 2
    assert "no card is called 'Voodoo 2'; there are RTX 4060" in capsys.readouterr().err
    assert main(["--base", "flux2-klein-9b", "--card", "RTX 4060"]) == 2
    assert "Nothing was simulated: " in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["--cards", "8-1"])
    assert "'8-1' is not like 4 or 1-8" in capsys.readouterr().err


def test_the_command_prints_the_table(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--people", "30", "--days", "1", "--cards", "1-2"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[:2] == HEAD.splitlines()
    assert [line[:5] for line in lines[2:]] == ["| 1 |", "| 2 |"]


def test_the_page_has_what_is_computed() -> None:
    assert sizing(Hardware(), SIZED) in PAGE, "run `python -m tools.simulate_load --sizing`"
    assert HEAD in PAGE


@pytest.mark.slow
def test_the_page_has_what_is_simulated() -> None:
    computed = table(Load(), Hardware(), [8], queue_length=1000).splitlines()[-1]
    assert computed in PAGE, "run `python -m tools.simulate_load --queue-length 1000`"
