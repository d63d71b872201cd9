"""A session's files on another machine: as in the vault, in RAM, and handed on encrypted."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from errors import TamperedError, UnknownSession
from privacy.carried import CarriedVault
from privacy.file_rows import Entry
from privacy.keys import DataKey, Session
from privacy.sealed import Sealed, seal, unseal

SESSION = Session("a" * 22, DataKey.random())
OTHER = Session("b" * 22, DataKey.random())


class HandedOn:
    """Takes what a carried vault hands on."""

    def __init__(self) -> None:
        self.put: list[Sealed] = []
        self.gone: list[tuple[str, str | None]] = []

    def __call__(self, put: Sequence[Sealed], gone: Sequence[tuple[str, str | None]]) -> None:
        self.put += put
        self.gone += gone


@pytest.fixture
def on() -> HandedOn:
    return HandedOn()


@pytest.fixture
def carried(on: HandedOn) -> CarriedVault:
    photo = seal(SESSION, "photo", "photo-01", b"a face")
    behind = Entry("portrait", "portrait-001", 9, 0.0)
    return CarriedVault(SESSION, [photo], [behind], on)


def test_what_was_carried_opens(carried: CarriedVault) -> None:
    assert carried.open(SESSION, "photo", "photo-01") == b"a face"


def test_what_stayed_behind_is_known_and_does_not_open(carried: CarriedVault) -> None:
    assert [entry.name for entry in carried.list(SESSION, "portrait")] == ["portrait-001"]
    with pytest.raises(KeyError):
        carried.open(SESSION, "portrait", "portrait-001")


def test_what_is_put_is_handed_on_encrypted(carried: CarriedVault, on: HandedOn) -> None:
    carried.put_all(SESSION, [("portrait", "portrait-002", b"me"), ("sheet", "portraits", b"[]")])
    assert carried.open(SESSION, "portrait", "portrait-002") == b"me"
    assert [file.name for file in on.put] == ["portrait-002", "portraits"]
    assert all(b"me" not in file.ciphertext for file in on.put)
    assert unseal(SESSION, on.put[0]) == b"me"


def test_a_file_put_again_keeps_its_place(carried: CarriedVault) -> None:
    carried.put(SESSION, "photo", "photo-02", b"two")
    carried.put(SESSION, "photo", "photo-01", b"another")
    names = [(entry.name, entry.size) for entry in carried.list(SESSION, "photo")]
    assert names == [("photo-01", 7), ("photo-02", 3)]


@pytest.mark.parametrize(("name", "left"), [(None, []), ("photo-01", ["photo-02"])])
def test_what_is_deleted_is_gone_here_and_there(
    carried: CarriedVault, on: HandedOn, name: str | None, left: list[str]
) -> None:
    carried.put(SESSION, "photo", "photo-02", b"two")
    assert carried.delete(SESSION, "photo", name) == 2 - len(left)
    assert [entry.name for entry in carried.list(SESSION, "photo")] == left
    assert on.gone == [("photo", name)]
    with pytest.raises(KeyError):
        carried.open(SESSION, "photo", "photo-01")


def test_another_session_gets_nothing(carried: CarriedVault) -> None:
    with pytest.raises(UnknownSession):
        carried.open(OTHER, "photo", "photo-01")
    with pytest.raises(UnknownSession):
        carried.put(OTHER, "photo", "photo-01", b"")


def test_nothing_is_there_after_it_was_forgotten(carried: CarriedVault) -> None:
    carried.forget()
    for ask in (carried.list, lambda session: carried.delete(session, "photo")):
        with pytest.raises(UnknownSession):
            ask(SESSION)


@pytest.mark.parametrize(
    ("session", "kind", "name"),
    [(OTHER, "photo", "one"), (SESSION, "face", "one"), (SESSION, "photo", "two")],
    ids=["another session", "another kind", "another name"],
)
def test_a_sealed_file_opens_in_its_own_place_alone(session: Session, kind: str, name: str) -> None:
    file = seal(SESSION, "photo", "one", b"a face")
    with pytest.raises(TamperedError):
        unseal(session, Sealed(kind, name, file.size, file.ciphertext))
