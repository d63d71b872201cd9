"""Photos between verdict and cut-out, on a real server: told, not written, gone when asked."""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from privacy.sessions import Session
from tests.support.waiting import until
from tests.support.web import Place, served, session_of, upload, visitor
from web import uploads
from web.http.multipart import IncomingFile
from web.http.turns import Turns
from web.upload_memory import Aside


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with served(tmp_path_factory.mktemp("pending")) as opened:
        yield opened


@pytest.fixture
def may_cut(place: Place, monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """Nobody is cut out before this is set; it is at the end."""
    may_go = threading.Event()
    real = place.services.album._cut_out

    def cut(*given: Any) -> Any:
        may_go.wait(60)
        return real(*given)

    monkeypatch.setattr(place.services.album, "_cut_out", cut)
    yield may_go
    may_go.set()


def told(who: httpx.Client) -> list[dict[str, Any]]:
    photos: list[dict[str, Any]] = who.get("/status").json()["photos"]["list"]
    return photos


def bytes_below(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


@pytest.mark.fact(31)
def test_a_verdict_comes_before_anything_is_written(
    place: Place, may_cut: threading.Event, selfie_jpegs: list[bytes]
) -> None:
    with closing(visitor(place)) as ann, ThreadPoolExecutor(1) as browser:
        vault = place.services.settings.scratch / "vault" / session_of(place, ann).id
        before = bytes_below(vault)
        sent = browser.submit(upload, ann, *selfie_jpegs[:2])
        until(lambda: len(told(ann)) == 2)
        status = ann.get("/status").json()["photos"]
        for photo in status["list"]:
            assert (photo["accepted"], photo["waits"], photo["image"]) == (True, True, False)
            assert ann.get(f"/photo/{photo['id']}").status_code == 404
        assert status["enough"]["photo"] is False
        assert status["usable_cut_outs"] == []
        # How many numbers were given, and nothing that a picture could be in.
        assert bytes_below(vault) - before < 1000
        assert not sent.done()  # which would say that they are kept
        may_cut.set()
        assert sent.result().status_code == 200
        assert [(one["image"], one["waits"]) for one in told(ann)] == [(True, False)] * 2


@pytest.mark.fact(31)
def test_delete_everything_ends_what_waits(
    place: Place, may_cut: threading.Event, selfie_jpegs: list[bytes]
) -> None:
    with closing(visitor(place)) as ann, ThreadPoolExecutor(1) as browser:
        session = session_of(place, ann)
        sent = browser.submit(upload, ann, *selfie_jpegs[:2])
        until(lambda: len(told(ann)) == 2)
        until(lambda: not any(isinstance(one, IncomingFile) for one in gc.get_objects()))
        assert ann.post("/session/delete").status_code == 200
        assert place.services.album.pending.ids(session.id) == []
        may_cut.set()
        sent.result()
        assert not (place.services.settings.scratch / "vault" / session.id).exists()
        assert ann.get("/status").status_code == 404


@pytest.mark.fact(31)
def test_a_photo_taken_back_while_it_waits_is_not_kept(
    place: Place, may_cut: threading.Event, selfie_jpegs: list[bytes]
) -> None:
    with closing(visitor(place)) as ann, ThreadPoolExecutor(1) as browser:
        sent = browser.submit(upload, ann, selfie_jpegs[0])
        until(lambda: len(told(ann)) == 1)
        assert ann.delete(f"/photo/{told(ann)[0]['id']}").status_code == 204
        may_cut.set()
        assert sent.result().status_code == 200
        assert told(ann) == []


def on_its_way(previews: list[bytes], goes_on: threading.Event, rest: bytes) -> Iterator[bytes]:
    """The body that our page sends: previews first; then the first photo, when it may go on."""
    for preview in previews:
        yield part("preview", preview)
    photo = part("files", rest)
    yield photo[:200]  # what was sent before ends where another part begins
    goes_on.wait(60)
    yield photo[200:] + b"--edge--\r\n"


def part(field: str, data: bytes) -> bytes:
    head = f'--edge\r\nContent-Disposition: form-data; name="{field}"; filename="me.jpg"\r\n\r\n'
    return head.encode() + data + b"\r\n"


def send(who: httpx.Client, body: Iterator[bytes]) -> httpx.Response:
    kind = {"content-type": "multipart/form-data; boundary=edge"}
    return who.post("/studio/gradio_api/upload", content=body, headers=kind)


@pytest.mark.fact(31)
def test_a_preview_has_its_verdict_before_the_photo_comes_and_is_gone_if_it_does_not(
    place: Place, selfie_jpegs: list[bytes]
) -> None:
    goes_on = threading.Event()
    with closing(visitor(place)) as ann, ThreadPoolExecutor(1) as browser:
        vault = place.services.settings.scratch / "vault" / session_of(place, ann).id
        before = bytes_below(vault)
        body = on_its_way(selfie_jpegs[:2], goes_on, selfie_jpegs[0])
        sent = browser.submit(send, ann, body)
        until(lambda: len(told(ann)) == 2)
        status = ann.get("/status").json()["photos"]
        for photo in status["list"]:
            assert (photo["accepted"], photo["waits"], photo["image"]) == (True, True, False)
            assert ann.get(f"/photo/{photo['id']}").status_code == 404
        assert (status["good"], status["enough"]["photo"]) == (0, False)
        assert bytes_below(vault) - before < 1000
        goes_on.set()
        assert sent.result().status_code == 200
        (kept,) = told(ann)  # the other photo never came
        assert (kept["id"], kept["image"], kept["waits"]) == ("photo-01", True, False)


@pytest.mark.fact(31)
def test_delete_everything_ends_what_is_on_its_way(place: Place, selfie_jpegs: list[bytes]) -> None:
    goes_on = threading.Event()
    with closing(visitor(place)) as ann, ThreadPoolExecutor(1) as browser:
        session = session_of(place, ann)
        body = on_its_way(selfie_jpegs[:1], goes_on, selfie_jpegs[0])
        sent = browser.submit(send, ann, body)
        until(lambda: len(told(ann)) == 1)
        with closing(httpx.Client(base_url=place.url, cookies=ann.cookies)) as tab:
            deleted = tab.post("/session/delete", headers={"origin": place.url})
        assert deleted.status_code == 200
        assert place.services.album.pending.ids(session.id) == []
        goes_on.set()
        sent.exception()
        assert place.services.album.pending.ids(session.id) == []
        assert not (place.services.settings.scratch / "vault" / session.id).exists()


@pytest.mark.fact(33)
def test_previews_are_as_few_as_photos(
    place: Place, selfie_jpegs: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = []
    announce = place.services.album.announce

    def counted(*given: Any) -> Any:
        opened.append(given)
        return announce(*given)

    monkeypatch.setattr(place.services.album, "announce", counted)
    goes_on = threading.Event()
    goes_on.set()
    most = place.services.settings.max_photos
    tiny = selfie_jpegs[0][:400]  # damaged: it takes no time
    large = b"\xff\xd8\xff" + b"0" * 600_000
    with closing(visitor(place)) as ann:
        answer = send(ann, on_its_way([large, *[tiny] * (most + 5)], goes_on, selfie_jpegs[0]))
        assert answer.status_code == 200
        assert len(opened) == most - 1  # the first one was too large for a preview
        assert [one["image"] for one in told(ann)] == [True]


@pytest.mark.fact(33)
def test_everybodys_verdicts_come_before_the_cut_outs(
    place: Place, selfie_jpegs: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, done = [], []
    may_go = threading.Event()
    album, take = place.services.album, Turns.take
    judge, finish = album.judge, album.finish

    async def noted(turns: Turns, who: str) -> None:
        asked.append(who)
        await take(turns, who)

    def judging(session: Session, *rest: Any) -> Any:
        may_go.wait(60)
        done.append("judged")
        return judge(session, *rest)

    def finishing(*which: Any) -> None:
        done.append("finished")
        finish(*which)

    monkeypatch.setattr(Turns, "take", noted)
    monkeypatch.setattr(album, "judge", judging)
    monkeypatch.setattr(album, "finish", finishing)
    with ThreadPoolExecutor(4) as browsers:
        visitors = [visitor(place) for _ in range(4)]
        sent = [browsers.submit(upload, who, selfie_jpegs[0]) for who in visitors]
        until(lambda: len(asked) == 4)  # two have a place, two wait for one
        may_go.set()
        assert [one.result().status_code for one in sent] == [200] * 4
        assert [told(who)[0]["image"] for who in visitors] == [True] * 4
        for who in visitors:
            who.close()
    assert done[:4] == ["judged"] * 4


@pytest.mark.fact(49)
def test_where_no_more_may_wait_everybody_still_gets_a_first_verdict_and_the_rest_follows(
    tmp_path: Path, selfie_jpegs: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploads, "Aside", lambda most, each: Aside(1, 1))
    monkeypatch.setattr(Turns, "wanted", True)  # so that every photo waits
    waits, may_go = threading.Event(), threading.Event()
    with (
        served(tmp_path / "scratch") as place,
        closing(visitor(place)) as ann,
        closing(visitor(place)) as bob,
        ThreadPoolExecutor(2) as browsers,
    ):
        finish = place.services.album.finish

        def finishing(session: Session, photo_id: str) -> None:
            if session.id == session_of(place, ann).id:
                waits.set()
                may_go.wait(60)
            finish(session, photo_id)

        monkeypatch.setattr(place.services.album, "finish", finishing)
        first = browsers.submit(upload, ann, selfie_jpegs[0])
        until(waits.is_set)
        more = browsers.submit(upload, ann, *selfie_jpegs[1:4])
        assert upload(bob, selfie_jpegs[4]).status_code == 200
        assert told(bob)[0]["image"]
        assert len(told(ann)) == 1
        may_go.set()
        assert [one.result().status_code for one in (first, more)] == [200, 200]
        assert [one["image"] for one in told(ann)] == [True] * 4
