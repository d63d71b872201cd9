"""Chromium, and what watches it. Without one these tests are skipped, with the reason; in CI
(variable CI set) they fail.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect, sync_playwright

from tests.support.browser import CHROMIUM, FLAGS, SHELL, Watch

OURS = [
    *FLAGS,
    # One process for all pages, which are all of one site: each process more costs half a second.
    "--disable-site-isolation-trials",
    "--renderer-process-limit=1",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
]


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """Per module, not per session: while Playwright is open, no test may use asyncio.run."""
    if not os.path.exists(CHROMIUM):
        reason = "needs Chromium: apt install chromium"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    expect.set_options(timeout=30_000)  # two busy cores are slow, not broken
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=SHELL, args=OURS)
        yield browser
        browser.close()


@pytest.fixture
def watch() -> Watch:
    return Watch()
