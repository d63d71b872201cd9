"""Pictures of each step of the walk, for the README: docs/screens/{desktop,phone}-N-STEP.webp.

    python -m dev.make_screens [--to docs/screens] [--count 16]

The real server and one photo, NASA's portrait of Eileen Collins (`dev.fetch_astronaut`, public
domain), walked twice in Chromium (Debian's `chromium` must be installed).
"""

from __future__ import annotations

import argparse
import io
import shutil
import sys
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import Page, expect, sync_playwright

import settings as configuration
from dev.fetch_astronaut import PHOTO
from dev.own_server import own_server

DEVICES: dict[str, dict[str, Any]] = {
    "desktop": {"viewport": {"width": 1280, "height": 800}},
    "phone": {
        "viewport": {"width": 390, "height": 844},
        "has_touch": True,
        "is_mobile": True,
        "device_scale_factor": 2,
    },
}
LOOKS = ("Old Money", "Black & White")
QUALITY = 80
MINUTE_MS = 60_000.0


class Album:
    """Takes the pictures of one device, numbered in the order of the walk."""

    def __init__(self, page: Page, device: str, folder: Path) -> None:
        self._page, self._device, self._folder = page, device, folder
        self._taken = 0

    def take(self, step: str) -> None:
        self._taken += 1
        self._page.evaluate("() => document.fonts.ready")
        self._page.wait_for_timeout(700)  # pictures decode, bars come to rest
        file = self._folder / f"{self._device}-{self._taken}-{step}.webp"
        with Image.open(io.BytesIO(self._page.screenshot())) as picture:
            picture.convert("RGB").save(file, quality=QUALITY, method=6)
        print(file.name, file.stat().st_size, file=sys.stderr, flush=True)


def walk(page: Page, album: Album) -> None:
    """From the welcome page to the receipt, a picture of each step."""
    page.goto("/")
    album.take("welcome")
    page.get_by_role("checkbox", name="The photos I add").check()
    with page.expect_file_chooser() as chooser:
        page.locator("#choose").click()
    chooser.value.set_files(PHOTO)
    expect(page.locator(".photo.accepted")).to_have_count(1, timeout=MINUTE_MS)
    expect(page.locator("#editor canvas[data-slot=picture]")).to_be_visible()
    _to(page, "#photos")
    album.take("photos")
    page.locator("#editor").get_by_role("radio", name="Old Money").check()
    _to(page, "#editor")
    page.wait_for_timeout(2_000)  # the wall is painted
    album.take("editor")
    page.get_by_role("button", name="Choose looks").click()
    for look in LOOKS:
        page.get_by_role("checkbox", name=look).check()
    _to(page, "#looks")
    album.take("looks")
    page.get_by_role("button", name="Create my portraits").click()
    expect(page.locator("button.portrait").nth(5)).to_be_visible(timeout=15 * MINUTE_MS)
    album.take("waiting")
    expect(page.locator("body[data-stage=done]")).to_have_count(1, timeout=5 * MINUTE_MS)
    for number in (0, 1, 3):
        with page.expect_response("**/heart"):
            page.locator(".tile:visible .heart").nth(number).click()
    _to(page, "#portraits")
    album.take("portraits")
    page.locator(".tile:visible .portrait").first.click()
    album.take("large")
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Ask colleagues").click()
    expect(page.get_by_label("Link for colleagues")).not_to_have_value("")
    album.take("share")
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Delete everything").click()
    page.get_by_role("button", name="Yes, delete everything").click()
    expect(page.get_by_role("heading", name="Your receipt")).to_be_visible()
    album.take("goodbye")


def _to(page: Page, part: str) -> None:
    """Scroll so that a part of the page begins below the bar."""
    page.evaluate(
        """(part) => {
          const bar = document.querySelector(".bar").offsetHeight;
          const top = document.querySelector(part).getBoundingClientRect().top + scrollY;
          scrollTo(0, top - bar - 16);
        }""",
        part,
    )
    page.mouse.move(0, 0)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--to", type=Path, default=configuration.ROOT / "docs/screens")
    parser.add_argument("--count", type=int, default=16)
    parser.add_argument("--only", choices=DEVICES)
    chosen = parser.parse_args()
    chromium = shutil.which("chromium")
    if chromium is None:
        print("This needs Chromium: apt install chromium", file=sys.stderr)
        return 2
    chosen.to.mkdir(parents=True, exist_ok=True)
    with own_server(PORTRAITS=chosen.count) as (_, url), sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for device, options in DEVICES.items():
            if chosen.only in (None, device):
                page = browser.new_context(base_url=url, **options).new_page()
                walk(page, Album(page, device, chosen.to))
                page.context.close()
        browser.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
