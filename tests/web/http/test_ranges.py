"""What of a download is asked for."""

from __future__ import annotations

import pytest
from starlette.requests import Request

from web.http.ranges import part_of, tag

ETAG = tag("this")


def asked(**headers: str) -> tuple[int, int, int]:
    """Status, start and stop of a request for 1000 bytes."""
    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    part = part_of(Request({"type": "http", "headers": raw}), 1000, ETAG)
    return part.status, part.start, part.stop


@pytest.mark.parametrize(
    ("range", "told"),
    [
        ("bytes=0-", (200, 0, 1000)),
        ("bytes=0-0", (206, 0, 1)),
        ("bytes=100-", (206, 100, 1000)),
        ("bytes=100-199", (206, 100, 200)),
        ("bytes=990-5000", (206, 990, 1000)),
        ("bytes=-10", (206, 990, 1000)),
        ("bytes=-5000", (200, 0, 1000)),
        ("bytes=1000-", (416, 1000, 1000)),
        ("bytes=99999999999999999-", (416, 1000, 1000)),
        ("bytes=-0", (416, 1000, 1000)),
    ],
)
def test_one_range(range: str, told: tuple[int, int, int]) -> None:
    assert asked(range=range) == told


@pytest.mark.parametrize(
    "range", ["", "bytes=-", "bytes=5-4", "bytes=1-2,4-5", "items=1-2", "bytes=a-b", "bytes=1"]
)
def test_what_is_no_single_range_is_answered_with_the_whole(range: str) -> None:
    assert asked(range=range) == (200, 0, 1000)


def test_a_range_of_something_else_is_answered_with_the_whole() -> None:
    assert asked(range="bytes=100-", if_range=ETAG) == (206, 100, 1000)
    assert asked(range="bytes=100-", if_range=tag("that")) == (200, 0, 1000)
    assert asked(range="bytes=100-", if_range="Wed, 21 Oct 2026 07:28:00 GMT") == (200, 0, 1000)
