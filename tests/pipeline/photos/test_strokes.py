"""What a visitor takes away from a cut-out by hand, and brings back."""

from __future__ import annotations

import threading

import cv2
import numpy as np
import pytest

from errors import BadOrder, UnknownSession
from messages import Message
from pipeline.imaging import CutOut
from pipeline.photos.record import FaceRecord, Stroke
from pipeline.photos.strokes import MOST, Strokes, without
from privacy import kinds
from privacy.sessions import Session
from privacy.vault import Vault
from tests.support.store import Store

DOT = Stroke(((0.8, 0.5),), 0.05)


def person(side: int = 200) -> CutOut:
    """A disc, and something in somebody's hand that a narrow bridge joins to it."""
    alpha = np.zeros((side, side), np.uint8)
    cv2.circle(alpha, (80, 100), 50, 255, -1)
    cv2.rectangle(alpha, (125, 97), (150, 103), 255, -1)
    cv2.rectangle(alpha, (150, 90), (170, 110), 255, -1)
    colours = np.where(alpha[..., None] > 0, np.uint8(90), np.uint8(0)).repeat(3, axis=2)
    return CutOut(colours, alpha)


def test_a_dot_takes_what_is_under_it_and_no_more() -> None:
    before = person()
    after = without(before, (DOT,))
    assert before.alpha[100, 160] == 255  # the one that was handed in stays
    assert after.alpha[100, 160] == 0
    assert not after.colours[after.alpha == 0].any()
    far = np.hypot(*(np.indices((200, 200)) - [[[100]], [[160]]])) > 20
    same = (after.alpha == before.alpha) | ~far
    assert same[:, :130].all()
    assert (after.colours[after.alpha == 255] == 90).all()


def test_a_stroke_across_takes_what_it_cuts_off() -> None:
    across = Stroke(((0.69, 0.4), (0.69, 0.6)), 0.02)
    after = without(person(), (across,))
    assert not after.alpha[:, 145:].any()
    assert after.alpha[100, 80] == 255


def test_a_stroke_across_the_person_takes_no_half_of_them() -> None:
    across = Stroke(((0.4, 0.1), (0.4, 0.9)), 0.02)
    after = without(person(), (across,))
    assert after.alpha[100, 50] == after.alpha[100, 110] == 255


def test_strokes_may_leave_the_picture() -> None:
    after = without(person(), (Stroke(((0.0, 0.0), (1.0, 1.0)), 0.1), Stroke(((1.0, 1.0),), 0.1)))
    assert after.alpha[100, 100] == 0


def test_no_strokes_change_nothing() -> None:
    before = person()
    assert without(before, ()) is before


@pytest.fixture
def kept(store: Store, session: Session) -> tuple[Strokes, Vault, Session]:
    vault = store.vault
    record = FaceRecord("photo-01", "me.jpg", Message("photos.good"), None)
    vault.put(session, kinds.FACE, "photo-01", record.to_json())
    return Strokes(vault, threading.Lock()), vault, session


def taken(vault: Vault, session: Session) -> tuple[Stroke, ...]:
    record = FaceRecord.from_json("photo-01", vault.open(session, kinds.FACE, "photo-01"))
    assert record.label == "me.jpg"
    return record.taken


def test_strokes_are_kept_with_the_photo_and_the_last_comes_back(
    kept: tuple[Strokes, Vault, Session],
) -> None:
    strokes, vault, session = kept
    line = Stroke(((0.1, 0.2), (0.3, 0.4)), 0.01)
    strokes.add(session, "photo-01", DOT)
    strokes.add(session, "photo-01", line)
    assert taken(vault, session) == (DOT, line)
    strokes.back(session, "photo-01")
    assert taken(vault, session) == (DOT,)
    strokes.back(session, "photo-01")
    strokes.back(session, "photo-01")  # there is none any more
    assert taken(vault, session) == ()


def test_there_are_so_many_and_no_more(kept: tuple[Strokes, Vault, Session]) -> None:
    strokes, vault, session = kept
    for _ in range(MOST):
        strokes.add(session, "photo-01", DOT)
    with pytest.raises(BadOrder, match="taken_enough"):
        strokes.add(session, "photo-01", DOT)
    assert len(taken(vault, session)) == MOST


def test_no_photo_no_strokes(kept: tuple[Strokes, Vault, Session], store: Store) -> None:
    strokes, _, session = kept
    with pytest.raises(KeyError):
        strokes.add(session, "photo-02", DOT)
    store.sessions.erase(session.id, "user")
    with pytest.raises(UnknownSession):
        strokes.back(session, "photo-01")
