"""Downloads that a network breaks off go on where they were."""

from __future__ import annotations

import io
import shutil
import subprocess
import zipfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from errors import UnknownSession
from pipeline.portraits.archive import archive
from tests.support.web import Place, served, session_of, visitor
from web.routes import portraits

ZIP, ONE = "/portraits.zip", "/portrait/portrait-001/download"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with served(tmp_path_factory.mktemp("downloads") / "scratch") as place:
        yield place


@pytest.fixture
def ann(place: Place) -> Iterator[httpx.Client]:
    with closing(visitor(place)) as client:
        session = session_of(place, client)
        place.job_queue.deliver(session, 7)
        place.job_queue.deliver(session, 2, way="photo")
        yield client


@pytest.mark.parametrize("marked", [True, False])
@pytest.mark.parametrize("name", ["", "Zoë Müller"])
def test_a_zip_says_its_length_and_keeps_it(ann: httpx.Client, marked: bool, name: str) -> None:
    assert ann.post("/portraits/wish", json={"marked": marked, "name": name}).status_code == 204
    answer = ann.get(ZIP)
    assert int(answer.headers["content-length"]) == len(answer.content)
    assert answer.headers["accept-ranges"] == "bytes"
    with zipfile.ZipFile(io.BytesIO(answer.content)) as bundle:
        assert bundle.testzip() is None
        assert len(bundle.namelist()) == 9


@pytest.mark.parametrize(
    "address", [ZIP, f"{ZIP}?format=webp&shape=square", ONE, f"{ONE}?size=print&format=jpeg"]
)
def test_a_broken_download_goes_on_where_it_was(ann: httpx.Client, address: str) -> None:
    whole = ann.get(address)
    with ann.stream("GET", address) as broken:
        begun = next(broken.iter_bytes(1000))
    at = len(begun)
    assert 0 < at < len(whole.content)
    asked = {"range": f"bytes={at}-", "if-range": whole.headers["etag"]}
    rest = ann.get(address, headers=asked)
    assert rest.status_code == 206
    assert (
        rest.headers["content-range"] == f"bytes {at}-{len(whole.content) - 1}/{len(whole.content)}"
    )
    assert begun + rest.content == whole.content
    middle = ann.get(address, headers={"range": "bytes=500-1499"})
    assert middle.content == whole.content[500:1500]
    last = ann.get(address, headers={"range": "bytes=-100"})
    assert last.content == whole.content[-100:]


def test_what_changed_meanwhile_is_sent_from_its_beginning(ann: httpx.Client, place: Place) -> None:
    before = {address: ann.get(address).headers["etag"] for address in (ZIP, ONE)}
    assert ann.post("/portraits/wish", json={"marked": False}).status_code == 204
    for address, etag in before.items():
        answer = ann.get(address, headers={"range": "bytes=1000-", "if-range": etag})
        assert answer.status_code == 200
        assert answer.headers["etag"] != etag


def test_behind_the_end_there_is_nothing(ann: httpx.Client) -> None:
    for address in (ZIP, ONE):
        length = ann.get(address).headers["content-length"]
        answer = ann.get(address, headers={"range": f"bytes={length}-"})
        assert (answer.status_code, answer.content) == (416, b"")
        assert answer.headers["content-range"] == f"bytes */{length}"
        assert ann.get("/status").status_code == 200  # the connection goes on


def test_where_only_making_it_tells_the_length_it_is_learnt_once(
    ann: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = []
    real = archive

    def counted(*arguments: Any) -> Iterator[bytes]:
        made.append(arguments)
        return real(*arguments)

    monkeypatch.setattr(portraits, "archive", counted)
    query = {"format": "jpeg"}
    first = ann.get(ZIP, params=query)
    assert "content-length" not in first.headers
    assert first.headers["accept-ranges"] == "bytes"
    with zipfile.ZipFile(io.BytesIO(first.content)) as bundle:
        assert bundle.testzip() is None
    for times in (3, 4):  # made twice, and from then on once
        rest = ann.get(ZIP, params=query, headers={"range": "bytes=10-"})
        assert (rest.status_code, rest.content) == (206, first.content[10:])
        assert len(made) == times
    behind = ann.get(ZIP, params=query, headers={"range": f"bytes={len(first.content)}-"})
    assert behind.status_code == 416
    assert int(ann.get(ZIP, params=query).headers["content-length"]) == len(first.content)


def test_an_erasure_in_between_is_seen_as_a_broken_download(
    ann: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = archive

    def erased_in_between(*arguments: Any) -> Iterator[bytes]:
        yield next(real(*arguments))
        raise UnknownSession

    monkeypatch.setattr(portraits, "archive", erased_in_between)
    with pytest.raises(httpx.RemoteProtocolError):
        ann.get(ZIP)
    assert ann.get("/status").status_code == 200


def test_a_foreign_range_is_as_unknown_as_ever(ann: httpx.Client, place: Place) -> None:
    with closing(visitor(place)) as bob:
        assert bob.get(ZIP, headers={"range": "bytes=0-10"}).status_code == 404
        assert bob.get(ONE, headers={"range": "bytes=0-10"}).status_code == 404


@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
def test_curl_goes_on_with_a_zip(ann: httpx.Client, place: Place, tmp_path: Path) -> None:
    whole = ann.get(ZIP).content
    file = tmp_path / "portraits.zip"
    file.write_bytes(whole[:2000])
    cookie = f"likeness={ann.cookies['likeness']}"
    command = ["curl", "-sS", "-C", "-", "-b", cookie, "-o", str(file), place.url + ZIP]
    subprocess.run(command, check=True, timeout=60)
    assert file.read_bytes() == whole
