"""What somebody is called when they are painted: asked beside the painted way, and only there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest
from playwright.sync_api import Browser, expect

from tests.support.browser import enter
from tests.support.large import served_with_sdxl
from tests.support.web import Place

pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with served_with_sdxl(tmp_path_factory.mktemp("scratch")) as place:
        yield place


def test_it_is_asked_where_a_large_base_paints(chromium: Browser, place: Place) -> None:
    with closing(chromium.new_page(base_url=place.url)) as page:
        page.goto("/")
        enter(page)
        words = page.locator("#class_word")
        page.get_by_role("radio", name="Painted by a model of your face").check()
        expect(words.get_by_role("radio", name="a person")).to_be_checked()
        words.get_by_role("radio", name="a woman").check()
        page.locator("#way input[value=photo]").check()
        expect(words).to_be_hidden()
        page.locator("#way input[value=both]").check()
        expect(words.get_by_role("radio", name="a woman")).to_be_checked()
