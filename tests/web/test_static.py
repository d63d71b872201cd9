"""The style sheets: every page links what there is, and nothing is left that no page links."""

from __future__ import annotations

import re

import httpx

from settings import ROOT


def linked(page: str) -> list[str]:
    return re.findall(r'<link rel="stylesheet" href="(/static/[^"]+)"', page)


def test_every_style_sheet_is_linked_and_there(ann: httpx.Client) -> None:
    pages = ("/", "/shared", "/studio/")
    addresses = {address for page in pages for address in linked(ann.get(page).text)}
    assert all(ann.get(address).status_code == 200 for address in addresses)
    files = {f"/static/css/{path.name}" for path in (ROOT / "web/static/css").glob("*.css")}
    assert addresses == files - {"/static/css/admin.css"}  # of a page that is not there


def test_style_sheets_are_links_in_the_head_so_that_no_page_flashes(ann: httpx.Client) -> None:
    for page in ("/", "/shared", "/studio/"):
        text = ann.get(page).text
        assert linked(text.partition("</head>")[0]) == linked(text) != []
    for path in (ROOT / "web/static/css").glob("*.css"):
        assert "@import" not in path.read_text(), path.name
