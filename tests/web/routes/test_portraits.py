"""Hearts, downloads finished as wished, and what the page is told of near-duplicates."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict, replace
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image

from pipeline.portraits.score import appearance
from pipeline.portraits.sheet import load_sheet
from tests.support.signed import made_chain, read
from tests.support.web import Place, served, session_of, visitor

MARK = b"trainedAlgorithmicMedia"
FIRST = "/portrait/portrait-001"


@pytest.fixture
def made(ann: httpx.Client, place: Place) -> httpx.Client:
    """A visitor with six portraits; the fifth is doubtful."""
    place.job_queue.deliver(session_of(place, ann), 6)
    return ann


def status(client: httpx.Client) -> dict:
    return client.get("/status").json()


def heart(client: httpx.Client, number: int, on: bool = True) -> None:
    answer = client.post(f"/portrait/portrait-{number:03d}/heart", json={"on": on})
    assert answer.status_code == 204


def opened(answer: httpx.Response) -> Image.Image:
    assert answer.status_code == 200, answer.text
    image = Image.open(io.BytesIO(answer.content))
    image.load()
    return image


def test_hearts_are_kept_until_they_are_taken_back(made: httpx.Client) -> None:
    for number, on in ((2, True), (1, True), (2, True), (3, True), (1, False), (6, False)):
        heart(made, number, on)
    assert status(made)["hearts"]["list"] == ["portrait-002", "portrait-003"]


def test_a_heart_for_nothing_is_refused(made: httpx.Client) -> None:
    for name in ("portrait-099", "photo-01", "x"):
        assert made.post(f"/portrait/{name}/heart", json={"on": True}).status_code == 404
    for body in ({}, {"on": "perhaps"}, []):
        assert made.post(f"{FIRST}/heart", json=body).status_code == 400
    assert status(made)["hearts"] == {"list": [], "votes": {}, "shared": False}


def test_a_download_has_the_size_format_and_name_that_was_asked_for(made: httpx.Client) -> None:
    answer = made.get(f"{FIRST}/download", params={"size": "cv", "format": "jpeg"})
    image = opened(answer)
    assert (image.size, image.format, image.info["dpi"]) == ((413, 531), "JPEG", (300, 300))
    assert answer.headers["content-type"] == "image/jpeg"
    assert answer.headers["content-disposition"] == 'attachment; filename="portrait-001.jpg"'
    assert opened(made.get(f"{FIRST}/download")).size == (320, 320)
    assert made.get("/portrait/portrait-099/download").status_code == 404


@pytest.mark.parametrize("query", [{"size": "huge"}, {"format": "exe"}])
@pytest.mark.parametrize("address", [f"{FIRST}/download", "/portraits.zip"])
def test_an_odd_download_is_a_sentence(
    made: httpx.Client, address: str, query: dict[str, str]
) -> None:
    answer = made.get(address, params=query)
    assert answer.status_code == 400
    assert answer.json()["sentence"].endswith(("print.", "webp."))


def test_the_zip_of_the_hearted_holds_only_these(made: httpx.Client) -> None:
    assert made.get("/portraits.zip", params={"hearted": True}).status_code == 404
    heart(made, 3)
    heart(made, 1)
    answer = made.get("/portraits.zip", params={"hearted": True, "format": "webp", "size": "400"})
    with zipfile.ZipFile(io.BytesIO(answer.content)) as bundle:
        assert bundle.namelist() == ["001-corporate.webp", "002-corporate.webp"]
        assert all(MARK in bundle.read(name) for name in bundle.namelist())


def test_a_caption_is_kept_and_drawn_on_downloads_only(made: httpx.Client, place: Place) -> None:
    assert status(made)["wish"] == {"caption": "", "watermark": False, "marked": True, "name": ""}
    before = np.asarray(opened(made.get(f"{FIRST}/download")))
    wish = {"caption": "  Ann   Example ", "watermark": True, "marked": True, "name": ""}
    assert made.post("/portraits/wish", json=wish).status_code == 204
    assert status(made)["wish"] == wish | {"caption": "Ann Example"}
    after = np.asarray(opened(made.get(f"{FIRST}/download")))
    assert (before != after).any()
    assert (np.asarray(opened(made.get(FIRST))) == before).all()
    files = place.services.settings.scratch.rglob("*")
    assert not any(b"Ann Example" in file.read_bytes() for file in files if file.is_file())


@pytest.mark.parametrize("caption", ["x" * 61, "名前", "a\x00b"])
def test_a_caption_that_cannot_be_drawn_is_a_sentence_and_changes_nothing(
    made: httpx.Client, caption: str
) -> None:
    answer = made.post("/portraits/wish", json={"caption": caption})
    assert answer.status_code == 400
    assert "caption" in answer.json()["sentence"].lower()
    assert status(made)["wish"]["caption"] == ""


def test_downloads_are_marked_unless_unticked(made: httpx.Client) -> None:
    assert MARK in made.get(f"{FIRST}/download").content
    made.post("/portraits/wish", json={"marked": False})
    assert MARK not in made.get(f"{FIRST}/download").content
    assert MARK not in made.get("/portraits.zip").content


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with served(tmp_path_factory.mktemp("strict"), marking="always") as place:
        yield place


def test_an_operator_can_insist_on_the_mark(strict: Place, place: Place) -> None:
    with closing(visitor(strict)) as client:
        strict.job_queue.deliver(session_of(strict, client), 1)
        client.post("/portraits/wish", json={"marked": False})
        assert MARK in client.get(f"{FIRST}/download").content
        assert status(client)["wish"]["marked"] is True
        assert 'data-slot="marked"' not in client.get("/studio-parts").text
        assert 'data-slot="marked"' in httpx.get(f"{place.url}/studio-parts").text


def test_near_duplicates_name_the_one_they_are_like(made: httpx.Client, place: Place) -> None:
    session = session_of(place, made)
    looks_same = appearance(np.full((64, 64, 3), 90, np.uint8), np.eye(128)[0].astype(np.float32))
    records = [
        replace(record, appearance=looks_same) if record.id in ("portrait-001", "portrait-003")
        else record
        for record in load_sheet(place.services.vault, session)
    ]  # fmt: skip
    rows = json.dumps([asdict(record) for record in records]).encode()
    place.services.vault.put(session, "sheet", "portraits", rows)
    like = {portrait["id"]: portrait["like"] for portrait in status(made)["portraits"]}
    assert like.pop("portrait-003") == "portrait-001"
    assert set(like.values()) == {None}


# --- sizes, names, and a picture without its wall --------------------------------------------


def as_made(status: dict) -> list[dict]:
    """The sizes of portraits that nobody cut."""
    return status["shapes"][0]["sizes"]


def deliver_photo_way(place: Place, client: httpx.Client, px: tuple[int, int] | None) -> None:
    """One portrait of a photo; px: what the record says of its pixels."""
    session = session_of(place, client)
    place.job_queue.deliver(session, 1, way="photo")
    records = [replace(record, px=px) for record in load_sheet(place.services.vault, session)]
    rows = json.dumps([asdict(record) for record in records]).encode()
    place.services.vault.put(session, "sheet", "portraits", rows)


def test_sizes_say_pixels_and_centimetres(ann: httpx.Client, place: Place) -> None:
    deliver_photo_way(place, ann, (1024, 1280))
    sizes = {size["key"]: size for size in as_made(status(ann))}
    assert sizes["original"]["told"] == "Original (up to 1024 × 1280 px)"
    assert sizes["print"]["told"] == "Print (300 dpi, up to 8.7 × 10.8 cm)"
    assert not any(size["off"] for size in sizes.values())
    german = ann.get("/status", headers={"accept-language": "de"}).json()
    assert as_made(german)[-1]["told"] == "Druck (300 dpi, bis 8,7 × 10,8 cm)"


def test_a_size_that_the_photo_cannot_give_is_off(ann: httpx.Client, place: Place) -> None:
    deliver_photo_way(place, ann, (320, 320))
    sizes = {size["key"]: size for size in as_made(status(ann))}
    assert {key for key, size in sizes.items() if size["off"]} == {"square-800", "cv"}
    assert "too few pixels" in sizes["square-800"]["told"]
    # Asked for all the same, it is enlarged 1.5 times and no more.
    assert opened(ann.get(f"{FIRST}/download", params={"size": "square-800"})).size == (480, 480)


def test_painted_portraits_have_every_size(made: httpx.Client) -> None:
    assert not any(size["off"] for size in as_made(status(made)))


def test_square_is_square_whatever_the_portrait(ann: httpx.Client, place: Place) -> None:
    session = session_of(place, ann)
    place.job_queue.deliver(session, 1)
    buffer = io.BytesIO()
    Image.linear_gradient("L").resize((240, 300)).convert("RGB").save(buffer, "PNG")
    place.services.vault.put(session, "portrait", "portrait-001", buffer.getvalue())
    for size, side in (("square-800", 800), ("square-400", 400)):
        assert opened(ann.get(f"{FIRST}/download", params={"size": size})).size == (side, side)


def test_the_wall_can_be_taken_away(
    ann: httpx.Client, place: Place, selfie_jpegs: list[bytes]
) -> None:
    deliver_photo_way(place, ann, None)
    buffer = io.BytesIO()
    Image.open(io.BytesIO(selfie_jpegs[0])).save(buffer, "PNG")
    session = session_of(place, ann)
    place.services.vault.put(session, "portrait", "portrait-001", buffer.getvalue())
    answer = ann.get(f"{FIRST}/download", params={"format": "transparent"})
    image = opened(answer)
    assert (image.mode, answer.headers["content-type"]) == ("RGBA", "image/png")
    alpha = np.asarray(image)[..., 3]
    height, width = alpha.shape
    assert alpha[: height // 12, : width // 12].max() < 40  # a corner of the room
    assert alpha[height // 2 - 5 : height // 2 + 5, width // 2 - 5 : width // 2 + 5].min() > 250
    assert b"digitalsourcetype/composite" in answer.content


def test_files_bear_the_name_that_was_typed(made: httpx.Client, place: Place) -> None:
    wish = {"name": "  Änne / ../Müller\r\nX-Evil: 1  "}
    assert made.post("/portraits/wish", json=wish).status_code == 204
    assert status(made)["wish"]["name"] == "Änne-Müller-X-Evil-1"
    told = made.get(f"{FIRST}/download").headers["content-disposition"]
    assert told == (
        'attachment; filename="portrait-001.png"; '
        "filename*=UTF-8''%C3%84nne-M%C3%BCller-X-Evil-1-portrait-001.png"
    )
    answer = made.get("/portraits.zip")
    assert "X-Evil-1-portraits.zip" in answer.headers["content-disposition"]
    with zipfile.ZipFile(io.BytesIO(answer.content)) as bundle:
        names = [name.rpartition("/")[2] for name in bundle.namelist()]
    assert all(name.startswith("Änne-Müller-X-Evil-1-00") for name in names)
    files = place.services.settings.scratch.rglob("*")
    assert not any("Müller".encode() in file.read_bytes() for file in files if file.is_file())


@pytest.mark.fact(50)
def test_a_signed_zip_goes_on_where_it_was_broken_off(tmp_path: Path) -> None:
    key, chain = made_chain(tmp_path / "chain")
    with (
        served(tmp_path / "scratch", c2pa_key=key, c2pa_chain=chain) as signing_place,
        closing(visitor(signing_place)) as client,
    ):
        signing_place.job_queue.deliver(session_of(signing_place, client), 3)
        whole = client.get("/portraits.zip")
        assert int(whole.headers["content-length"]) == len(whole.content)
        asked = {"range": "bytes=1000-", "if-range": whole.headers["etag"]}
        rest = client.get("/portraits.zip", headers=asked)
        one = client.get(f"{FIRST}/download?format=jpeg&size=400").content
    assert rest.status_code == 206
    assert whole.content[:1000] + rest.content == whole.content
    with zipfile.ZipFile(io.BytesIO(whole.content)) as bundle:
        signed = [(bundle.read(name), "image/png") for name in bundle.namelist()]
    assert len(signed) == 3
    for file, media_type in [*signed, (one, "image/jpeg")]:
        assert read(file, media_type, tmp_path / "chain" / "root.pem")[0] == "Trusted"
