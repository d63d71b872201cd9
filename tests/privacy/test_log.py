"""The log: what is said again is counted."""

from __future__ import annotations

import subprocess
import sys

import pytest

from privacy.log import Repeats


@pytest.mark.fact(35)
def test_a_line_that_comes_again_is_counted_for_a_minute() -> None:
    time = 1000.0
    repeats = Repeats(lambda: time)
    assert repeats.count("no descriptor left") == 0
    assert [repeats.count("no descriptor left") for _ in range(3)] == [None] * 3
    assert repeats.count("something else") == 0
    time += 61
    assert repeats.count("no descriptor left") == 3
    assert repeats.count("no descriptor left") is None


def test_few_lines_are_remembered() -> None:
    repeats = Repeats()
    for number in range(2000):
        assert repeats.count(f"line {number}") == 0
    assert len(repeats._lines) <= 500


@pytest.mark.fact(35)
def test_a_flood_of_errors_is_a_line_of_each_kind() -> None:
    code = """
import logging, structlog
from privacy.log import configure, warnings
configure("info")
for number in range(1000):
    logging.getLogger("asyncio").error("no descriptor for %s", number)
    structlog.get_logger().error("sweep_failed", error="OSError")
    structlog.get_logger().info("photo", number=1)
print(warnings())
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    lines = ran.stderr.splitlines()
    assert sum("asyncio" in line for line in lines) == 1
    assert sum("sweep_failed" in line for line in lines) == 1
    assert sum("event='photo'" in line for line in lines) == 1000  # news is not held back
    assert ran.stdout == "{('error', 'sweep_failed'): 1000}\n"
