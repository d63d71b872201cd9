"""Photos that are made to take long, or that come in masses, against another visitor's photo."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import psutil
import pytest
from PIL import Image

from errors import BadPhoto
from pipeline.photos import cpu_budget
from pipeline.photos.ingest import Decoder
from pipeline.photos.scans import MOST
from privacy.sessions import Session
from tests.attacks.test_decoder_sandbox import PROGRAM, serve
from tests.support.decoding import newest_decoder
from tests.support.waiting import until
from tests.support.web import served, session_of, upload, visitor
from web.http.turns import Turns
from words import say


@pytest.fixture(scope="module")
def decoder() -> Iterator[Decoder]:
    with Decoder(max_bytes=20_000_000, max_pixels=50_000_000, workers=1) as opened:
        yield opened


def many_scans(count: int) -> bytes:
    """A progressive JPEG of 12 megapixels, whose last scan comes again until there are `count`."""
    buffer = io.BytesIO()
    Image.new("L", (4000, 3000), 120).save(buffer, "JPEG", progressive=True, quality=50)
    data = buffer.getvalue()
    at = data.rindex(b"\xff\xda")
    return data[:at] + data[at:-2] * (count - data.count(b"\xff\xda") + 1) + data[-2:]


def cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system + times.children_user + times.children_system


@pytest.mark.fact(33)
def test_thousands_of_scans_are_counted_and_not_decoded(decoder: Decoder) -> None:
    decoder.decode(many_scans(8))
    process = newest_decoder()
    before = cpu_s(process)
    for _ in range(6):
        with pytest.raises(BadPhoto) as refused:
            decoder.decode(many_scans(3000))
        assert refused.value.code == "too_many_scans"
    assert newest_decoder() == process
    assert cpu_s(process) - before < 2  # it was 120
    assert decoder.decode(many_scans(MOST)).shape[2] == 3
    with pytest.raises(BadPhoto):
        decoder.decode(many_scans(MOST + 1))


@pytest.mark.slow
@pytest.mark.fact(33)
@pytest.mark.skipif(not Path("/proc/self").exists(), reason="limits of processors are Linux's")
def test_a_photo_has_six_seconds_of_the_processor() -> None:
    burnt, after, _ = serve([], PROGRAM, {"do": "burn"}, {"do": "nothing"})
    assert (burnt, after) == ("timeout", {})


@pytest.mark.slow
@pytest.mark.fact(33)
def test_a_session_that_spent_its_hour_waits_and_nobody_else(
    tmp_path: Path, selfie_jpegs: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cpu_budget, "SECONDS", 0.5)
    with (
        served(tmp_path / "scratch") as place,
        closing(visitor(place)) as ann,
        closing(visitor(place)) as bob,
    ):
        answers = [upload(ann, many_scans(MOST)) for _ in range(6)]
        assert answers[0].status_code == 200
        assert answers[-1].status_code == 429
        assert answers[-1].text == say("errors.too_long")
        assert upload(ann, selfie_jpegs[0]).status_code == 429
        assert upload(bob, selfie_jpegs[0]).status_code == 200
        assert bob.get("/status").json()["photos"]["good"] == 1


@pytest.mark.slow
@pytest.mark.fact(33)
def test_thirty_photos_do_not_stand_before_anothers_first(
    tmp_path: Path, selfie_jpegs: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    given: list[str] = []
    may_go = threading.Event()
    take = Turns.take

    async def noted(turns: Turns, who: str) -> None:
        asked.append(who)
        await take(turns, who)
        given.append(who)  # the threads that go on may begin in another order

    monkeypatch.setattr(Turns, "take", noted)
    with (
        served(tmp_path / "scratch") as place,
        closing(visitor(place)) as ann,
        closing(visitor(place)) as bob,
        ThreadPoolExecutor(4) as browsers,
    ):
        judge = place.services.album.judge

        def slow(session: Session, *rest: Any) -> Any:
            may_go.wait(60)
            return judge(session, *rest)

        monkeypatch.setattr(place.services.album, "judge", slow)
        first, second = session_of(place, ann).id, session_of(place, bob).id
        # Three uploads at once is what one session may have.
        floods = [browsers.submit(upload, ann, *([b"no photo"] * 10)) for _ in range(3)]
        until(lambda: len(given) == 2 and asked.count(first) == 5)
        photo = browsers.submit(upload, bob, selfie_jpegs[0])
        until(lambda: second in asked)
        may_go.set()
        assert photo.result().status_code == 200
        assert [flood.result().status_code for flood in floods] == [200] * 3
        assert given.count(first) == 30
        assert given.index(second) <= 3  # after two that were open and one whose turn it was
