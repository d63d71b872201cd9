"""Bodies that are too large, never end, or hide a file; before any session, on a real server."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import httpx
import pytest

from tests.support.waiting import until
from tests.support.web import Place, served, upload, visitor
from web import uploads
from web.http import bodies
from web.http.limits import Budget

HUGE = 100_000_000
BEFORE_ANY_SESSION = (
    "/session",
    "/session/return",
    "/session/leave",
    "/portrait/portrait-001/heart",
    "/shared/open",
    "/portraits/wish",
    "/receipt",
    "/nowhere",
)
UPLOAD = "/studio/gradio_api/upload"
PART = b'--edge\r\nContent-Disposition: form-data; name="files"; filename="a.jpg"\r\n\r\n'


@pytest.fixture(scope="module")
def memory() -> Budget:
    """The little memory for uploads that `narrow` has."""
    return Budget(32_000_000)


@pytest.fixture(scope="module")
def narrow(tmp_path_factory: pytest.TempPathFactory, memory: Budget) -> Iterator[Place]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(uploads, "Budget", lambda _: memory)
        with served(tmp_path_factory.mktemp("narrow"), max_photo_mb=16) as place:
            yield place


def begun(place: Place, path: str, headers: dict[str, str], body: bytes = b"") -> socket.socket:
    """A POST whose headers were sent, and of its body only this."""
    host, port = place.url.removeprefix("http://").split(":")
    connection = socket.create_connection((host, int(port)), timeout=20)
    lines = [f"POST {path} HTTP/1.1", f"Host: {host}:{port}", f"Origin: {place.url}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    connection.sendall("\r\n".join([*lines, "", ""]).encode() + body)
    return connection


def status_of(connection: socket.socket) -> int:
    return int(connection.recv(4096).split(b" ")[1])


@pytest.mark.fact(34)
@pytest.mark.parametrize("path", BEFORE_ANY_SESSION)
def test_a_large_body_is_refused_unread(narrow: Place, path: str) -> None:
    announced = {"Content-Type": "application/json", "Content-Length": str(HUGE)}
    with begun(narrow, path, announced) as connection:
        assert status_of(connection) == 413
        until(lambda: connection.recv(4096) == b"")  # and nothing more is waited for
    in_pieces = {"Content-Type": "application/json", "Transfer-Encoding": "chunked"}
    piece = b"5000\r\n" + b" " * 0x5000 + b"\r\n"  # 20 KB of a body that has no end
    with begun(narrow, path, in_pieces, piece) as connection:
        assert status_of(connection) == 413


@pytest.mark.fact(34)
def test_what_the_page_sends_is_read_whole(narrow: Place) -> None:
    with closing(visitor(narrow)) as ann:
        link = json.dumps({"ticket": ann.cookies["likeness"]})
        padded = link + " " * (16 * 1024 - len(link))
        kind = {"content-type": "application/json"}
        assert ann.post("/session/return", content=padded, headers=kind).status_code == 200
        assert ann.post("/session/return", content=padded + " ", headers=kind).status_code == 413


@pytest.mark.slow
@pytest.mark.fact(34)
def test_stalled_bodies_end_after_ten_seconds(narrow: Place) -> None:
    stalled = {"Content-Type": "application/json", "Content-Length": "1000"}
    since = time.monotonic()
    with closing(visitor(narrow)) as ann:
        ticket = {"Cookie": f"likeness={ann.cookies['likeness']}"}
        event = begun(narrow, "/studio/gradio_api/queue/join", stalled | ticket, b'{"fn')
        others = [begun(narrow, path, stalled, b'{"') for path in BEFORE_ANY_SESSION]
        for connection in (event, *others):
            with connection:
                assert status_of(connection) == 408
    assert 9 < time.monotonic() - since < 15


@pytest.mark.fact(34)
def test_a_form_with_a_file_reaches_no_form_parser(narrow: Place) -> None:
    files = {"consent": (None, b"yes"), "film": ("film.mov", b"private" * 1000)}
    origin = {"origin": narrow.url}
    answer = httpx.post(f"{narrow.url}/session", files=files, headers=origin)
    assert answer.status_code == 415
    assert "set-cookie" not in answer.headers


@pytest.mark.fact(34)
def test_all_uploads_together_have_one_budget(
    narrow: Place, memory: Budget, selfie_jpegs: list[bytes]
) -> None:
    with closing(visitor(narrow)) as ann, closing(visitor(narrow)) as bob:
        half = {
            "Content-Type": "multipart/form-data; boundary=edge",
            "Content-Length": str(HUGE),
            "Cookie": f"likeness={ann.cookies['likeness']}",
        }
        first = begun(narrow, UPLOAD, half, PART + bytes(14_000_000))
        second = begun(narrow, UPLOAD, half, PART + bytes(14_000_000))
        with first, second:
            until(lambda: memory.held >= 28_000_000)  # a third that came before took their room
            assert upload(bob, bytes(10_000_000)).status_code == 429
        until(lambda: upload(bob, selfie_jpegs[0]).status_code == 200)
        assert bob.get("/status").json()["photos"]["good"] == 1


@pytest.mark.fact(34)
@pytest.mark.parametrize("field", ["files", uploads.PREVIEW])
def test_photos_that_come_too_often_hold_no_memory(
    narrow: Place, memory: Budget, field: str
) -> None:
    until(lambda: memory.held == 0)
    photos = [(field, ("a.jpg", b"no photo", "image/jpeg"))] * narrow.services.settings.max_photos
    with closing(visitor(narrow)) as ann:
        for _ in range(10):
            assert ann.post(UPLOAD, files=photos).status_code == 200
        assert ann.post(UPLOAD, files=photos).status_code == 429
    until(lambda: memory.held == 0)


@pytest.mark.fact(49)
def test_one_session_holds_a_quarter_of_the_memory(
    tmp_path: Path, selfie_jpegs: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Budget] = []

    def noted(most: int) -> Budget:
        made.append(Budget(most))
        return made[-1]

    monkeypatch.setattr(uploads, "Budget", noted)
    options = {"upload_memory_mb": 64, "max_photo_mb": 8}
    with served(tmp_path / "scratch", **options) as place, ExitStack() as open_ones:
        ann, bob = (open_ones.enter_context(closing(visitor(place))) for _ in range(2))
        stalled = {
            "Content-Type": "multipart/form-data; boundary=edge",
            "Content-Length": str(HUGE),
            "Cookie": f"likeness={ann.cookies['likeness']}",
        }
        for seven in (7_000_000, 14_000_000):
            open_ones.enter_context(begun(place, UPLOAD, stalled, PART + bytes(7_000_000)))
            until(lambda seven=seven: made[0].held >= seven)  # type: ignore[misc]
        with begun(place, UPLOAD, stalled, PART + bytes(7_000_000)) as third:
            assert status_of(third) == 429
        assert made[0].held < 16_100_000
        assert upload(bob, selfie_jpegs[0]).status_code == 200


@pytest.mark.slow
@pytest.mark.fact(34)
def test_an_upload_that_stands_still_ends_and_keeps_what_came(
    narrow: Place, selfie_jpegs: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bodies, "_PATIENCE_S", 0.5)
    monkeypatch.setattr(bodies, "_SLOWEST_BYTES_PER_S", 1e9)
    with closing(visitor(narrow)) as ann:
        stalled = {
            "Content-Type": "multipart/form-data; boundary=edge",
            "Content-Length": str(HUGE),
            "Cookie": f"likeness={ann.cookies['likeness']}",
        }
        one_and_a_bit = PART + selfie_jpegs[0] + b"\r\n" + PART + bytes(1000)
        with begun(narrow, UPLOAD, stalled, one_and_a_bit) as connection:
            while connection.recv(4096):
                pass  # until the server closes
        until(lambda: ann.get("/status").json()["photos"]["good"] == 1)


def test_a_host_longer_than_any_name_is_refused(narrow: Place) -> None:
    with closing(visitor(narrow)) as ann:
        assert ann.get("/session/link").status_code == 200
        answer = ann.get("/session/link", headers={"host": "a" * 4000})
        assert answer.status_code == 400
        assert ann.get("/session/link", headers={"host": "a" * 253 + ":65535"}).status_code == 200


@pytest.mark.parametrize("number", [-1, 10**6, 10**30, True, 1.0, "0", None, [0]])
def test_an_event_that_the_page_does_not_have_is_unknown(narrow: Place, number: object) -> None:
    join = "/studio/gradio_api/queue/join"
    with closing(visitor(narrow)) as ann:
        event = {"fn_index": number, "data": [], "session_hash": "abc"}
        assert ann.post(join, json=event).status_code == 404
        assert ann.post(join, json=event | {"fn_index": 0}).status_code == 200
