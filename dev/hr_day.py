"""A day of an HR manager: a kit, ten invitations, ten people, their portraits handed in and erased.

    python -m dev.hr_day OUT [PHOTO...]

One photo is one person; without any, the three people of tests/samples, who do not exist. The real
server with `deploy/example-company/`, everybody in a Chromium of their own, one after the other.
OUT gets the screens of the first person (hr-N-STEP.webp) and the wall of all portraits (wall.png).
Prints a table of what took how long, in Markdown.
"""

from __future__ import annotations

import io
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pyrage
from PIL import Image, ImageOps
from playwright.sync_api import Browser, Page, expect, sync_playwright

import settings as configuration
from dev.make_screens import DEVICES, MINUTE_MS, Album
from dev.own_server import own_server

COMPANY = configuration.ROOT / "deploy" / "example-company"
SAMPLES = configuration.ROOT / "tests" / "samples"
PORTRAITS = 4
LABEL = "spring"
SIZE, WALL_PX, COLUMNS = "Badge", (180, 240), 5


class Day:
    """What was done, how often and for how long."""

    def __init__(self) -> None:
        self._seconds: dict[str, list[float]] = {}

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        began = time.monotonic()
        yield
        self._seconds.setdefault(name, []).append(time.monotonic() - began)
        print(f"{name}: {self._seconds[name][-1]:.1f} s", file=sys.stderr, flush=True)

    def table(self) -> str:
        rows = ["| step | times | seconds, all | longest |", "|---|---|---|---|"]
        for name, took in self._seconds.items():
            rows.append(f"| {name} | {len(took)} | {sum(took):.1f} | {max(took):.1f} |")
        return "\n".join(rows)


def kit(folder: Path) -> tuple[Path, Path, pyrage.x25519.Identity]:
    """The example company's folder with a key of HR; the folder that HR fetches from; the key."""
    shutil.copytree(COMPANY, folder / "company")
    box = folder / "headshots"
    box.mkdir()
    key = pyrage.x25519.Identity.generate()
    hand_in = folder / "company" / "hand-in.toml"
    text = hand_in.read_text().replace("/srv/headshots", str(box))
    hand_in.write_text(text.replace("age1…", str(key.to_public())).replace("= 60", "= 0"))
    hand_in.chmod(0o600)
    return folder / "company", box, key


def invitations(count: int, url: str, receipts: Path) -> list[str]:
    """Links, one for each person, by the command that HR uses."""
    command = ["-m", "web.invite", "--url", url, "--count", str(count), "--label", LABEL]
    done = subprocess.run(
        [sys.executable, *command],
        cwd=configuration.ROOT,
        env={"LIKENESS_RECEIPTS": str(receipts), "LIKENESS_ENTRANCE": "invited"},
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout.split()


def visit(page: Page, link: str, photo: Path, day: Day, album: Album | None) -> None:
    """From the link to portraits that were handed in."""
    with day.step("a person opens the link and adds a photo"):
        page.goto(link)
        if album:
            album.take("welcome")
        page.get_by_role("checkbox", name="The photos I add").check()
        with page.expect_file_chooser() as chooser:
            page.locator("#choose").click()
        chooser.value.set_files(photo)
        expect(page.locator(".photo.accepted")).to_have_count(1, timeout=MINUTE_MS)
    with day.step(f"{PORTRAITS} portraits"):
        page.get_by_role("button", name="Choose looks").click()
        page.get_by_role("checkbox", name="Acme blue").check()
        page.get_by_role("button", name="Create my portraits").click()
        expect(page.locator("body[data-stage=done]")).to_have_count(1, timeout=5 * MINUTE_MS)
    if album:
        album.take("portraits")
    with day.step("one portrait is handed in"):
        with page.expect_response("**/heart"):
            page.locator(".tile:visible .heart").first.click()
        choices = page.locator("[data-slot=size]")
        if choices.locator(f"option[value={SIZE}]:not([disabled]):not([hidden])").count():
            choices.select_option(SIZE)
        page.get_by_role("button", name="Give to").first.click()
        dialog = page.locator("#hand-in")
        dialog.get_by_label("Your name or staff number").fill("4711")
        yes = dialog.locator("[data-slot=yes]")
        expect(yes).to_be_enabled(timeout=MINUTE_MS)
        if album:
            album.take("hand-in")
        yes.click()
        expect(page.locator(".given li")).to_contain_text("lies ready", timeout=MINUTE_MS)
    if album:
        page.locator(".given li").scroll_into_view_if_needed()
        album.take("given")


def fetch(box: Path, key: pyrage.x25519.Identity) -> list[Image.Image]:
    """HR moves the files away, opens them, and has the pictures."""
    found = []
    for file in sorted(box.glob("*.zip.age")):
        away = file.rename(file.parent.parent / file.name)
        with zipfile.ZipFile(io.BytesIO(pyrage.decrypt(away.read_bytes(), [key]))) as parcel:
            for name in parcel.namelist():
                if not name.endswith(".json"):
                    picture = Image.open(io.BytesIO(parcel.read(name)))
                    picture.load()
                    print(f"fetched: {name}, {picture.size}", file=sys.stderr, flush=True)
                    found.append(picture.convert("RGB"))
    return found


def wall(pictures: Sequence[Image.Image]) -> Image.Image:
    """All of them beside each other, at one size."""
    width, height = WALL_PX
    rows = -(-len(pictures) // COLUMNS)
    made = Image.new("RGB", (width * COLUMNS, height * rows), "white")
    for number, picture in enumerate(pictures):
        row, column = divmod(number, COLUMNS)
        made.paste(ImageOps.fit(picture, WALL_PX), (column * width, row * height))
    return made


def leave(page: Page, day: Day, album: Album | None) -> None:
    with day.step("a person deletes everything"):
        page.get_by_role("button", name="Delete everything").click()
        page.get_by_role("button", name="Yes, delete everything").click()
        expect(page.get_by_role("heading", name="Your receipt")).to_be_visible(timeout=MINUTE_MS)
    if album:
        album.take("goodbye")


def walk(photos: Sequence[Path], browser: Browser, folder: Path, out: Path) -> Day:
    """The whole day, with the screens of the first person and the wall of all in `out`."""
    day = Day()
    with day.step("the kit is copied, HR's key made"):
        company, box, key = kit(folder)
    receipts = folder / "receipts"
    given = {
        "BRAND": company / "brand.toml",
        "HAND_IN": company / "hand-in.toml",
        "ENTRANCE": "invited",
        "PORTRAITS": PORTRAITS,
        "RECEIPTS": receipts,
        "SCRATCH": folder / "scratch",
    }
    began = time.monotonic()
    with own_server(**given) as (_, url):
        print(f"started in {time.monotonic() - began:.1f} s", file=sys.stderr, flush=True)
        with day.step("invitations are made"):
            links = invitations(len(photos), url, receipts)
        pages: list[tuple[Page, Album | None]] = []
        for link, photo in zip(links, photos, strict=True):
            page = browser.new_context(base_url=url, **DEVICES["desktop"]).new_page()
            album = None if pages else Album(page, "hr", out)
            pages.append((page, album))
            visit(page, link, photo, day, album)
            if album is None:
                page.goto("about:blank")  # the tab is closed; the cookie stays
        with day.step("HR fetches and opens what was handed in"):
            pictures = fetch(box, key)
        for page, album in pages:
            if album is None:
                page.goto("/studio/")
            leave(page, day, album)
    with day.step("the log of receipts is checked"):
        subprocess.run(
            [sys.executable, "-m", "privacy.verify_log", receipts, "--key", receipts / "log.pub"],
            cwd=configuration.ROOT,
            check=True,
        )
    wall(pictures).save(out / "wall.png")
    return day


def main(arguments: Sequence[str]) -> int:
    if not arguments:
        print(__doc__, file=sys.stderr)
        return 2
    out, photos = Path(arguments[0]), [Path(name).resolve() for name in arguments[1:]]
    chromium = shutil.which("chromium")
    if chromium is None:
        print("This needs Chromium: apt install chromium", file=sys.stderr)
        return 2
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        people = photos or sorted(SAMPLES.glob("*.jpg"))
        day = walk(people, browser, Path(folder), out)
        browser.close()
    print(day.table())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
