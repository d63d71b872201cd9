"""How long a company waits for its portraits, by number of cards: simulated, nothing is run.

    python -m tools.simulate_load --people 3000 --cards 1-8 --painted 0.3

Each person orders once, within some working days: most on the first, most in the morning after the
e-mail, few at noon. Seconds of painted orders are the planner's for a base on a card, those of
photos `pace.Pace`'s; whose order is next is decided by the queue's own code (`simulated_queue`).
"""

from __future__ import annotations

import argparse
import random
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from statistics import median, quantiles

from errors import BaseUnavailable
from pipeline.orders import Order, OrderedWay
from pipeline.planning import cards
from pipeline.planning.cost import Workload
from pipeline.planning.facts import Facts
from pipeline.planning.pace import Pace
from pipeline.planning.planning import Machine, choose
from settings import ROOT, Settings
from tools.plan_tables import known
from tools.simulated_queue import Arrival, Served, SimulatedLane, SimulatedQueue

DAY_S, HOUR_S = 86400.0, 3600.0

HOURS = {8: 2.0, 9: 5.0, 10: 4.0, 11: 3.0, 12: 1.0, 13: 2.0, 14: 3.0, 15: 2.5, 16: 1.5, 17: 1.0}
"""How many come within which hour of a working day, as weights."""

LATER = 0.6
"""How many come on a day, by those of the day before."""

PORTRAITS = {20: 15, 50: 25, 100: 50, 200: 10}
"""Portraits of an order, and how many people ask for that many, as weights."""

BOTH = 0.5
"""Share of those who order painted portraits who order the photo's as well."""

PHOTOS, LOOKS = 12, 8
"""Of each painted order, as in the tables of docs/gpu.md."""

SIZED = ("RTX 4080", "RTX 4090", "L40S", "H100")
"""Cards of the table of sizes in docs/cluster.md."""

HEAD = (
    "| cards | photo: waits, min | painted: waits, min | longest, h | queue was full | "
    "cards at work | queue ends |\n|---|---|---|---|---|---|---|"
)


@dataclass(frozen=True)
class Load:
    """Who orders. painted: share of people who order painted portraits; together: everybody comes
    from one address."""

    people: int = 3000
    days: int = 5
    painted: float = 0.3
    together: bool = False
    seed: int = 7


@dataclass(frozen=True)
class Hardware:
    """What makes portraits. photo_places: lanes without a card; photo_s: seconds a portrait."""

    base: str = "flux2-klein-4b"
    card: str = "RTX 4090"
    photo_places: int = 2
    photo_s: float = Pace().photo


def arrivals(load: Load) -> list[Arrival]:
    """Everybody's order; the same for the same load."""
    chance = random.Random(load.seed)
    return [_arrival(f"person-{number + 1}", load, chance) for number in range(load.people)]


def _arrival(name: str, load: Load, chance: random.Random) -> Arrival:
    (day,) = chance.choices(range(load.days), [LATER**day for day in range(load.days)])
    (hour,) = chance.choices(list(HOURS), list(HOURS.values()))
    (count,) = chance.choices(list(PORTRAITS), list(PORTRAITS.values()))
    way: OrderedWay = "photo"
    if chance.random() < load.painted:
        way = "both" if chance.random() < BOTH else "painted"
    at = day * DAY_S + (hour + chance.random()) * HOUR_S
    return Arrival(name, at, Order((), count=count, way=way), "company" if load.together else None)


def seconds_of(hardware: Hardware) -> Callable[[Order], float]:
    """How long an order takes there.

    Raises:
        ValueError: the base or the card is unknown.
        BaseUnavailable: the base does not fit on the card.
    """
    card = cards.known(hardware.card)
    facts = {found.key: found for found in known(ROOT / "tools" / "bases")}
    if card is None:
        there = ", ".join(card.name for card in cards.CARDS)
        raise ValueError(f"no card is called {hardware.card!r}; there are {there}")
    if hardware.base not in facts:
        there = ", ".join(facts)
        raise ValueError(f"no base with counts is called {hardware.base!r}; there are {there}")
    painted = _painted(facts[hardware.base], Machine(card.free, card.reached))
    painted(1)

    def seconds(order: Order) -> float:
        photo = hardware.photo_s * order.count if "photo" in order.ways else 0.0
        return photo + (painted(order.count) if "painted" in order.ways else 0.0)

    return seconds


def _painted(base: Facts, machine: Machine) -> Callable[[int], float]:
    @cache
    def seconds(count: int) -> float:
        return choose(base, Workload(PHOTOS, LOOKS, count), machine).seconds or 0.0

    return seconds


def lanes(number: int, photo_places: int) -> list[SimulatedLane]:
    """So many cards, and places for photos beside them."""
    ways: tuple[OrderedWay, ...] = ("photo", "painted", "both")
    on_cards = [SimulatedLane(f"likeness-{n + 1}", ways) for n in range(number)]
    beside = [SimulatedLane(f"likeness-photo-{n + 1}", ("photo",)) for n in range(photo_places)]
    return [*on_cards, *beside]


def row(number: int, served: Sequence[Served], days: int) -> str:
    """One line of the table. number: of cards."""
    photo = [one.waited for one in served if one.arrival.order.way == "photo"]
    painted = [one.waited for one in served if one.arrival.order.way != "photo"]
    full = sum(one.refused > 0 for one in served) / len(served)
    on_cards = [one for one in served if not one.lane.startswith("likeness-photo")]
    opening = [(day * DAY_S + min(HOURS) * HOUR_S, len(HOURS) * HOUR_S) for day in range(days)]
    worked = sum(_within(one, start, length) for one in on_cards for start, length in opening)
    share = worked / (number * days * len(HOURS) * HOUR_S)
    longest = max(one.waited for one in served) / HOUR_S
    cells = [str(number), _waits(photo), _waits(painted), f"{longest:.1f}", f"{full:.0%}"]
    cells += [f"{share:.0%}", " ".join(_end(served, day) for day in range(days))]
    return "| " + " | ".join(cells) + " |"


def _waits(seconds: Sequence[float]) -> str:
    """Median and 95th percentile, minutes."""
    if len(seconds) < 2:
        return "–"
    most = quantiles(seconds, n=20, method="inclusive")[-1]
    return f"{median(seconds) / 60:.0f}; {most / 60:.0f}"


def _within(one: Served, start: float, length: float) -> float:
    return max(0.0, min(one.ended, start + length) - max(one.began, start))


def _end(served: Sequence[Served], day: int) -> str:
    """When the last order of those ended who came on that day; +1 on the next day."""
    ends = [one.ended for one in served if one.arrival.at // DAY_S == day]
    if not ends:
        return "–"
    later, second = divmod(max(ends) - day * DAY_S, DAY_S)
    shown = f"{int(second // HOUR_S):02}:{int(second % HOUR_S // 60):02}"
    return f"{shown}+{later:.0f}" if later else shown


def table(load: Load, hardware: Hardware, numbers: Sequence[int], queue_length: int) -> str:
    """Markdown: a line for each number of cards.

    Raises:
        ValueError, BaseUnavailable: see `seconds_of`.
    """
    seconds, people = seconds_of(hardware), arrivals(load)

    def line(number: int) -> str:
        there = lanes(number, hardware.photo_places)
        queue = SimulatedQueue(there, queue_length=queue_length, seconds=seconds)
        return row(number, queue.run(people), load.days)

    return "\n".join([HEAD, *map(line, numbers)])


def sizing(hardware: Hardware, names: Sequence[str]) -> str:
    """Markdown: orders of 100 portraits that one card of each name makes in ten hours."""
    lines = ["| card | minutes an order | people in ten hours |", "|---|---|---|"]
    for name in names:
        order = Order((), count=100, way="painted")
        try:
            seconds = seconds_of(Hardware(hardware.base, name))(order)
        except BaseUnavailable:
            lines.append(f"| {name} | does not fit | |")
            continue
        lines.append(f"| {name} | {seconds / 60:.1f} | {10 * HOUR_S / seconds:.0f} |")
    return "\n".join(lines)


def _range(text: str) -> range:
    first, _, last = text.partition("-")
    if not (first + last).isdecimal() or not 1 <= int(first) <= int(last or first):
        raise argparse.ArgumentTypeError(f"{text!r} is not like 4 or 1-8")
    return range(int(first), int(last or first) + 1)


def main(arguments: list[str] | None = None) -> int:
    """Print the table; returns the exit code."""
    usual, there = Load(), Hardware()
    parser = argparse.ArgumentParser(
        prog="python -m tools.simulate_load",
        description="How long people wait for their portraits, by number of cards.",
    )
    add = parser.add_argument
    add("--people", type=int, default=usual.people)
    add("--days", type=int, default=usual.days, help="working days within which they come")
    add("--cards", type=_range, default=range(1, 9), metavar="1-8", help="or one number")
    add("--painted", type=float, default=usual.painted, help="share who order painted portraits")
    add("--together", action="store_true", help="everybody comes from one address")
    add("--seed", type=int, default=usual.seed)
    add("--photo-places", type=int, default=there.photo_places, help="lanes without a card")
    add("--photo-seconds", type=float, default=there.photo_s, help="of one portrait of a photo")
    add("--base", default=there.base, help="a key of tools/bases")
    add("--card", default=there.card, help="as in docs/gpu.md")
    length = Settings.model_fields["queue_length"].default
    add("--queue-length", type=int, default=length, help="LIKENESS_QUEUE_LENGTH")
    add("--sizing", action="store_true", help="only what one card of each kind makes in a day")
    chosen = parser.parse_args(arguments)
    load = Load(chosen.people, chosen.days, chosen.painted, chosen.together, chosen.seed)
    hardware = Hardware(chosen.base, chosen.card, chosen.photo_places, chosen.photo_seconds)
    try:
        if chosen.sizing:
            print(sizing(hardware, SIZED))
        else:
            print(table(load, hardware, chosen.cards, chosen.queue_length))
    except (ValueError, BaseUnavailable) as why:
        print(f"Nothing was simulated: {why}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
