"""A good photo waits for its cut-out in RAM alone, and goes when it is removed or erased."""

from __future__ import annotations

import sys
from collections.abc import Callable

import numpy as np
import pytest

from errors import UnknownSession
from pipeline.assembly import cutter
from pipeline.imaging import CutOut, Face
from pipeline.photos.album import Album
from pipeline.photos.arrivals import Keeping
from pipeline.photos.detection import Faces
from pipeline.photos.ingest import Decoder
from privacy import kinds
from privacy.sessions import Session
from tests.support.faces import MODELS, Picture, encoded, models, photos, segmenter
from tests.support.store import Store

PX = 384


@pytest.fixture
def meanwhile() -> list[Callable[[], object]]:
    """What happens while somebody is cut out."""
    return []


@pytest.fixture
def album(store: Store, decoder: Decoder, meanwhile: list[Callable[[], object]]) -> Album:
    real = cutter(segmenter())

    def cut(image: Picture, face: Face) -> CutOut:
        for happens in meanwhile:
            happens()
        return real(image, face)

    made = Album(store.vault, decoder, models(), cut, Keeping(3, PX, PX))
    store.sessions.on_erase.append(made.pending.forget)
    return made


def file(number: int) -> bytes:
    return encoded(photos("a")[number], quality=92)


@pytest.mark.fact(31)
def test_until_the_cut_out_nothing_of_a_photo_is_written(
    album: Album, store: Store, session: Session
) -> None:
    told = album.judge(session, file(0), "me.jpg")
    assert (told.accepted, told.waits, told.cut_out_usable) == (True, True, False)
    assert album.records(session) == [told]
    assert [entry.name for entry in store.vault.list(session)] == ["numbering"]
    with pytest.raises(KeyError):
        album.image(session, told.id)
    album.finish(session, told.id)
    (kept,) = album.records(session)
    assert (kept.id, kept.label, kept.accepted, kept.waits) == (told.id, "me.jpg", True, False)
    assert album.usable_cut_outs(session) == [told.id]
    assert album.pending.ids(session.id) == []


def test_a_photo_that_was_set_aside_is_kept_as_if_at_once(
    album: Album, store: Store, session: Session
) -> None:
    other = store.sessions.create()[0]
    album.add(other, file(0), "me.jpg")
    told = album.judge(session, file(0), "me.jpg")
    assert album.pending.set_aside(session.id, told.id)
    album.finish(session, told.id)
    assert album.image(session, told.id) == album.image(other, told.id)
    one, two = album.cut_out(session, told.id), album.cut_out(other, told.id)
    assert np.array_equal(one.landmarks, two.landmarks)
    assert not album.pending.set_aside(session.id, told.id)


def test_a_photo_removed_while_it_is_cut_out_is_not_kept(
    album: Album, store: Store, session: Session, meanwhile: list[Callable[[], object]]
) -> None:
    told = album.judge(session, file(0), "me.jpg")
    meanwhile.append(lambda: album.remove(session, told.id))
    album.finish(session, told.id)
    assert album.records(session) == []
    assert store.vault.list(session, kinds.PHOTO) == []


@pytest.mark.fact(31)
def test_an_erasure_lets_go_of_what_waits_at_once(
    album: Album, store: Store, session: Session
) -> None:
    data = file(0)
    held = sys.getrefcount(data)
    told = album.judge(session, data, "me.jpg")
    album.pending.set_aside(session.id, told.id)
    assert sys.getrefcount(data) > held
    store.sessions.erase(session.id, "user")
    assert sys.getrefcount(data) == held
    album.finish(session, told.id)  # there is nothing to be done any more
    with pytest.raises(UnknownSession):
        album.records(session)


def test_a_session_erased_while_a_photo_is_cut_out_keeps_nothing(
    album: Album, store: Store, session: Session, meanwhile: list[Callable[[], object]]
) -> None:
    told = album.judge(session, file(0), "me.jpg")
    meanwhile.append(lambda: store.sessions.erase(session.id, "user"))
    album.finish(session, told.id)
    assert album.pending.ids(session.id) == []
    with pytest.raises(UnknownSession):
        store.vault.list(session)


def test_a_session_erased_while_a_photo_is_judged_leaves_none_waiting(
    store: Store, decoder: Decoder, session: Session
) -> None:
    class Erasing(Faces):
        def detect(self, image: Picture) -> list[Face]:
            store.sessions.erase(session.id, "user")
            return super().detect(image)

    album = Album(store.vault, decoder, Erasing(MODELS), cutter(segmenter()), Keeping(3, PX, PX))
    with pytest.raises(UnknownSession):
        album.judge(session, file(0), "me.jpg")
    assert album.pending.ids(session.id) == []


def test_waiting_photos_are_counted(album: Album, session: Session) -> None:
    album.add(session, file(0), "kept.jpg")
    assert [album.judge(session, file(n), "me.jpg").code for n in (1, 2, 3)] == [
        None,
        None,
        "too_many",
    ]


def test_photos_stay_in_the_order_in_which_they_came(album: Album, session: Session) -> None:
    first, copy = (album.judge(session, file(0), f"{n}.jpg") for n in range(2))
    assert (first.code, copy.code) == (None, "duplicate")
    for photo in (copy, first):
        album.finish(session, photo.id)
    assert [(one.id, one.code) for one in album.records(session)] == [
        (first.id, None),
        (copy.id, "duplicate"),
    ]
    assert album.usable_cut_outs(session) == [first.id]


def test_who_agreed_meanwhile_is_compared(album: Album, session: Session) -> None:
    told = album.judge(session, file(0), "me.jpg")
    album.compare(session)
    album.finish_all(session)
    assert album.cut_out(session, told.id).embedding is not None


def small(number: int) -> bytes:
    return encoded(photos("a")[number][::2, ::2], quality=92)


@pytest.mark.fact(31)
def test_of_a_preview_nothing_is_kept_but_its_verdict(
    album: Album, store: Store, session: Session
) -> None:
    photo_id = album.announce(session, small(0), "me.jpg")
    assert photo_id is not None
    (told,) = album.records(session)
    assert (told.id, told.label, told.code) == (photo_id, "me.jpg", "arriving")
    assert (told.arrives, told.waits, told.accepted, told.cut_out_usable) == (True, *[False] * 3)
    assert [entry.name for entry in store.vault.list(session)] == ["numbering"]
    waiting = album.pending.get(session.id, photo_id)
    assert waiting is not None
    assert (waiting.data, waiting.checked) == (None, None)
    album.finish_all(session)  # somebody wants portraits now: of what is there
    assert album.records(session) == [told]


def test_an_announced_photo_is_kept_as_if_it_had_not_been(
    album: Album, store: Store, session: Session
) -> None:
    other = store.sessions.create()[0]
    at_once = album.add(other, file(0), "me.jpg")
    photo_id = album.announce(session, small(0), "me.jpg")
    assert photo_id == at_once.id
    album.arrive(session, photo_id, file(0))
    assert album.records(session) == [at_once]
    assert album.image(session, photo_id) == album.image(other, photo_id)
    assert album.pending.ids(session.id) == []


def test_a_photo_that_is_worse_than_its_preview_is_turned_away_under_its_number(
    album: Album, session: Session
) -> None:
    first = album.announce(session, small(0), "me.jpg")
    second = album.announce(session, small(1), "me, too.jpg")
    assert (first, second) == ("photo-01", "photo-02")
    album.arrive(session, "photo-01", b"no photo")
    one, other = album.records(session)
    assert (one.id, one.label, one.code) == ("photo-01", "me.jpg", "not_a_photo")
    assert (other.id, other.arrives) == ("photo-02", True)


def test_a_preview_that_is_not_good_says_nothing(album: Album, session: Session) -> None:
    wall = encoded(np.full((300, 400, 3), 128, np.uint8), quality=92)
    assert album.announce(session, wall, "me.jpg") is None
    assert album.announce(session, b"no photo", "me.jpg") is None
    assert album.records(session) == []


def test_what_is_on_its_way_counts_among_the_most_that_are_kept(
    album: Album, session: Session
) -> None:
    ids = [album.announce(session, small(n), "me.jpg") for n in range(4)]
    assert ids == ["photo-01", "photo-02", "photo-03", None]
    assert album.judge(session, file(4), "me.jpg").code == "too_many"


@pytest.mark.parametrize("bad", [False, True])
def test_a_photo_removed_on_its_way_is_not_kept_when_it_comes(
    album: Album, session: Session, meanwhile: list[Callable[[], object]], bad: bool
) -> None:
    first = album.announce(session, small(0), "me.jpg")
    second = album.announce(session, small(1), "me.jpg")
    assert first
    assert second
    album.remove(session, first)
    album.arrive(session, first, b"no photo" if bad else file(0))
    meanwhile.append(lambda: album.remove(session, second))
    album.arrive(session, second, file(1))
    assert album.records(session) == []


def test_an_erasure_lets_go_of_what_is_on_its_way(
    album: Album, store: Store, session: Session
) -> None:
    photo_id = album.announce(session, small(0), "me.jpg")
    assert photo_id
    store.sessions.erase(session.id, "user")
    assert album.pending.ids(session.id) == []
    album.arrive(session, photo_id, file(0))  # harmless
    with pytest.raises(UnknownSession):
        album.announce(session, small(1), "me.jpg")
    assert album.pending.ids(session.id) == []
