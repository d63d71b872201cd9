"""The main job as a visitor does it: the real server, the real base, a real Chromium.

Five photos of somebody who does not exist, one file that is no photo, six portraits (a hundred
would only take longer), then everything deleted. Training is the real one, with a sixteenth of
the steps (the full recipe is measured by `make bench ONLY=main_job`), and so is what the
portraits are judged by.
"""

from __future__ import annotations

import io
import os
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, expect

import settings as configuration
from pipeline.photos.detection import SAME_PERSON, Faces
from tests.support.browser import (
    Watch,
    add_photos,
    come_in,
    open_looks,
    order_portraits,
    stage,
    visit,
)

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(900)]

MINI = configuration.ROOT / "models" / "studio-mini"
PORTRAITS = 6
STEPS = 12
MINUTE_MS = 60_000


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    return tmp_path / "scratch"


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """The base that ships with the project, with a shorter recipe."""
    folder = tmp_path / "studio-mini"
    folder.mkdir()
    for file in MINI.iterdir():
        (folder / file.name).symlink_to(file)
    recipe = folder / "recipe.toml"
    full = recipe.read_text()
    recipe.unlink()
    recipe.write_text(f"{full}\nsteps = {STEPS}\nvariants = 4\n")
    return folder


@pytest.fixture
def url(scratch: Path, base: Path) -> Iterator[str]:
    """`python app.py` as an operator starts it."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("LIKENESS_")}
    environment |= {
        "LIKENESS_PORT": "0",
        "LIKENESS_SCRATCH": str(scratch),
        "LIKENESS_RECEIPTS": str(scratch.with_name("receipts")),
        "LIKENESS_PORTRAITS": str(PORTRAITS),
        "LIKENESS_BASE": str(base),
    }
    server = subprocess.Popen(
        [sys.executable, "app.py"],
        cwd=configuration.ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert server.stdout is not None
    yield server.stdout.readline().rsplit(" ", 1)[-1].strip()
    server.terminate()
    server.wait(20)


def test_selfies_in_portraits_out_nothing_left(
    chromium: Browser,
    url: str,
    scratch: Path,
    watch: Watch,
    selfie_jpegs: list[bytes],
    faces: Faces,
    tmp_path: Path,
) -> None:
    selfies = selfie_jpegs[:5]
    with visit(chromium, url, watch) as page:
        come_in(page)
        add_photos(page, [*selfies, b"a text that calls itself a photo"])
        expect(page.locator(".photo.accepted")).to_have_count(5, timeout=MINUTE_MS)
        expect(page.locator(".photo:not(.accepted)")).to_contain_text("not a photo we can open")
        open_looks(page)
        page.get_by_role("checkbox", name="Old Money").check()
        page.get_by_role("checkbox", name="Black & White").check()
        order_portraits(page)
        expect(page.locator("#job h2")).to_have_text("Learning your face", timeout=5 * MINUTE_MS)

        page.reload()  # the job goes on, the page catches up
        expect(page.locator("button.portrait").first).to_be_visible(timeout=12 * MINUTE_MS)
        expect(stage(page, "done")).to_have_count(1, timeout=3 * MINUTE_MS)
        expect(page.locator("button.portrait")).to_have_count(PORTRAITS)
        expect(page.locator(".countdown")).to_have_text("Everything is erased in 24 hours")

        with page.expect_download() as download:
            page.get_by_role("link", name="Download all").click()
        bundle = tmp_path / "portraits.zip"
        download.value.save_as(bundle)
        assert len(pictures(bundle)) == PORTRAITS
        assert share_of_same_person(pictures(bundle), selfies, faces) >= 0.5

        cookie = page.context.cookies()[0]
        addresses = ["/status", "/portraits.zip", "/portrait/portrait-001", "/photo/photo-01"]
        assert [page.request.get(address).status for address in addresses] == [200] * 4
        page.get_by_role("button", name="Delete everything").click()
        page.get_by_role("button", name="Yes, delete everything").click()
        expect(page).to_have_url(f"{url}/goodbye")
        assert page.context.cookies() == []
        watch.clean()

        page.context.add_cookies([cookie])  # type: ignore[list-item]  # the old cookie, kept by somebody, opens nothing
        assert [page.request.get(address).status for address in addresses] == [404] * 4
    assert list((scratch / "vault").rglob("*")) == []


def pictures(bundle: Path) -> list[np.ndarray]:
    with zipfile.ZipFile(bundle) as opened:
        assert opened.testzip() is None
        images = [Image.open(io.BytesIO(opened.read(name))) for name in opened.namelist()]
    assert all(min(image.size) >= 512 for image in images)
    return [np.asarray(image.convert("RGB")) for image in images]


def share_of_same_person(portraits: list[np.ndarray], selfies: list[bytes], faces: Faces) -> float:
    """How many portraits a face recogniser takes for the person in the selfies."""
    photos = [np.asarray(Image.open(io.BytesIO(data))) for data in selfies]
    mean = np.mean([faces.embed(photo, faces.detect(photo)[0]) for photo in photos], axis=0)
    person = (mean / np.linalg.norm(mean)).astype(np.float32)
    return float(np.mean([faces.likeness(picture, person) > SAME_PERSON for picture in portraits]))
