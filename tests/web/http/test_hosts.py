"""Under which names the server answers."""

from __future__ import annotations

import pytest

from errors import BadSettings
from settings import load
from web.http.hosts import is_ours

ALWAYS = [
    "127.0.0.1:7860",
    "192.168.1.20:7860",
    "[::1]:7860",
    "[fe80::1]",
    "localhost",
    "LOCALHOST:7860",
    "",
]
NOBODYS = ["workstation:7860", "nas.local:7860", "box.lan", "likeness.corp.internal"]
ANYBODYS = [
    "evil.example",
    "evil.example:7860",
    "127.0.0.1.evil.example",
    "localhost.evil.example",
    "evil.example.",
    "evillocal.example",
    "1.2.3",
    "[::1].evil.example",
    "[::1",
]


@pytest.mark.parametrize("host", ALWAYS)
@pytest.mark.parametrize("hosts", ["", "headshots.corp.example"])
def test_addresses_and_this_machine_always_work(host: str, hosts: str) -> None:
    assert is_ours(host, load(hosts=hosts))


@pytest.mark.parametrize("host", NOBODYS)
def test_a_name_that_nobody_can_buy_works_until_names_are_given(host: str) -> None:
    assert is_ours(host, load())
    assert not is_ours(host, load(hosts="headshots.corp.example"))


@pytest.mark.parametrize("host", ANYBODYS)
def test_a_name_that_anybody_can_buy_works_only_if_it_is_given(host: str) -> None:
    assert not is_ours(host, load())
    assert not is_ours(host, load(hosts="headshots.corp.example"))
    assert not is_ours(host, load(https=True, hosts="headshots.corp.example"))


def test_names_are_compared_without_case_and_port() -> None:
    settings = load(hosts="Headshots.corp.example other.example")
    for host in ("headshots.CORP.example:8443", "headshots.corp.example.", "other.example"):
        assert is_ours(host, settings)


def test_https_needs_no_names() -> None:
    assert is_ours("headshots.corp.example", load(https=True))


def test_what_is_no_name_stops_the_start() -> None:
    with pytest.raises(BadSettings, match="LIKENESS_HOSTS"):
        load(hosts="https://headshots.corp.example")
