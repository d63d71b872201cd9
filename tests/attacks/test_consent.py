"""The kept consent under attack: by a stranger, by another visitor, by a thief of the disk."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import httpx
import pytest

from tests.support.web import Place, session_of, visitor
from tests.web.test_consent import receipt_of


@pytest.mark.fact(53)
def test_nobody_else_gets_it_and_it_goes_with_everything(
    place: Place, ann: httpx.Client, stranger: httpx.Client
) -> None:
    assert stranger.get("/session/consent").status_code == 404
    with closing(visitor(place)) as bob:
        mine, theirs = receipt_of(ann), receipt_of(bob)
        assert mine["dpv:hasRecordOfActivity"] != theirs["dpv:hasRecordOfActivity"]
        session, identifier = session_of(place, ann), mine["dpv:hasRecordOfActivity"][0]["@id"]
        folder = place.services.settings.scratch
        assert _holding(folder, session.id) != []
        ticket = ann.cookies["likeness"]
        ann.post("/session/delete")
        assert _holding(folder, session.id) == []
        for told in (b"The photos I add", identifier.encode(), session.id.encode()):
            assert [path for path in _files(folder) if told in path.read_bytes()] == []
        ann.cookies.set("likeness", ticket)
        assert ann.get("/session/consent").status_code == 404
        assert receipt_of(bob)["dpv:hasRecordOfActivity"] == theirs["dpv:hasRecordOfActivity"]


@pytest.mark.fact(53)
def test_on_the_disk_it_is_ciphertext(place: Place, ann: httpx.Client) -> None:
    (record,) = receipt_of(ann)["dpv:hasRecordOfActivity"]
    files = _files(place.services.settings.scratch)
    assert len(files) > 1
    for told in (b"ConsentRecord", b"The photos I add", record["@id"].encode()):
        assert [path for path in files if told in path.read_bytes()] == []


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def _holding(folder: Path, session_id: str) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and session_id in str(path)]
