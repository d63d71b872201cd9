"""The impact assessment: true to the settings, and to the facts that it points to."""

from __future__ import annotations

import os
import re

import pytest

import settings as configuration
from dev.fact_table import FACTS
from tools.dpia import main, page


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("LIKENESS_"):
            monkeypatch.delenv(name)


def test_the_shipped_page_is_what_the_defaults_give() -> None:
    shipped = (configuration.ROOT / "docs" / "dpia.md").read_text()
    assert shipped == page(configuration.load()), "python -m tools.dpia > docs/dpia.md"


def test_every_fact_that_it_names_is_one() -> None:
    text = page(configuration.load())
    named: set[int] = set()
    for numbers in re.findall(r"facts? ([\d, toand]+)", text) + re.findall(
        r"\| ([\d, toand]+) \|$", text, re.MULTILINE
    ):
        for first, last in re.findall(r"(\d+)(?: to (\d+))?", numbers):
            named |= set(range(int(first), int(last or first) + 1))
    assert len(named) > 30
    assert named <= FACTS.keys()


def test_every_letter_of_the_article_has_its_section() -> None:
    text = page(configuration.load())
    assert re.findall(r"^## .*\(Art\. 35\(7\)\((.)\)", text, re.MULTILINE) == ["a", "b", "c", "d"]


@pytest.mark.parametrize(
    ("changed", "then", "before"),
    [
        ({"https": True}, "HTTPS is set", "`LIKENESS_HTTPS` is off"),
        ({"retention_hours": 2}, "2 hours after delivery", "24 hours after delivery"),
        ({"undelivered_hours": 5}, "5 hours after the first photo", "48 hours after the first"),
        ({"marking": "always"}, "| always; not signed", "unless the person unticks it"),
        ({"master_key": "/keys/m"}, "a restart goes on", "a restart makes everything unreadable"),
        ({"c2pa_key": "k", "c2pa_chain": "c"}, "; signed (C2PA)", "nothing is signed"),
        ({"operator": "ACME"}, "| controller | ACME |", "`LIKENESS_OPERATOR` is not set"),
        ({"contact": "x@acme.example"}, "| x@acme.example |", "`LIKENESS_CONTACT` is not set"),
    ],
)
def test_it_is_told_from_the_settings(changed: dict[str, object], then: str, before: str) -> None:
    usual, set_otherwise = page(configuration.load()), page(configuration.load(**changed))
    assert then in set_otherwise
    assert then not in usual
    assert before in usual
    assert before not in set_otherwise


def test_tables_have_as_many_cells_in_each_row() -> None:
    for https in (False, True):
        text = page(configuration.load(https=https, c2pa_key="k", c2pa_chain="c"))
        for table in re.findall(r"(?:^\|.*\|\n)+", text, re.MULTILINE):
            assert len({line.count("|") for line in table.splitlines()}) == 1, table


def test_the_command_prints_it_and_says_what_is_wrong(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIKENESS_OPERATOR", "ACME")
    assert main() == 0
    assert "| controller | ACME |" in capsys.readouterr().out
    monkeypatch.setenv("LIKENESS_RETENTION_HOURS", "for ever")
    assert main() == 2
    assert "LIKENESS_RETENTION_HOURS" in capsys.readouterr().err


def test_a_name_with_a_bar_breaks_no_table() -> None:
    assert "| controller | A\\|B |" in page(configuration.load(operator="A|B"))
