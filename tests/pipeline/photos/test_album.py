"""Each photo gets its reason in words, the set is judged anew, and only crops are kept."""

from __future__ import annotations

import io
import threading
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from errors import BadPhoto, DiskFull, UnknownSession
from pipeline.assembly import cutter
from pipeline.compositing.framing import Wish
from pipeline.imaging import CutOut, Face
from pipeline.photos.album import Album
from pipeline.photos.arrivals import Keeping
from pipeline.photos.crop import head_and_shoulders, kept_frame
from pipeline.photos.detection import Faces
from pipeline.photos.face_records import MAX_REJECTED
from pipeline.photos.ingest import Decoder
from pipeline.photos.quality import check_photo, sharpness
from pipeline.photos.record import PLAIN_WALL, FaceNumbers, Stroke, clean_label
from pipeline.photos.similarity import lacking, strangers
from pipeline.photos.verdicts import PhotoRecord
from privacy.file_rows import FileRows
from privacy.sessions import Session
from tests.support.faces import (
    MODELS,
    Picture,
    cat,
    encoded,
    models,
    photos,
    placed,
    portrait,
    segmenter,
    shown,
)
from tests.support.store import Store
from words import LANGUAGES, say, speaking, tell

PX = 384


@pytest.fixture
def album(store: Store, decoder: Decoder) -> Album:
    return Album(store.vault, decoder, models(), cutter(segmenter()), Keeping(12, 2 * PX, PX))


def add(album: Album, session: Session, picture: Picture, label: str = "me.jpg") -> PhotoRecord:
    return album.add(session, encoded(picture, quality=92), label)


def codes(album: Album, session: Session) -> list[str | None]:
    return [record.code for record in album.records(session)]


@pytest.mark.slow
def test_eight_varied_photos_of_one_person_are_accepted(album: Album, session: Session) -> None:
    for picture in photos("a"):
        assert add(album, session, picture).accepted
    assert codes(album, session) == [None] * 8
    assert [record.id for record in album.records(session)] == [f"photo-0{i}" for i in range(1, 9)]


def test_what_training_gets_is_the_crop_with_its_landmarks(album: Album, session: Session) -> None:
    add(album, session, photos("a")[0])
    (photo,) = album.training_photos(session)
    assert photo.image.dtype == np.uint8
    assert max(photo.image.shape[:2]) == PX
    assert photo.embedding.shape == (128,)
    found = models().detect(photo.image)[0]
    assert np.allclose(found.landmarks, photo.landmarks, atol=0.1 * found.box[2])
    with Image.open(io.BytesIO(album.image(session, "photo-01"))) as stored:
        assert stored.mode == "RGBA"
        assert PX < max(stored.size) <= 2 * PX
    kept = album.cut_out(session, "photo-01")
    person, _ = head_and_shoulders(kept.cut_out.before(PLAIN_WALL), kept.landmarks, PX)
    assert np.array_equal(person, photo.image)


def test_training_of_a_large_base_gets_all_that_is_kept_with_its_alpha(
    store: Store, decoder: Decoder, session: Session
) -> None:
    album = Album(store.vault, decoder, models(), cutter(segmenter()), Keeping(12, 2 * PX, None))
    add(album, session, photos("a")[0])
    (photo,) = album.training_photos(session)
    kept = album.cut_out(session, "photo-01")
    assert np.array_equal(photo.image, kept.cut_out.before(PLAIN_WALL))
    assert photo.alpha is not None
    assert np.array_equal(photo.alpha, kept.cut_out.alpha)
    assert np.array_equal(photo.landmarks, kept.landmarks)
    assert max(photo.alpha.shape) > PX

    album.strokes.add(session, "photo-01", Stroke(((0.5, 0.9),), 0.05))
    (photo,) = album.training_photos(session)
    assert photo.alpha is not None
    height, width = photo.alpha.shape
    chest = round(0.9 * height), width // 2
    assert kept.cut_out.alpha[chest] == 255
    assert photo.alpha[chest] == 0
    assert (photo.image[chest] == PLAIN_WALL).all()


def blurred(picture: Picture) -> Picture:
    return cv2.GaussianBlur(picture, (0, 0), 12)


def shaken(picture: Picture) -> Picture:
    return cv2.blur(picture, (1, 31))


def dark(picture: Picture) -> Picture:
    return (picture * 0.15).astype(np.uint8)


def small(picture: Picture) -> Picture:
    return shown(picture, 140)


def two_people(picture: Picture) -> Picture:
    canvas = np.full((700, 1300, 3), 120, np.uint8)
    return placed(placed(canvas, picture, 600, 50, 20), portrait("b"), 600, 50, 660)


@pytest.mark.parametrize(
    ("spoil", "code"),
    [
        (blurred, "blurred"),
        (shaken, "blurred"),
        (dark, "too_dark"),
        (small, "face_too_small"),
        (two_people, "several_faces"),
        (lambda _: cat(), "no_face"),
        (lambda _: np.zeros((50, 50, 3), np.uint8), "too_dark"),
        (lambda _: np.full((50, 50, 3), 200, np.uint8), "no_face"),
    ],
)
def test_a_bad_photo_gets_its_reason(
    album: Album, session: Session, spoil: object, code: str
) -> None:
    assert callable(spoil)
    record = add(album, session, spoil(portrait("a")))
    assert (record.accepted, record.code) == (False, code)
    assert "lease" in tell(record.verdict)  # it says what to do
    assert album.records(session) == [record]


class FaceKnown(Faces):
    """Finds the face where it is without searching."""

    def detect(self, image: Picture) -> list[Face]:
        return models().detect(portrait("a"))


def test_a_washed_out_face_gets_its_reason() -> None:
    washed = (255 * (portrait("a") / 255.0) ** 0.12).astype(np.uint8)
    with pytest.raises(BadPhoto) as caught:
        check_photo(washed, FaceKnown(MODELS), PX)
    assert caught.value.code == "too_bright"


def test_a_file_that_is_no_photo_is_a_rejected_record(album: Album, session: Session) -> None:
    record = album.add(session, b"Dear diary", "diary.jpg")
    assert (record.accepted, record.code, record.label) == (False, "not_a_photo", "diary.jpg")


def test_no_pixels_are_kept_of_a_rejected_photo(
    album: Album, session: Session, store: Store
) -> None:
    add(album, session, cat())
    assert store.vault.list(session, "photo") == []
    with pytest.raises(KeyError):
        album.image(session, "photo-01")
    assert album.training_photos(session) == []


def test_a_near_copy_is_told_which_photo_it_repeats(album: Album, session: Session) -> None:
    first, second = photos("a")[:2]
    add(album, session, first)
    add(album, session, second)
    copy = cv2.resize(second, (700, 700), interpolation=cv2.INTER_AREA)
    record = album.add(session, encoded(copy, "WEBP", quality=70), "again.webp")
    assert (record.accepted, record.code) == (False, "duplicate")
    assert "photo 2." in tell(record.verdict)
    album.remove(session, "photo-02")
    assert codes(album, session) == [None, None]  # the copy is now the only one


@pytest.mark.slow
def test_somebody_else_is_found_once_there_is_a_majority(album: Album, session: Session) -> None:
    add(album, session, photos("b")[0])
    add(album, session, photos("a")[0])
    album.compare(session)  # what is there, and what comes
    assert codes(album, session) == [None, None]  # who is the stranger? Nobody can tell
    add(album, session, photos("a")[1])
    assert codes(album, session) == ["different_person", None, None]
    assert len(album.training_photos(session)) == 2
    album.remove(session, "photo-02")
    assert codes(album, session) == [None, None]


@pytest.mark.slow
def test_faces_are_compared_only_after_consent(album: Album, session: Session) -> None:
    for picture in (photos("b")[0], *photos("a")[:2]):
        add(album, session, picture)
    assert codes(album, session) == [None, None, None]
    assert album.cut_out(session, "photo-01").embedding is None
    album.compare(session)
    assert codes(album, session) == ["different_person", None, None]
    first = album.cut_out(session, "photo-02").embedding
    assert first is not None
    album.compare(session)
    again = album.cut_out(session, "photo-02").embedding
    assert again is not None
    assert (again == first).all()


@pytest.mark.slow
def test_photos_on_their_side_or_head_are_set_upright(album: Album, session: Session) -> None:
    """Two of a set whose files do not say how they were held, and one upside down."""
    for quarters, picture in enumerate(photos("a")[:4]):
        record = add(album, session, np.ascontiguousarray(np.rot90(picture, quarters)))
        assert record.accepted, record.code
    album.compare(session)
    assert codes(album, session) == [None] * 4
    for number in range(1, 5):
        eyes, mouth = np.split(album.cut_out(session, f"photo-{number:02d}").landmarks, [2])
        assert eyes[:, 1].max() < mouth[1:, 1].min()


def test_four_different_people_are_not_one_album() -> None:
    vectors = list(np.eye(128, dtype=np.float32)[:4])
    assert strangers(vectors) == [False, True, True, True]


def test_more_photos_than_allowed_are_turned_away(
    store: Store, decoder: Decoder, session: Session
) -> None:
    album = Album(store.vault, decoder, models(), cutter(segmenter()), Keeping(2, PX, PX))
    for picture in photos("a")[:3]:
        record = add(album, session, picture)
    assert record.code == "too_many"
    assert len(store.vault.list(session, "photo")) == 2
    album.remove(session, "photo-01")
    assert add(album, session, photos("a")[3]).accepted


def test_a_removed_photo_leaves_nothing_and_its_number_is_not_given_again(
    album: Album, session: Session, store: Store
) -> None:
    add(album, session, photos("a")[0])
    album.remove(session, "photo-01")
    album.remove(session, "photo-01")
    assert album.records(session) == []
    assert store.vault.list(session, "photo") == []
    assert add(album, session, photos("a")[0]).id == "photo-02"


def test_only_photos_have_pictures_and_can_be_removed(album: Album, session: Session) -> None:
    add(album, session, photos("a")[0])
    for name in ("numbering", "../photo-01", "photo-", "photo-x1", "photo-٣٣", ""):
        album.remove(session, name)
        with pytest.raises(KeyError):
            album.image(session, name)
    assert add(album, session, photos("a")[1]).id == "photo-02"


def test_only_the_latest_rejections_are_remembered(album: Album, session: Session) -> None:
    for _ in range(MAX_REJECTED + 3):
        album.add(session, b"", "empty.jpg")
    records = album.records(session)
    assert len(records) == MAX_REJECTED
    assert records[0].id == "photo-04"


def test_two_uploads_at_once_get_two_numbers(album: Album, session: Session) -> None:
    threads = [
        threading.Thread(target=add, args=(album, session, picture)) for picture in photos("a")[:4]
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(record.id for record in album.records(session)) == [
        f"photo-0{i}" for i in range(1, 5)
    ]


def test_sessions_do_not_see_each_other(album: Album, store: Store, session: Session) -> None:
    other = store.sessions.create()[0]
    add(album, session, photos("a")[0])
    assert album.records(other) == []
    assert add(album, other, photos("b")[0]).id == "photo-01"


def test_an_erased_session_takes_no_photo(album: Album, store: Store, session: Session) -> None:
    store.sessions.erase(session.id, "user")
    with pytest.raises(UnknownSession):
        add(album, session, photos("a")[0])


@pytest.mark.fact(28)
def test_a_full_disk_leaves_no_photo_without_its_record(
    album: Album, store: Store, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(album, session, photos("a")[0])
    insert = FileRows.insert

    def full_for_records(rows: FileRows, session_id: str, kind: str, *rest: Any) -> str | None:
        if kind == "face" and str(rest[0]).startswith("photo"):
            raise DiskFull
        return insert(rows, session_id, kind, *rest)

    monkeypatch.setattr(FileRows, "insert", full_for_records)
    with pytest.raises(DiskFull):
        add(album, session, photos("a")[1])
    monkeypatch.undo()
    assert codes(album, session) == [None]
    assert len(store.vault.list(session, "photo")) == 1


def test_bystanders_and_room_are_not_kept(album: Album, session: Session) -> None:
    canvas = np.full((1200, 2000, 3), 120, np.uint8)
    canvas[:, 1500:] = (255, 0, 255)  # a poster on the wall
    room = placed(placed(canvas, portrait("a"), 700, 300, 650), portrait("b"), 230, 300, 400)
    assert len(models().detect(room)) == 2
    assert add(album, session, room).accepted
    (photo,) = album.training_photos(session)
    assert len(models().detect(photo.image)) == 1
    assert not (photo.image == (255, 0, 255)).all(axis=2).any()


def test_a_face_that_cannot_be_cropped_away_is_blurred(album: Album, session: Session) -> None:
    face = cv2.resize(portrait("b"), (200, 200), interpolation=cv2.INTER_AREA)
    picture = cv2.resize(portrait("a"), (1000, 1000), interpolation=cv2.INTER_CUBIC)
    picture[780:980, 40:240] = face  # on the shoulder
    assert len(models().detect(picture)) == 2
    assert add(album, session, picture).accepted
    (photo,) = album.training_photos(session)
    assert len(models().detect(photo.image)) == 1


def test_a_pattern_taken_for_a_face_does_not_blur_the_hair() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (900, 900, 3)).astype(np.uint8)
    shares = np.array([(0.3, 0.4), (0.7, 0.4), (0.5, 0.6), (0.35, 0.75), (0.65, 0.75)], np.float32)

    def face(left: float, top: float, side: float, score: float) -> Face:
        landmarks = np.array([left, top], np.float32) + shares * np.float32(side)
        return Face((left, top, side, side), landmarks, score)

    own = face(350, 400, 220, 0.95)
    hair = np.s_[300:400, 360:560]
    for score, touched in ((0.75, False), (0.9, True)):
        crop, kept = kept_frame(picture, own, [face(340, 180, 200, score)], 2048)
        left, top = (round(350 - kept.box[0]), round(400 - kept.box[1]))
        rows, columns = hair
        now = crop[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left]
        assert (now.shape != picture[hair].shape or not (now == picture[hair]).all()) is touched


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize(
    "fault", ["face_hidden", "unsure", "holes", "head_missing", "hair_cut", "bystander"]
)
def test_every_fault_of_a_cut_out_has_its_sentence(language: str, fault: str) -> None:
    with speaking(language):
        sentence = say(f"photos.fault.{fault}")
    assert sentence.endswith(".")


@pytest.mark.parametrize(
    ("confidence", "faults", "said", "usable"),
    [
        (0.97, (), "verdict.good", True),
        (0.9, (), "photos.look_closely", True),
        (0.6, ("unsure",), "photos.fault.unsure", False),
    ],
)
def test_what_is_said_of_a_good_photo_depends_on_its_cut_out(
    store: Store,
    decoder: Decoder,
    session: Session,
    confidence: float,
    faults: tuple[str, ...],
    said: str,
    usable: bool,
) -> None:
    real = cutter(segmenter())

    def cut(image: Picture, face: Face) -> CutOut:
        return replace(real(image, face), confidence=confidence, faults=faults)

    album = Album(store.vault, decoder, models(), cut, Keeping(12, PX, PX))
    record = add(album, session, photos("a")[0])
    assert (record.verdict.key, record.cut_out_usable) == (said, usable)
    for language in LANGUAGES:
        with speaking(language):
            assert tell(record.verdict)


@pytest.mark.parametrize(("head", "said"), [(0.75, "verdict.good"), (0.45, "photos.tight")])
def test_a_photo_without_room_for_the_companys_frame_is_told_so(
    store: Store, decoder: Decoder, session: Session, head: float, said: str
) -> None:
    cut = cutter(segmenter(), common=Wish(head=head, eyes=0.46))
    record = add(
        Album(store.vault, decoder, models(), cut, Keeping(12, PX, PX)), session, photos("a")[0]
    )
    assert (record.verdict.key, record.cut_out_usable) == (said, True)
    for language in LANGUAGES:
        with speaking(language):
            assert tell(record.verdict)


def test_sharpness_does_not_depend_on_exposure() -> None:
    face = cv2.resize(portrait("a"), (160, 160), interpolation=cv2.INTER_AREA)
    assert sharpness((face * 0.6).astype(np.uint8)) == pytest.approx(sharpness(face), rel=0.1)


@pytest.mark.parametrize(
    ("given", "shown_as"),
    [
        ("me.jpg", "me.jpg"),
        ("a\r\nb\x00c\u202egpj.exe", "abcgpj.exe"),
        ("x" * 500, "x" * 80),
        (" \t ", "photo"),
        ("Größe 你好.heic", "Größe 你好.heic"),
    ],
)
def test_labels_are_fit_to_be_shown(given: str, shown_as: str) -> None:
    assert tell(clean_label(given)) == shown_as


def numbers(turn: float = 0.0, light: int = 0, brightness: float = 120) -> FaceNumbers:
    """A face whose nose is `turn` eye distances to the side, lit from the left by `light`."""
    landmarks = np.array([[40, 50], [80, 50], [60 + 40 * turn, 70], [45, 90], [75, 90]], np.float32)
    miniature = np.full((16, 16), 100, np.uint8)
    miniature[:, :8] += np.uint8(light)
    return FaceNumbers(landmarks, np.ones(128, np.float32), miniature, 50.0, brightness)


@pytest.mark.parametrize(
    ("faces", "expected"),
    [
        ([numbers(), numbers()], []),  # too few to say
        ([numbers(), numbers(), numbers()], ["angle", "light"]),
        ([numbers(), numbers(turn=0.3), numbers()], ["light"]),
        ([numbers(), numbers(turn=-0.3), numbers(light=40)], []),
        ([numbers(), numbers(light=40), numbers()], ["angle"]),
        ([numbers(), numbers(brightness=180), numbers()], ["angle"]),
    ],
)
def test_hints_say_what_variety_is_lacking(faces: list[FaceNumbers], expected: list[str]) -> None:
    assert lacking(faces) == expected


@pytest.mark.slow
def test_photos_made_of_one_portrait_lack_another_angle(album: Album, session: Session) -> None:
    for picture in photos("a")[:4]:
        add(album, session, picture)
    records, lacks = album.overview(session)
    assert records == album.records(session)
    assert lacks == ["angle"]
