"""Shape and backdrop, chosen when the portraits are there: views, downloads, the ZIP."""

from __future__ import annotations

import io
import json
import zipfile
from dataclasses import asdict, replace

import httpx
import numpy as np
import pytest
from PIL import Image

from pipeline.portraits.sheet import load_kept, load_sheet
from tests.support.web import Place, session_of, upload

FIRST = "/portrait/portrait-001"
ADDRESSES = (FIRST, f"{FIRST}/download", "/portraits.zip")


@pytest.fixture
def made(ann: httpx.Client, place: Place) -> httpx.Client:
    """A visitor with two portraits, 320 x 320."""
    place.job_queue.deliver(session_of(place, ann), 2)
    return ann


def opened(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


@pytest.mark.parametrize(
    ("query", "px"),
    [
        ({"shape": "4:5"}, (256, 320)),
        ({"shape": "3:4", "size": "400"}, (300, 400)),
        ({"shape": "square"}, (320, 320)),
        ({"shape": "3:4", "tone": "darker"}, (240, 320)),
        ({"tone": "lighter"}, (320, 320)),
    ],
)
def test_views_downloads_and_the_zip_have_what_their_address_says(
    made: httpx.Client, query: dict[str, str], px: tuple[int, int]
) -> None:
    view = made.get(FIRST, params=query)
    file = made.get(f"{FIRST}/download", params=query)
    bundle = made.get("/portraits.zip", params=query)
    assert (view.status_code, file.status_code, bundle.status_code) == (200, 200, 200)
    assert opened(view.content).size == px
    assert view.content == file.content
    with zipfile.ZipFile(io.BytesIO(bundle.content)) as files:
        assert len(files.namelist()) == 2
        assert {opened(files.read(name)).size for name in files.namelist()} == {px}
        assert file.content in [files.read(name) for name in files.namelist()]


def test_another_backdrop_changes_the_wall_and_not_the_face(
    ann: httpx.Client, place: Place, selfie_jpegs: list[bytes]
) -> None:
    session = session_of(place, ann)
    place.job_queue.deliver(session, 1)
    buffer = io.BytesIO()
    Image.open(io.BytesIO(selfie_jpegs[0])).save(buffer, "PNG")
    place.services.vault.put(session, "portrait", "portrait-001", buffer.getvalue())
    plain, dark = (
        np.asarray(opened(ann.get(f"{FIRST}/download", params={"tone": tone}).content), np.int16)
        for tone in ("look", "darker")
    )
    height, width = plain.shape[:2]
    face = np.s_[height // 2 - 40 : height // 2 + 40, width // 2 - 40 : width // 2 + 40]
    assert np.array_equal(dark[face], plain[face])
    corner = np.s_[: height // 12, : width // 12]
    assert dark[corner].mean() < 0.8 * plain[corner].mean()


@pytest.mark.parametrize("address", ADDRESSES)
@pytest.mark.parametrize(
    ("query", "words"),
    [
        ({"shape": "16:9"}, "Shapes are made, square, 4:5, 3:4."),
        ({"tone": "neon"}, "Backdrops are look, lighter, darker."),
    ],
)
def test_what_is_not_on_offer_is_one_sentence(
    made: httpx.Client, address: str, query: dict[str, str], words: str
) -> None:
    answer = made.get(address, params=query)
    assert answer.status_code == 400
    assert answer.json() == {"sentence": words}
    assert made.post("/portraits/arrangement", json=query).json() == {"sentence": words}
    assert made.get(address, params={"shape": "x" * 1000}).status_code == 400


@pytest.mark.parametrize("address", ADDRESSES)
def test_nobody_elses_portraits_are_known(
    made: httpx.Client, bob: httpx.Client, address: str
) -> None:
    query = {"shape": "4:5", "tone": "darker"}
    assert made.get(address, params=query).status_code == 200
    theirs = bob.get(address, params=query)
    assert theirs.status_code == 404
    assert theirs.content == bob.get("/portrait/portrait-099").content


def test_an_arranged_zip_has_no_length_before_but_goes_on(made: httpx.Client) -> None:
    whole = made.get("/portraits.zip")
    assert "content-length" in whole.headers
    for query in ({"shape": "square"}, {"tone": "darker"}):
        answer = made.get("/portraits.zip", params=query)
        assert answer.status_code == 200
        assert "content-length" not in answer.headers
        with zipfile.ZipFile(io.BytesIO(answer.content)) as bundle:
            assert bundle.testzip() is None
        asked = {"range": "bytes=100-", "if-range": answer.headers["etag"]}
        rest = made.get("/portraits.zip", params=query, headers=asked)
        assert (rest.status_code, rest.content) == (206, answer.content[100:])


def test_one_arranged_portrait_can_be_gone_on_with(made: httpx.Client) -> None:
    address = f"{FIRST}/download?shape=4%3A5&tone=lighter"
    whole = made.get(address)
    rest = made.get(address, headers={"range": "bytes=100-", "if-range": whole.headers["etag"]})
    assert (rest.status_code, whole.content[100:]) == (206, rest.content)


def test_a_portrait_kept_in_the_editor_knows_its_alpha(
    ann: httpx.Client, place: Place, selfie_jpegs: list[bytes]
) -> None:
    assert upload(ann, selfie_jpegs[0]).status_code == 200
    wish = {"photo": "photo-01", "look": "corporate", "shape": "4:5"}
    assert ann.post("/studio-portrait", json=wish).status_code == 200
    session = session_of(place, ann)
    (record,) = load_kept(place.services.vault, session)
    address = f"/portrait/{record.id}/download"
    stored = np.asarray(opened(ann.get(address).content))
    matte = place.services.mattes.of(session, record).matte(stored)
    assert matte.exact
    assert matte.person.shape == stored.shape[:2]
    rgba = np.asarray(opened(ann.get(address, params={"format": "transparent"}).content))
    assert np.array_equal(rgba[..., 3], matte.person)
    # A grey wall, the same everywhere but for its grain: where the alpha says nobody is.
    dark = np.asarray(opened(ann.get(address, params={"tone": "darker"}).content))
    wall, person = matte.person == 0, matte.person == 255
    assert min(wall.mean(), person.mean()) > 0.1
    assert np.array_equal(dark[person], stored[person])
    assert (dark[wall].mean(axis=1) < stored[wall].mean(axis=1)).all()


def told(client: httpx.Client) -> dict[str, str]:
    return client.get("/status").json().get("arrangement", {})


def test_the_choice_survives_a_reload_and_goes_with_the_session(
    made: httpx.Client, bob: httpx.Client, place: Place
) -> None:
    assert told(made) == {"shape": "made", "tone": "look"}
    chosen = {"shape": "3:4", "tone": "darker"}
    assert made.post("/portraits/arrangement", json=chosen).status_code == 204
    assert made.post("/portraits/wish", json={"caption": "Ann"}).status_code == 204
    status = made.get("/status").json()
    assert (status["arrangement"], status["wish"]["caption"]) == (chosen, "Ann")
    assert made.post("/portraits/arrangement", json={"tone": "lighter"}).status_code == 204
    status = made.get("/status").json()
    assert status["arrangement"] == {"shape": "made", "tone": "lighter"}
    assert status["wish"]["caption"] == "Ann"
    assert made.post("/portraits/arrangement", json={"shape": "16:9"}).status_code == 400
    assert told(made) == {"shape": "made", "tone": "lighter"}
    place.job_queue.deliver(session_of(place, bob), 1)
    assert told(bob) == {"shape": "made", "tone": "look"}
    session = session_of(place, made)
    assert place.services.vault.list(session, "wish") != []
    made.post("/session/delete")
    assert made.get("/status").status_code == 404
    assert not place.services.sessions.alive(session.id)


def test_sizes_are_those_of_the_cut_portraits(made: httpx.Client, place: Place) -> None:
    session, vault = session_of(place, made), place.services.vault
    rows = [
        asdict(replace(record, way="photo", px=(1000, 1000), face=(0.35, 0.25, 0.3, 0.35)))
        for record in load_sheet(vault, session)
    ]
    vault.put(session, "sheet", "portraits", json.dumps(rows).encode())
    shapes = {shape["key"]: shape for shape in made.get("/status").json()["shapes"]}
    assert list(shapes) == ["made", "square", "4:5", "3:4"]
    assert not any(shape["off"] for shape in shapes.values())
    originals = {key: shape["sizes"][0]["told"] for key, shape in shapes.items()}
    assert originals["made"] == originals["square"] == "Original (up to 1000 × 1000 px)"
    assert originals["4:5"] == "Original (up to 800 × 1000 px)"
    assert originals["3:4"] == "Original (up to 750 × 1000 px)"
    # A square of 533 px can be enlarged to 800, one of 4:5 of it cannot.
    rows = [row | {"px": (540, 540)} for row in rows]
    vault.put(session, "sheet", "portraits", json.dumps(rows).encode())
    shapes = {shape["key"]: shape for shape in made.get("/status").json()["shapes"]}
    off = {
        key: [size["key"] for size in shape["sizes"] if size["off"]]
        for key, shape in shapes.items()
    }
    assert off == {"made": [], "square": [], "4:5": ["square-800"], "3:4": ["square-800"]}
