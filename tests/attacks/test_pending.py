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


def files_below(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


@pytest.mark.fact(31)
def test_a_verdict_comes_before_anything_is_written(
    place: Place, may_cut: threading.Event, selfie_jpegs: list[bytes]
) -> None:
    with closing(visitor(place)) as ann, ThreadPoolExecutor(1) as browser:
        vault = place.services.settings.scratch / "vault" / session_of(place, ann).id
        sent = browser.submit(upload, ann, *selfie_jpegs[:2])
        until(lambda: len(told(ann)) == 2)
        status = ann.get("/status").json()["photos"]
        for photo in status["list"]:
            assert (photo["accepted"], photo["waits"], photo["image"]) == (True, True, False)
            assert ann.get(f"/photo/{photo['id']}").status_code == 404
        assert status["enough"]["photo"] is False
        assert status["usable_cut_outs"] == []
        # How many numbers were given, and nothing that a picture could be in.
        assert sum(path.stat().st_size for path in files_below(vault)) < 1000
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
