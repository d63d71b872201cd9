"""The page below a path of a company's portal, behind a real nginx."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from playwright.sync_api import Browser, FilePayload, Page, expect

from tests.support.browser import Watch, finished, visit
from tests.support.proxy import below
from tests.support.web import Place, served

pytestmark = pytest.mark.browser

PATH = "/company/headshots"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("scratch")
    with served(folder, step_s=0.05, portraits=3, root_path=PATH) as place:
        yield place


@pytest.fixture(params=[False, True], ids=["as it came", "stripped"])
def portal(place: Place, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[str]:
    with below(tmp_path, PATH, place.url, stripped=request.param) as url:
        yield url


def begin(page: Page, url: str, photo: bytes) -> None:
    page.goto(f"{url}{PATH}/")
    page.get_by_role("checkbox", name="The photos I add").check()
    page.locator("#photos").set_input_files(
        FilePayload(name="me.jpg", mimeType="image/jpeg", buffer=photo)
    )
    expect(page.get_by_role("img", name="Your portrait, Corporate")).to_be_visible()


def test_the_whole_walk_stays_below_the_path(
    chromium: Browser, portal: str, watch: Watch, selfie_jpegs: list[bytes]
) -> None:
    with visit(chromium, portal, watch) as page, visit(chromium, portal, watch) as phone:
        begin(page, portal, selfie_jpegs[0])
        with page.expect_download() as saved:
            page.get_by_role("link", name="Download portrait").click()
        assert saved.value.path().stat().st_size > 10_000
        page.get_by_role("button", name="Create my portraits").click()
        finished(page)
        with page.expect_download() as saved:
            page.get_by_role("link", name="Download all").click()
        assert len(zipfile.ZipFile(saved.value.path()).namelist()) == 3

        page.get_by_role("button", name="Continue on another device").first.click()
        field = page.locator("#private-link [data-slot=link]")
        expect(field).not_to_have_value("")
        link = field.input_value()
        assert link.startswith(f"{portal}{PATH}/return#")
        page.keyboard.press("Escape")
        phone.goto(link)
        phone.locator("#open").click()
        expect(phone.locator(".countdown")).to_contain_text("rased in")

        cookies = page.context.cookies()
        assert cookies
        assert all(cookie["path"].startswith(f"{PATH}/") for cookie in cookies)
        page.get_by_role("button", name="Delete everything").click()
        page.get_by_role("button", name="Yes, delete everything").click()
        page.wait_for_url(f"{portal}{PATH}/goodbye")
    asked = [urlsplit(url) for url in watch.requests]
    assert {url.path.startswith(f"{PATH}/") for url in asked if url.scheme == "http"} == {True}
    assert watch.foreign == []
    assert watch.complaints == []


def test_what_is_beside_us_gets_no_cookie_and_the_path_alone_leads_in(portal: str) -> None:
    with httpx.Client(headers={"origin": portal}) as client:
        assert client.get(f"{portal}{PATH}/static/favicon.svg").status_code == 200
        answer = client.post(f"{portal}{PATH}/session", data={"consent": "yes"})
        assert answer.status_code == 303
        assert answer.headers["location"] == f"{PATH}/studio/"
        assert client.get(f"{portal}{PATH}/status").status_code == 200
        beside = client.get(f"{portal}/another")
        assert beside.status_code == 418
        assert "cookie" not in beside.request.headers
        assert client.get(f"{portal}{PATH}/studio/../../etc").status_code in (404, 418)


def test_the_path_without_its_end_leads_in(place: Place) -> None:
    answer = httpx.get(f"{place.url}{PATH}")
    assert answer.status_code == 308
    assert answer.headers["location"] == f"{PATH}/"
    assert httpx.get(f"{place.url}/health").status_code == 200
