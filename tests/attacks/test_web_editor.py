"""The editor's routes attacked: foreign photos, erasures in the middle, floods, nonsense."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import httpx
import pytest

from pipeline.compositing.studio import Sitter, clothes_are_clear
from tests.attacks.test_web import NOTHING
from tests.support.web import Place, served, session_of, upload, visitor
from web import editor, figure, sitters

pytestmark = pytest.mark.slow

OF_A_PHOTO = (
    "/studio-figure/photo-01",
    "/studio-frames/photo-01?look=corporate",
    "/studio-portrait?photo=photo-01&look=corporate",
    "/studio-portrait?photo=photo-01&look=corporate&size=full",
)
OF_A_SESSION = (
    "/studio-stage",
    "/studio-photos",
    "/studio-wall/corporate.jpg",
    "/studio-wall/corporate.webp",
)
WISH = {"photo": "photo-01", "look": "corporate"}
STROKE = {"points": [[0.01, 0.01]], "radius": 0.01}


def everything_for(client: httpx.Client) -> Iterator[httpx.Response]:
    for address in (*OF_A_PHOTO, *OF_A_SESSION):
        yield client.get(address)
    yield client.post("/studio-portrait", json=WISH)
    yield client.post("/studio-strokes/photo-01", json=STROKE)
    yield client.delete("/studio-strokes/photo-01")


@pytest.fixture
def with_photo(ann: httpx.Client, selfie_jpegs: list[bytes]) -> httpx.Client:
    upload(ann, selfie_jpegs[0])
    return ann


@pytest.mark.fact(21)
@pytest.mark.parametrize("ticket", ["none", "mangled", "swapped secret", "erased"])
def test_nothing_of_the_editor_opens_without_the_right_ticket(
    place: Place, with_photo: httpx.Client, bob: httpx.Client, stranger: httpx.Client, ticket: str
) -> None:
    for answer in everything_for(with_photo):
        assert answer.status_code in (200, 204), answer.url
    own_id, _, own_secret = with_photo.cookies["likeness"].partition(".")
    _, _, other_secret = bob.cookies["likeness"].partition(".")
    if ticket == "mangled":
        stranger.cookies.set("likeness", f"{own_id}.{own_secret[:-2]}")
    elif ticket == "swapped secret":
        stranger.cookies.set("likeness", f"{own_id}.{other_secret}")
    elif ticket == "erased":
        stranger.cookies.set("likeness", with_photo.cookies["likeness"])
        with_photo.post("/session/delete")
    for answer in everything_for(stranger):
        assert (answer.status_code, answer.json()) == (404, NOTHING), answer.url


@pytest.mark.fact(21)
def test_another_visitors_photo_is_an_unknown_photo(
    place: Place, with_photo: httpx.Client, bob: httpx.Client, selfie_jpegs: list[bytes]
) -> None:
    for address in OF_A_PHOTO:  # it is in the server's memory now
        assert with_photo.get(address).status_code == 200
    assert with_photo.post("/studio-portrait", json=WISH).json() == {"id": "kept-001"}
    theirs = [bob.get(address) for address in OF_A_PHOTO]
    theirs += [bob.get(address.replace("photo-01", "photo-99")) for address in OF_A_PHOTO]
    theirs += [bob.post("/studio-portrait", json=WISH)]
    for photo in ("photo-01", "photo-99", "numbering"):
        theirs += [bob.post(f"/studio-strokes/{photo}", json=STROKE)]
        theirs += [bob.delete(f"/studio-strokes/{photo}")]
    theirs += [bob.get("/portrait/kept-001"), bob.get("/portrait/kept-001/download")]
    for answer in theirs:
        assert (answer.status_code, answer.json()) == (404, NOTHING), answer.url
    assert bob.get("/studio-photos").json() == []
    for name in ("..%2fphoto-01", "photo-01%00", "portrait-001", "x" * 300, "kept-001"):
        for address in OF_A_PHOTO:
            answer = with_photo.get(address.replace("photo-01", name))
            assert answer.status_code in (400, 404), answer.url
            assert list(answer.json()) == ["sentence"]


def test_an_erasure_takes_the_editors_parts_and_what_was_kept(
    place: Place, with_photo: httpx.Client
) -> None:
    session = session_of(place, with_photo)
    sitters = place.app.state.editor.sitters
    assert with_photo.get("/studio-figure/photo-01?clothes=navy").status_code == 200
    assert with_photo.post("/studio-portrait", json=WISH).status_code == 200
    assert with_photo.get("/portrait/kept-001").status_code == 200
    assert sitters.held(session.id) == {"photo-01"}
    with_photo.post("/session/delete")
    assert sitters.held(session.id) == set()
    for answer in [*everything_for(with_photo), with_photo.get("/portrait/kept-001")]:
        assert (answer.status_code, answer.json()) == (404, NOTHING), answer.url


@pytest.mark.parametrize("asked", ["figure", "portrait", "keep"])
def test_an_erasure_in_the_middle_hands_out_and_keeps_nothing(
    place: Place, with_photo: httpx.Client, monkeypatch: pytest.MonkeyPatch, asked: str
) -> None:
    session = session_of(place, with_photo)
    assert with_photo.get("/studio-figure/photo-01").status_code == 200
    calls = {
        "figure": (figure, "figure", lambda: with_photo.get("/studio-figure/photo-01")),
        "portrait": (editor, "jpeg", lambda: with_photo.get(OF_A_PHOTO[2])),
        "keep": (editor, "measured", lambda: with_photo.post("/studio-portrait", json=WISH)),
    }
    module, name, call = calls[asked]
    real = getattr(module, name)

    def erased_meanwhile(*arguments: Any, **named: Any) -> Any:
        made = real(*arguments, **named)
        place.services.sessions.erase(session.id, "user")
        return made

    monkeypatch.setattr(module, name, erased_meanwhile)
    answer = call()
    assert (answer.status_code, answer.json()) == (404, NOTHING)
    assert place.app.state.editor.sitters.held(session.id) == set()
    folder = place.services.settings.scratch / "vault" / session.id
    assert not folder.exists() or not list(folder.iterdir())


def test_a_photo_that_is_removed_while_it_is_worked_on_does_not_stay_in_memory(
    place: Place, with_photo: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = session_of(place, with_photo)

    def removed_meanwhile(sitter: Sitter) -> bool:
        assert with_photo.delete("/photo/photo-01").status_code == 204
        return clothes_are_clear(sitter)

    monkeypatch.setattr(sitters, "clothes_are_clear", removed_meanwhile)
    assert with_photo.get("/studio-photos").json() == []
    assert place.app.state.editor.sitters.held(session.id) == set()


def test_a_removed_photo_is_gone_from_the_editor(place: Place, with_photo: httpx.Client) -> None:
    assert with_photo.get("/studio-figure/photo-01").status_code == 200
    assert with_photo.delete("/photo/photo-01").status_code == 204
    for address in OF_A_PHOTO:
        assert with_photo.get(address).json() == NOTHING
    assert with_photo.get("/studio-photos").json() == []


ODD: list[dict[str, Any]] = [
    {"look": "nonsense"},
    {"look": "black-white"},  # can only be painted
    {"shape": "round"},
    {"head": 0.451},
    {"head": "large"},
    {"head": "nan"},
    {"light": "none"},  # not on offer
    {"azimuth": 91},
    {"azimuth": "nan"},
    {"azimuth": "inf"},
    {"elevation": -11},
    {"strength": 2.1},
    {"strength": -0.1},
    {"kelvin": 0},
    {"kelvin": 1e308},
    {"blur": 1.01},
    {"blur": "-1e-9"},
    {"clothes": "pink"},
    {"clothes": "x" * 500},
    {"look": "corporate\x00"},
]


@pytest.mark.parametrize("odd", ODD, ids=lambda odd: f"{odd}"[:40])
def test_nonsense_is_one_sentence(with_photo: httpx.Client, odd: dict[str, Any]) -> None:
    answers = [
        with_photo.get("/studio-portrait", params=WISH | odd),
        with_photo.post("/studio-portrait", json=WISH | odd),
    ]
    if "clothes" in odd:
        answers.append(with_photo.get("/studio-figure/photo-01", params=odd))
    if "blur" in odd:
        answers.append(with_photo.get("/studio-wall/corporate.jpg", params=odd))
    for answer in answers:
        assert answer.status_code == 400, answer.url
        assert list(answer.json()) == ["sentence"]
    assert with_photo.get("/portrait/kept-001").status_code == 404


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"null", b'{"photo": {}}', b"\xff" * 9])
def test_odd_bodies_keep_nothing(with_photo: httpx.Client, body: bytes) -> None:
    header = {"content-type": "application/json"}
    answer = with_photo.post("/studio-portrait", content=body, headers=header)
    assert answer.status_code == 400
    assert list(answer.json()) == ["sentence"]


def test_a_page_of_another_site_keeps_nothing(with_photo: httpx.Client) -> None:
    elsewhere = {"origin": "https://elsewhere.example"}
    answer = with_photo.post("/studio-portrait", json=WISH, headers=elsewhere)
    assert answer.status_code == 403
    assert with_photo.get("/portrait/kept-001").status_code == 404


def test_no_answer_of_the_editor_is_stored_by_a_browser(with_photo: httpx.Client) -> None:
    for answer in everything_for(with_photo):
        assert answer.headers["cache-control"] == "no-store", answer.url


def test_the_figure_is_small_and_carries_no_metadata(with_photo: httpx.Client) -> None:
    answer = with_photo.get("/studio-figure/photo-01")
    assert answer.headers["content-encoding"] == "gzip"
    length = int.from_bytes(answer.content[:4], "little")
    assert 0 < length < 2000
    assert len(answer.content) < 4_000_000
    assert b"Exif" not in answer.content


@pytest.fixture
def narrow(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Place]:
    monkeypatch.setattr(editor, "PER_MINUTE", 3)
    monkeypatch.setattr(editor, "MOST_KEPT", 2)
    with served(tmp_path_factory.mktemp("narrow")) as built:
        yield built


def test_a_flood_is_stopped_on_every_route(narrow: Place, selfie_jpegs: list[bytes]) -> None:
    with closing(visitor(narrow)) as client, closing(visitor(narrow)) as other:
        upload(client, selfie_jpegs[0])
        upload(other, selfie_jpegs[0])
        for _ in range(3):
            assert client.get("/studio-wall/corporate.jpg").status_code == 200
        counted = [*OF_A_PHOTO, "/studio-photos", "/studio-wall/corporate.jpg"]
        answers = [client.get(address) for address in counted]
        answers.append(client.post("/studio-portrait", json=WISH))
        for answer in answers:
            assert answer.status_code == 429, answer.url
            assert list(answer.json()) == ["sentence"]
        assert other.get(OF_A_PHOTO[0]).status_code == 200  # nobody else is held up


def test_nobody_fills_the_disk_by_keeping(narrow: Place, selfie_jpegs: list[bytes]) -> None:
    with closing(visitor(narrow)) as client:
        upload(client, selfie_jpegs[0])
        answers = [client.post("/studio-portrait", json=WISH) for _ in range(3)]
        assert [answer.status_code for answer in answers] == [200, 200, 400]
        assert "2" in answers[2].json()["sentence"]


def test_two_hearts_at_once_are_two_portraits(with_photo: httpx.Client, place: Place) -> None:
    names: list[str] = []

    def keep() -> None:
        names.append(with_photo.post("/studio-portrait", json=WISH).json()["id"])

    threads = [threading.Thread(target=keep) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(names) == ["kept-001", "kept-002", "kept-003"]
    hearts = with_photo.get("/status").json()["hearts"]["list"]
    assert sorted(hearts) == sorted(names)
    assert len(place.job_queue.portraits(session_of(place, with_photo))) == 3


def test_a_job_and_a_heart_do_not_write_over_each_other(
    with_photo: httpx.Client, place: Place
) -> None:
    session = session_of(place, with_photo)
    place.job_queue.deliver(session, 1)
    assert with_photo.post("/studio-portrait", json=WISH).status_code == 200
    place.job_queue.deliver(session, 1)
    known = {record.id for record in place.job_queue.portraits(session)}
    assert known == {"portrait-001", "portrait-002", "kept-001"}
    assert with_photo.post("/session/share").status_code == 200


def test_a_colleague_sees_what_was_kept_as_long_as_it_has_its_heart(
    with_photo: httpx.Client, place: Place, stranger: httpx.Client
) -> None:
    assert with_photo.post("/studio-portrait", json=WISH).status_code == 200
    ticket = with_photo.post("/session/share").json()["path"].partition("#")[2]
    assert stranger.post("/shared/open", json={"ticket": ticket}).status_code == 204
    assert [seen["id"] for seen in stranger.get("/shared/portraits").json()] == ["kept-001"]
    assert stranger.get("/shared/portrait/kept-001").status_code == 200
    with_photo.post("/portrait/kept-001/heart", json={"on": False})
    assert stranger.get("/shared/portrait/kept-001").status_code == 404
