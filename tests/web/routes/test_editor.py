"""The editor's routes: whose they are, what can be asked for, what is kept and what is not."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import ExitStack, closing

import httpx
import numpy as np
import pytest
from PIL import Image

from errors import Busy, UnknownSession
from pipeline.compositing.studio import sit
from tests.support.web import Place, served, session_of, upload, visitor
from web import editor, sitters
from web.editor import Editor, Wanted
from web.sitters import Sitters

pytestmark = pytest.mark.slow

ADDRESS = "/studio-portrait"
FIRST = {"photo": "photo-01", "look": "corporate"}
COMPOSITE = b"digitalsourcetype/composite"


def editor_of(where: Place) -> Editor:
    found = where.app.state.editor
    assert isinstance(found, Editor)
    return found


def cache_of(where: Place) -> Sitters:
    return editor_of(where).sitters


def opened(answer: httpx.Response) -> Image.Image:
    assert answer.status_code == 200, answer.text
    image = Image.open(io.BytesIO(answer.content))
    image.load()
    return image


@pytest.fixture
def with_photo(ann: httpx.Client, selfie_jpegs: list[bytes]) -> httpx.Client:
    upload(ann, selfie_jpegs[0])
    photos = ann.get("/status").json()["photos"]
    assert photos["usable_cut_outs"] == ["photo-01"]
    assert photos["enough"] == {"photo": True, "painted": False, "both": False}
    return ann


def test_the_picture_is_what_was_asked_for(with_photo: httpx.Client) -> None:
    answer = with_photo.get(ADDRESS, params=FIRST)
    image = opened(answer)
    assert answer.headers["content-type"] == "image/jpeg"
    assert answer.headers["cache-control"] == "no-store"
    assert image.format == "JPEG"
    assert image.width == image.height <= 640
    tall = opened(with_photo.get(ADDRESS, params=FIRST | {"shape": "4:5"}))
    assert tall.height * 4 == pytest.approx(tall.width * 5, abs=5)
    choices: list[dict] = [{}, {"look": "old-money"}, {"light": "right"}, {"head": 0.6}]
    pictures = [
        np.asarray(
            opened(with_photo.get(ADDRESS, params=FIRST | choice)).resize((64, 64)), np.float64
        )
        for choice in choices
    ]
    for other in pictures[1:]:
        assert np.abs(other - pictures[0]).mean() > 0.3


def test_the_full_size_is_a_png_that_says_what_it_is(with_photo: httpx.Client) -> None:
    small = opened(with_photo.get(ADDRESS, params=FIRST))
    answer = with_photo.get(ADDRESS, params=FIRST | {"size": "full"})
    image = opened(answer)
    assert image.format == "PNG"
    assert small.width <= image.width <= 2048
    assert COMPOSITE in answer.content
    assert answer.headers["content-disposition"] == 'attachment; filename="portrait.png"'


def test_a_photo_of_somebody_else_is_as_unknown_as_one_that_never_was(
    with_photo: httpx.Client, place: Place
) -> None:
    assert with_photo.get(ADDRESS, params=FIRST).status_code == 200
    with closing(visitor(place)) as bob:
        for name in ("photo-01", "photo-99", "", "../photo-01", "portrait-001"):
            answer = bob.get(ADDRESS, params=FIRST | {"photo": name})
            assert answer.status_code == 404, name
            assert "there is nothing here" in answer.text.lower()
    bob.cookies.clear()
    with closing(httpx.Client(base_url=place.url)) as nobody:
        assert nobody.get(ADDRESS, params=FIRST).status_code == 404
        assert nobody.get("/studio-wall/corporate.webp").status_code == 404


@pytest.mark.parametrize(
    "odd",
    [
        {"look": "nonsense"},
        {"look": "black-white"},  # can only be painted
        {"look": ""},
        {"shape": "round"},
        {"head": 0.47},
        {"light": "none"},
        {"light": "-40"},
        {"size": "4096"},
        {"size": "x" * 1000},
        {"look": "\x00"},
    ],
)
def test_nonsense_is_one_sentence(with_photo: httpx.Client, odd: dict[str, str]) -> None:
    answer = with_photo.get(ADDRESS, params=FIRST | odd)
    assert answer.status_code == 400
    assert list(answer.json()) == ["sentence"]


def test_nothing_is_left_of_an_erased_session_or_a_removed_photo(
    with_photo: httpx.Client, place: Place, selfie_jpegs: list[bytes]
) -> None:
    cache = cache_of(place)
    upload(with_photo, selfie_jpegs[3])
    second = FIRST | {"photo": "photo-02"}
    before = len(cache)
    for wanted in (FIRST, second):
        assert with_photo.get(ADDRESS, params=wanted).status_code == 200
    assert len(cache) == before + 2
    assert with_photo.delete("/photo/photo-02").status_code == 204
    assert len(cache) == before + 1
    assert with_photo.get(ADDRESS, params=second).status_code == 404
    with_photo.post("/session/delete")
    assert len(cache) == before
    assert with_photo.get(ADDRESS, params=FIRST).status_code == 404


def test_an_erasure_while_a_portrait_is_rendered_keeps_nothing(
    with_photo: httpx.Client, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache, session = cache_of(place), session_of(place, with_photo)
    before = len(cache)

    def erased_meanwhile(*arguments: object) -> object:
        place.services.sessions.erase(session.id, "user")
        return sit(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(sitters, "sit", erased_meanwhile)
    with pytest.raises(UnknownSession):
        editor_of(place).render(session, "photo-01", Wanted("corporate"), "preview")
    assert len(cache) == before


def test_only_a_few_photos_are_kept_and_not_for_long(
    with_photo: httpx.Client, place: Place, monkeypatch: pytest.MonkeyPatch,
    selfie_jpegs: list[bytes],
) -> None:  # fmt: skip
    monkeypatch.setattr(sitters, "SITTERS", 1)
    upload(with_photo, selfie_jpegs[3])
    for name in ("photo-01", "photo-02"):
        assert with_photo.get(ADDRESS, params=FIRST | {"photo": name}).status_code == 200
    cache = cache_of(place)
    assert len(cache) == 1
    monkeypatch.setattr(sitters, "KEPT_S", -1.0)
    cache.tidy()
    assert len(cache) == 0


@pytest.fixture
def impatient(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Place]:
    monkeypatch.setattr(editor, "PER_MINUTE", 2)
    with served(tmp_path_factory.mktemp("impatient")) as built:
        yield built


def test_too_many_in_a_minute_are_asked_to_wait(
    impatient: Place, selfie_jpegs: list[bytes]
) -> None:
    with closing(visitor(impatient)) as client, closing(visitor(impatient)) as other:
        for person in (client, other):
            upload(person, selfie_jpegs[0])
        answers = [client.get(ADDRESS, params=FIRST).status_code for _ in range(3)]
        assert answers == [200, 200, 429]
        assert other.get(ADDRESS, params=FIRST).status_code == 200


def test_a_session_has_few_and_the_server_has_few_at_once(
    with_photo: httpx.Client, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    found, session = editor_of(place), session_of(place, with_photo)
    monkeypatch.setattr(editor, "WAIT_S", 0.01)
    for _ in range(editor.AT_ONCE):
        assert found.turns.acquire(timeout=0)
    try:
        with pytest.raises(Busy):
            found.render(session, "photo-01", Wanted("corporate"), "preview")
    finally:
        for _ in range(editor.AT_ONCE):
            found.turns.release()
    with ExitStack() as held:
        for _ in range(editor.PER_SESSION - 1):
            held.enter_context(found.at_once.hold(session.id))
        assert with_photo.get(ADDRESS, params=FIRST).status_code == 200
        with found.at_once.hold(session.id):
            assert with_photo.get(ADDRESS, params=FIRST).status_code == 429


def test_each_look_shows_its_wall(ann: httpx.Client) -> None:
    wall = opened(ann.get("/studio-wall/old-money.webp"))
    red, green, blue = np.asarray(wall.convert("RGB"), float).reshape(-1, 3).mean(axis=0)
    assert red > max(green, blue)
    for key in ("black-white", "nonsense"):
        assert ann.get(f"/studio-wall/{key}.webp").status_code == 404


STROKES = "/studio-strokes/photo-01"
ACROSS = {"points": [[0.2, 0.5], [0.8, 0.5]], "radius": 0.03}


def test_what_was_taken_away_is_gone_from_every_portrait_until_it_is_brought_back(
    with_photo: httpx.Client,
) -> None:
    def portrait() -> np.ndarray:
        return np.asarray(opened(with_photo.get(ADDRESS, params=FIRST)), np.float64)

    before = portrait()
    assert with_photo.post(STROKES, json=ACROSS).status_code == 204
    without = portrait()
    assert np.abs(without - before).mean() > 1
    kept = with_photo.post(ADDRESS, json=FIRST).json()["id"]
    stored = opened(with_photo.get(f"/portrait/{kept}")).convert("RGB").resize(before.shape[1::-1])
    assert np.abs(np.asarray(stored, np.float64) - without).mean() < 3
    assert with_photo.delete(STROKES).status_code == 204
    assert np.abs(portrait() - before).mean() < 0.01


@pytest.mark.parametrize(
    "odd",
    [
        {},
        ACROSS | {"points": []},
        ACROSS | {"points": [[0.5, 0.5]] * 201},
        ACROSS | {"points": [[0.5, 1.1]]},
        ACROSS | {"points": [[0.5]]},
        ACROSS | {"points": "all"},
        ACROSS | {"radius": 0.5},
        ACROSS | {"radius": 0},
        ACROSS | {"radius": "wide"},
    ],
)
def test_odd_strokes_are_one_sentence_and_take_nothing(
    with_photo: httpx.Client, place: Place, odd: dict[str, object]
) -> None:
    answer = with_photo.post(STROKES, json=odd)
    assert answer.status_code in (400, 422)
    assert list(answer.json()) == ["sentence"]
    seated = cache_of(place).seated(session_of(place, with_photo), "photo-01")
    assert seated.photo.strokes == 0
