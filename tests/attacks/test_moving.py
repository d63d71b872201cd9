"""Portraits that move, attacked: foreign ones, forged wishes, erasures in the middle, floods."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from typing import Any, cast

import httpx
import numpy as np
import pytest
from PIL import Image

from pipeline.portraits.clip import FORMS, Film, Form
from privacy import kinds
from tests.attacks.test_web import NOTHING
from tests.support.web import Place, session_of, upload, visitor
from web import moving

pytestmark = pytest.mark.slow

KEPT = "/portrait/kept-001"
WISH = {"preset": "calm", "shape": "square", "format": "webp"}


@pytest.fixture(autouse=True)
def small_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few and small frames: the attacks are on what is around them."""
    monkeypatch.setitem(cast(Any, FORMS), "webp", Form("image/webp", 288, every=5))


def portrait_of(client: httpx.Client, photo: bytes, number: int = 1) -> None:
    """Keep a portrait of a photo, the session's next one of each."""
    upload(client, photo)
    wish = {"photo": f"photo-{number:02d}", "look": "old-money"}
    kept = client.post("/studio-portrait", json=wish)
    assert kept.json() == {"id": f"kept-{number:03d}"}


@pytest.fixture(scope="module")
def with_portrait(place: Place, selfie_jpegs: list[bytes]) -> Iterator[httpx.Client]:
    """A visitor with a portrait, for the tests that leave it there."""
    with closing(visitor(place)) as client:
        portrait_of(client, selfie_jpegs[0])
        yield client


def frames_of(image: Any) -> int:
    return int(image.n_frames)


def lines(answer: httpx.Response) -> list[dict[str, Any]]:
    return [json.loads(line) for line in answer.text.splitlines()]


def made(client: httpx.Client, **how: str) -> bytes:
    """A file, made and fetched."""
    wish = WISH | how
    shares = [line["done"] for line in lines(client.post(f"{KEPT}/clip", json=wish))]
    assert (shares[0], shares[-1], shares == sorted(shares)) == (0, 1, True)
    return client.get(f"{KEPT}/clip", params=wish).content


def everything(client: httpx.Client, portrait: str = KEPT) -> Iterator[httpx.Response]:
    for part in ("moving", "moving/preview", "moving/still", "clip?format=webp"):
        yield client.get(f"{portrait}/{part}")
    yield client.post(f"{portrait}/clip", json=WISH)
    yield client.post(f"{portrait}/moving/shared", json={"preset": "calm"})
    yield client.delete(f"{portrait}/moving/shared")


def on_the_disk(place: Place) -> bytes:
    scratch = place.services.settings.scratch
    return b"".join(path.read_bytes() for path in scratch.rglob("*") if path.is_file())


@pytest.mark.fact(71)
def test_it_is_ciphertext_on_the_disk_and_nobody_elses(
    place: Place, with_portrait: httpx.Client, bob: httpx.Client
) -> None:
    file = made(with_portrait)
    session, heard = session_of(place, with_portrait), with_portrait.get(f"{KEPT}/moving").json()
    assert heard == {"why": "", "shared": False}
    assert with_portrait.post(f"{KEPT}/moving/shared", json=WISH).status_code == 204
    shared = place.services.vault.open(session, kinds.MOVING, "kept-001")
    with Image.open(io.BytesIO(file)) as image:
        assert (frames_of(image), image.format) == (15, "WEBP")
    disk = on_the_disk(place)
    for canary in (file[5000:5032], shared[5000:5032], b"ANMF"):
        assert canary not in disk
    for answer in (*everything(bob), *everything(bob, "/portrait/portrait-001")):
        assert (answer.status_code, answer.json()) == (404, NOTHING), answer.url
    with_portrait.delete(f"{KEPT}/moving/shared")


@pytest.mark.fact(71)
def test_it_goes_with_its_photo_and_with_everything_also_while_it_is_made(
    place: Place, ann: httpx.Client, selfie_jpegs: list[bytes]
) -> None:
    for number in (1, 2):
        portrait_of(ann, selfie_jpegs[number - 1], number)
    made(ann)
    ann.post(f"{KEPT}/moving/shared", json=WISH)
    session, vault = session_of(place, ann), place.services.vault
    ann.delete("/photo/photo-02")  # of another portrait
    assert len([*vault.list(session, kinds.CLIP), *vault.list(session, kinds.MOVING)]) == 2
    why = ann.get("/portrait/kept-002/moving").json()["why"]
    assert why.startswith("This portrait cannot move: its photo was removed.")
    refused = ann.post("/portrait/kept-002/clip", json=WISH)
    assert (refused.status_code, refused.json()) == (400, {"sentence": why})
    folder = place.services.settings.scratch / "vault" / session.id
    assert list(folder.iterdir())
    with ann.stream("POST", f"{KEPT}/clip", json=WISH | {"preset": "turn"}) as answer:
        told = answer.iter_lines()
        assert json.loads(next(told)) == {"done": 0}
        ann.delete("/photo/photo-01")
        gone = [json.loads(line) for line in told][-1]
    assert gone == {"sentence": why}
    assert [*vault.list(session, kinds.CLIP), *vault.list(session, kinds.MOVING)] == []
    assert ann.get(KEPT).status_code == 200  # the portrait stays
    portrait_of(ann, selfie_jpegs[2], 3)
    with ann.stream("POST", "/portrait/kept-003/clip", json=WISH) as answer:
        told = answer.iter_lines()
        assert json.loads(next(told)) == {"done": 0}
        place.services.sessions.erase(session.id, "user")
        last = [json.loads(line) for line in told][-1]
    assert list(last) == ["sentence"]
    assert not folder.exists()
    assert place.app.state.editor.sitters.held(session.id) == set()
    for answer in (*everything(ann), *everything(ann, "/portrait/kept-003")):
        assert (answer.status_code, answer.json()) == (404, NOTHING), answer.url


def test_a_photo_that_was_changed_or_a_record_that_is_old_does_not_move_as_another_picture(
    place: Place, with_portrait: httpx.Client
) -> None:
    place.job_queue.deliver(session_of(place, with_portrait), 1)
    place.job_queue.deliver(session_of(place, with_portrait), 1, way="photo")
    for portrait, words in (
        ("portrait-001", "only portraits made"),
        ("portrait-002", "made before"),
    ):
        assert words in with_portrait.get(f"/portrait/{portrait}/moving").json()["why"]
        assert with_portrait.get(f"/portrait/{portrait}/moving/preview").status_code == 400
    still = with_portrait.get(f"{KEPT}/moving/still").content
    kept = with_portrait.get(KEPT).content
    first, stored = (Image.open(io.BytesIO(one)).convert("RGB") for one in (still, kept))
    stored = stored.resize(first.size, Image.Resampling.LANCZOS)
    assert (
        np.abs(np.asarray(first, float) - np.asarray(stored, float)).mean() < 6
    )  # it begins as the portrait
    stroke = {"points": [[0.5, 0.5]], "radius": 0.1}
    assert with_portrait.post("/studio-strokes/photo-01", json=stroke).status_code == 204
    refused = with_portrait.get(f"{KEPT}/moving/preview")
    assert refused.status_code == 400
    assert "has been changed since" in refused.json()["sentence"]
    with_portrait.delete("/studio-strokes/photo-01")
    assert with_portrait.get(f"{KEPT}/moving/preview").status_code == 200


def test_forged_wishes_are_one_sentence(with_portrait: httpx.Client) -> None:
    for forged in (
        {"preset": "dance"},
        {"shape": "16:9"},
        {"format": "exe"},
        {"format": "../mp4"},
        {"preset": "calm\0"},
    ):
        for answer in (
            with_portrait.post(f"{KEPT}/clip", json=WISH | forged),
            with_portrait.get(f"{KEPT}/clip", params=WISH | forged),
        ):
            assert answer.status_code == 400, forged
            assert answer.json()["sentence"].startswith("This way to move, shape or file")
    assert with_portrait.post(f"{KEPT}/clip", json={"preset": "x" * 99}).status_code in (400, 422)


def policies() -> list[int]:
    """How the kernel schedules each thread of this process, which is the server's."""
    found = []
    for thread in os.listdir("/proc/self/task"):
        with suppress(ProcessLookupError):  # it has ended since it was listed
            found.append(os.sched_getscheduler(int(thread)))
    return found


@pytest.mark.fact(77)
def test_a_film_does_not_come_before_everything_else_on_the_machine(
    with_portrait: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its encoder wants the highest priority wherever it may have it, as root."""
    monkeypatch.setitem(cast(Any, FORMS), "mp4", Form("video/mp4", 144, every=3))
    seen, before = [], policies()
    real = Film.add

    def add(film: Film, frame: Any) -> None:
        real(film, frame)
        seen.append(policies())

    monkeypatch.setattr(Film, "add", add)
    assert made(with_portrait, format="mp4")[4:8] == b"ftyp"
    assert len(seen) == 25
    for threads in (before, *seen, policies()):
        assert set(threads) == {os.SCHED_OTHER}
    assert max(map(len, seen)) > len(before) + 10  # the encoder's own were among them


@pytest.mark.fact(47)
def test_thirty_at_once_leave_others_their_turn_and_no_more_than_the_limit_is_kept(
    place: Place, with_portrait: httpx.Client, bob: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(moving, "MOST_KEPT", 1)
    ticket = with_portrait.cookies["likeness"]

    def ask(number: int) -> int:
        with httpx.Client(base_url=place.url, headers={"origin": place.url}, timeout=60) as client:
            client.cookies.set("likeness", ticket)
            wish = WISH | {"preset": ("calm", "turn")[number % 2]}
            return client.post(f"{KEPT}/clip", json=wish).status_code

    with ThreadPoolExecutor(30) as pool:
        answers = [pool.submit(ask, number) for number in range(30)]
        seen = [bob.get("/status") for _ in range(20)]
        codes = {answer.result() for answer in answers}
    assert {answer.status_code for answer in seen} == {200}
    assert sum(answer.elapsed.total_seconds() for answer in seen) / 20 < 2
    assert codes == {200, 429}  # one at a time for each visitor
    made(with_portrait, preset="turn")
    made(with_portrait, preset="calm")
    kept = place.services.vault.list(session_of(place, with_portrait), kinds.CLIP)
    assert [entry.name for entry in kept] == ["kept-001-calm-square-webp"]


def test_colleagues_see_it_move_only_where_its_person_says_so(
    place: Place, with_portrait: httpx.Client
) -> None:
    path = with_portrait.post("/session/share").json()["path"]
    with httpx.Client(base_url=place.url, headers={"origin": place.url}) as guest:
        guest.post("/shared/open", json={"ticket": path.partition("#")[2]})
        assert [one["moves"] for one in guest.get("/shared/portraits").json()] == [False]
        assert guest.get("/shared/portrait/kept-001/moving").status_code == 404
        with_portrait.post(f"{KEPT}/moving/shared", json=WISH)
        assert [one["moves"] for one in guest.get("/shared/portraits").json()] == [True]
        seen = guest.get("/shared/portrait/kept-001/moving")
        with Image.open(io.BytesIO(seen.content)) as image:
            assert (frames_of(image), image.size) == (25, (320, 320))
        for part in ("moving", "moving/preview", "clip?format=webp"):
            assert guest.get(f"{KEPT}/{part}").status_code == 404
        with_portrait.delete(f"{KEPT}/moving/shared")
        assert guest.get("/shared/portrait/kept-001/moving").status_code == 404
