"""The arithmetic of the table of painted portraits; nothing is painted here."""

from __future__ import annotations

from dev.measure_painted import PAINTINGS, Likeness, Row, middle, paintings_table, table


def test_likeness_of_portraits() -> None:
    told = Likeness.of([0.5, 0.6, -1.0, 0.363, 0.7])
    assert told == Likeness(0.5, 0.6, -1.0)


def test_the_middle_of_people_is_that_of_each_number() -> None:
    people = [Likeness(0.5, 1.0, 0.1), Likeness(0.6, 0.8, 0.2), Likeness(0.7, 0.9, 0.0)]
    assert middle(people) == Likeness(0.6, 0.9, 0.1)


def test_a_row_says_which_adapter_was_used() -> None:
    one, other = Likeness(0.5, 1.0, 0.4), Likeness(0.6, 0.5, 0.2)
    lines = list(table([Row("ann", 8, one, other, 120, 200), Row("bob", 4, one, one, None, 160)]))
    assert lines[2] == "| ann | 8 | 0.500, 1.000, 0.400 | 0.600, 0.500, 0.200 | 120 of 200 |"
    assert lines[3].endswith("| no choice |")
    assert lines[-1] == "| median | | 0.500, 1.000, 0.400 | 0.550, 0.750, 0.300 | |"
    assert len({line.count("|") for line in lines}) == 1


def test_a_column_for_each_way_of_painting() -> None:
    low, high = Likeness(0.5, 1.0, 0.4), Likeness(0.6, 0.5, 0.2)
    ways = len(PAINTINGS)
    lines = list(paintings_table({"ann": [low] * ways, "bob": [high] * ways}))
    assert lines[0].startswith("| person | noise 1.0, adapter 1.0 | noise 1.0, adapter 1.25 |")
    assert lines[2] == "| ann " + "| 0.500, 1.000, 0.400 " * ways + "|"
    assert lines[-1] == "| median " + "| 0.550, 0.750, 0.300 " * ways + "|"
    assert len({line.count("|") for line in lines}) == 1
