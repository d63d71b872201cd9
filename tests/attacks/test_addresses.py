"""Whoever is limited by address cannot choose the address."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest
from starlette.requests import Request

from errors import BadSettings
from settings import ROOT, load
from tests.support.web import served
from web.http.limits import address_of


def starts(url: str, count: int) -> set[int]:
    """Statuses of starts, each with another invented address."""
    found = set()
    with httpx.Client(headers={"origin": url}) as client:
        for number in range(count):
            forged = {"x-forwarded-for": f"203.0.{number // 250}.{number % 250}"}
            answer = client.post(f"{url}/session", data={"consent": "yes"}, headers=forged)
            client.cookies.clear()
            found.add(answer.status_code)
    return found


@pytest.mark.fact(39)
@pytest.mark.slow
def test_a_forged_header_avoids_no_limit(tmp_path: Path) -> None:
    with served(tmp_path / "scratch", starts_per_address=300) as place:
        assert starts(place.url, 320) == {303, 429}


@pytest.mark.fact(39)
@pytest.mark.slow
def test_a_declared_proxy_tells_visitors_apart(tmp_path: Path) -> None:
    with served(
        tmp_path / "scratch", starts_per_address=300, trusted_proxies="127.0.0.0/8"
    ) as place:
        assert starts(place.url, 320) == {303}


@pytest.mark.fact(39)
@pytest.mark.parametrize(
    ("host", "counted"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::ffff", "2001:db8:1:2::/64"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("fe80::1%eth0", "fe80::/64"),
        ("testclient", "testclient"),
    ],
)
def test_a_network_counts_as_one(host: str, counted: str) -> None:
    assert address_of(Request({"type": "http", "client": (host, 1)})) == counted


def test_a_proxy_that_is_no_address_stops_the_start() -> None:
    with pytest.raises(BadSettings, match="LIKENESS_TRUSTED_PROXIES"):
        load(trusted_proxies="proxy.corp.example")


@pytest.mark.fact(39)
def test_the_shipped_proxy_overwrites_what_a_client_says() -> None:
    lines = [line.strip() for line in (ROOT / "deploy" / "nginx.conf").read_text().splitlines()]
    assert "proxy_set_header X-Forwarded-For $remote_addr;" in lines
