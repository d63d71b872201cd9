"""The photo way as a job: real photos cut out, composed, kept; nothing is trained."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from errors import BadOrder, Stopped
from pipeline import job
from pipeline.assembly import Assembly
from pipeline.compositing.studio import sit
from pipeline.orders import Order, Progress, Report
from pipeline.photos.detection import Faces
from pipeline.portraits.mattes import Mattes
from pipeline.portraits.score import fold
from pipeline.portraits.sheet import load_sheet
from privacy.sessions import Session
from tests.support.refused import refused

pytestmark = pytest.mark.slow


@pytest.fixture
def session(assembly: Assembly, selfie_jpegs: list[bytes]) -> Session:
    """A session with three good photos: fewer than painting needs."""
    session, _ = assembly.services.sessions.create()
    for number, data in enumerate(selfie_jpegs[:3]):
        added = assembly.services.album.add(session, data, f"{number}.jpg")
        assert added.accepted, added.verdict
        assert added.cut_out_usable
    return session


def run(assembly: Assembly, session: Session, order: Order, **kwargs: object) -> Report:
    options = {"report": lambda _: None, "stop": lambda: False} | kwargs
    return job.run(session, order, assembly.services, **options)  # type: ignore[arg-type]


def looks(assembly: Assembly, count: int) -> tuple[str, ...]:
    return tuple(list(assembly.services.styles)[:count])


def test_portraits_of_photos_look_like_their_photos(assembly: Assembly, session: Session) -> None:
    seen: list[Progress] = []
    order = Order(looks(assembly, 4), count=8, way="photo")
    assembly.services.album.compare(session)
    report = run(assembly, session, order, report=seen.append)
    assert report.ways == ("photo",)
    assert report.photo is not None
    assert report.photo.headshots == 8
    assert 0.95 <= report.photo.texture["median"] <= 1.05
    sheet = load_sheet(assembly.services.vault, session)
    assert {record.way for record in sheet} == {"photo"}
    assert {record.photo for record in sheet} <= {"photo-01", "photo-02", "photo-03"}
    assert min(record.likeness or 0.0 for record in sheet) >= 0.75
    assert [p.made for p in seen if p.phase == "generating"] == list(range(9))
    assert assembly.services.sessions.deadline(session).delivered_at is not None
    assert assembly.services.vault.list(session, "adapter") == []


def test_an_order_takes_the_photos_that_still_wait(
    assembly: Assembly, selfie_jpegs: list[bytes]
) -> None:
    services = assembly.services
    session, _ = services.sessions.create()
    told = [services.album.judge(session, data, "me.jpg") for data in selfie_jpegs[:2]]
    assert services.album.usable_cut_outs(session) == []
    run(assembly, session, Order(looks(assembly, 2), count=4, way="photo"))
    sheet = load_sheet(services.vault, session)
    assert {record.photo for record in sheet} == {photo.id for photo in told}


def test_without_consent_nobodys_identity_is_measured(
    assembly: Assembly, selfie_jpegs: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    def embed(*_: object) -> None:
        raise AssertionError("a face was embedded")

    monkeypatch.setattr(Faces, "embed", embed)
    services = assembly.services
    session, _ = services.sessions.create()
    for data in selfie_jpegs[:2]:
        assert services.album.add(session, data, "me.jpg").cut_out_usable
    report = run(assembly, session, Order(looks(assembly, 2), count=4, way="photo"))
    assert report.photo is not None
    assert (report.photo.headshots, report.photo.likeness) == (4, {})
    sheet = load_sheet(services.vault, session)
    assert {record.likeness for record in sheet} == {None}
    assert not any(record.doubtful for record in sheet)
    for entry in services.vault.list(session, "face"):
        stored = services.vault.open(session, "face", entry.name)
        assert b"embedding" not in stored
    with pytest.raises(AssertionError, match="embedded"):
        services.album.compare(session)  # the watch does notice


def test_nothing_among_the_first_is_nearly_the_same(assembly: Assembly, session: Session) -> None:
    """Two of each look; the photos are variants of one, so a third would show the same frame."""
    run(assembly, session, Order(looks(assembly, 5), count=10, way="photo"))
    sheet = load_sheet(assembly.services.vault, session)
    assert len(fold(sheet)) == len(sheet) == 10


def test_a_portrait_has_the_shape_that_was_ordered(assembly: Assembly, session: Session) -> None:
    run(assembly, session, Order(looks(assembly, 1), count=1, way="photo", crop="4:5"))
    png = assembly.services.vault.open(session, "portrait", "portrait-001")
    with Image.open(io.BytesIO(png)) as image:
        assert image.width / image.height == pytest.approx(4 / 5, abs=0.005)


def test_a_darker_order_has_a_darker_wall_and_the_same_person(
    assembly: Assembly, session: Session
) -> None:
    for tone in ("look", "darker"):
        run(assembly, session, Order(looks(assembly, 1), count=1, way="photo", tone=tone))
    plain, dark = (
        np.asarray(Image.open(io.BytesIO(assembly.services.vault.open(session, "portrait", name))))
        for name in ("portrait-001", "portrait-002")
    )
    corner = np.s_[4:40, 4:40]
    assert dark[corner].mean() < 0.9 * plain[corner].mean()
    record = load_sheet(assembly.services.vault, session)[0]
    # What the job remembers is the frame that it composed with: to the pixel, wall is wall.
    services = assembly.services
    mattes = Mattes(services.album, services.segmenter.matte, services.styles)
    matte = mattes.of(session, record).matte(plain)
    assert matte.exact
    person, wall = matte.person == 255, matte.person == 0
    assert min(person.mean(), wall.mean()) > 0.1
    assert np.array_equal(dark[person], plain[person])
    assert (dark[wall].mean(axis=1) < plain[wall].mean(axis=1)).mean() > 0.95
    assert record.face is not None
    left, top, width, height = record.face
    side_y, side_x = plain.shape[:2]
    middle = np.s_[
        int((top + 0.4 * height) * side_y) : int((top + 0.6 * height) * side_y),
        int((left + 0.4 * width) * side_x) : int((left + 0.6 * width) * side_x),
    ]
    assert np.abs(dark[middle].astype(int) - plain[middle]).mean() < 2


def test_a_stop_is_heard_and_what_was_made_stays(assembly: Assembly, session: Session) -> None:
    seen: list[Progress] = []

    def enough() -> bool:
        return any(progress.made >= 2 for progress in seen)

    order = Order(looks(assembly, 2), count=40, way="photo")
    with pytest.raises(Stopped):
        run(assembly, session, order, report=seen.append, stop=enough)
    made = len(load_sheet(assembly.services.vault, session))
    assert 2 <= made < 10
    assert len(assembly.services.vault.list(session, "portrait")) == made


def test_looks_that_are_only_painted_are_refused_in_words(
    assembly: Assembly, session: Session
) -> None:
    key = looks(assembly, 1)[0]
    assembly.services.styles[key] = replace(assembly.services.styles[key], photo=None)
    with refused(BadOrder, "painted"):
        run(assembly, session, Order((key,), count=1, way="photo"))


def test_photos_that_cannot_be_cut_out_are_told_and_painting_is_offered(
    assembly: Assembly, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(assembly.services.album, "usable_cut_outs", lambda _: [])
    with refused(BadOrder, "plainer wall"):
        run(assembly, session, Order(looks(assembly, 1), count=1, way="photo"))


def test_painting_still_needs_its_photos(assembly: Assembly, session: Session) -> None:
    for way in ("painted", "both"):
        with refused(BadOrder, "learn a face"):
            run(assembly, session, Order(looks(assembly, 1), count=1, way=way))  # type: ignore[arg-type]


def test_what_portraits_share_is_worked_out_once(
    assembly: Assembly, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[int] = []

    def counted(*arguments: object) -> object:
        calls.append(1)
        return sit(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr("pipeline.portraits.photo_way.sit", counted)
    run(assembly, session, Order(looks(assembly, 2), count=9, way="photo"))
    assert len(calls) == 3  # one for each photo
