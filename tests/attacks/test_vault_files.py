"""Facts 1 to 4, 6 and 23: somebody who can write to the disk changes, cuts, mixes, moves files."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from errors import TamperedError
from privacy import stream
from privacy.sessions import Session
from tests.support.store import Store

KEY, AAD = bytes(range(32)), b"associated"
LENGTH = 3 * stream.SEGMENT_BYTES + 1000
SEALED = stream.encrypt(KEY, os.urandom(LENGTH), AAD)  # four segments
BORDERS = [n * stream.SEGMENT_BYTES for n in range(1, 4)]


def _refused(ciphertext: bytes) -> None:
    with pytest.raises(TamperedError):
        stream.decrypt(KEY, ciphertext, AAD)


@pytest.mark.fact(1)
@settings(deadline=None, max_examples=120)
@given(at=st.integers(0, len(SEALED) - 1), change=st.integers(1, 255))
@example(at=0, change=1)
@example(at=len(SEALED) - 1, change=128)
def test_any_flipped_byte_is_tampering(at: int, change: int) -> None:
    changed = bytearray(SEALED)
    changed[at] ^= change
    _refused(bytes(changed))


@pytest.mark.fact(1)
def test_every_single_bit_of_a_small_file_counts() -> None:
    sealed = stream.encrypt(KEY, b"face", AAD)
    for bit in range(8 * len(sealed)):
        changed = bytearray(sealed)
        changed[bit // 8] ^= 1 << bit % 8
        _refused(bytes(changed))


@pytest.mark.fact(2)
@settings(deadline=None, max_examples=60)
@given(st.integers(0, len(SEALED) - 1))
def test_truncation_anywhere_is_tampering(length: int) -> None:
    _refused(SEALED[:length])


@pytest.mark.fact(2)
@pytest.mark.parametrize("off", [-17, -16, -1, 0, 1, 15, 16, 17])
@pytest.mark.parametrize("border", [0, 40, *BORDERS])
def test_truncation_at_a_segment_border_is_tampering(border: int, off: int) -> None:
    _refused(SEALED[: max(0, border + off)])


@pytest.mark.fact(2)
def test_a_truncated_adapter_is_refused_by_the_vault(tmp_path: Path) -> None:
    store = Store(tmp_path)
    session, _ = store.sessions.create()
    store.vault.put(session, "adapter", "adapter", os.urandom(2_500_000))
    path = store.path(session, "adapter", "adapter")
    for length in (0, 39, stream.SEGMENT_BYTES, path.stat().st_size - 1):
        os.truncate(path, length)
        with pytest.raises(TamperedError):
            store.vault.open(session, "adapter", "adapter")


SEGMENTS = [SEALED[start:end] for start, end in zip([40, *BORDERS], [*BORDERS, None], strict=True)]


@pytest.mark.fact(3)
@settings(deadline=None, max_examples=100)
@given(st.lists(st.integers(0, 3), max_size=6).filter(lambda order: order != [0, 1, 2, 3]))
@example([1, 0, 2, 3])  # swapped
@example([0, 1, 1, 2, 3])  # duplicated
@example([0, 2, 3])  # dropped
@example([0, 1, 2, 3, 3])  # appended
@example([0, 1, 2])  # the last one dropped
def test_segments_in_any_other_order_are_tampering(order: list[int]) -> None:
    _refused(SEALED[:40] + b"".join(SEGMENTS[n] for n in order))


@pytest.mark.fact(3)
def test_a_segment_of_another_file_is_tampering() -> None:
    other = stream.encrypt(KEY, os.urandom(LENGTH), AAD)
    first, second = BORDERS[:2]
    _refused(SEALED[:first] + other[first:second] + SEALED[second:])
    _refused(other[:40] + SEALED[40:])
    _refused(SEALED + other)


def _two_sessions(folder: Path) -> tuple[Store, Session, Session]:
    store = Store(folder)
    one, two = store.sessions.create()[0], store.sessions.create()[0]
    for session in (one, two):
        for name in ("portrait-001", "portrait-002"):
            store.vault.put(session, "portrait", name, name.encode())
        store.vault.put(session, "photo", "portrait-001", b"portrait-001")
    return store, one, two


@pytest.mark.fact(4)
@pytest.mark.parametrize("source", [(0, "portrait", "portrait-002"), (0, "photo", "portrait-001")])
def test_a_file_renamed_within_its_session_is_refused(tmp_path: Path, source) -> None:
    store, *sessions = _two_sessions(tmp_path)
    target = store.path(sessions[0], "portrait", "portrait-001")
    shutil.copy(store.path(sessions[source[0]], *source[1:]), target)
    with pytest.raises(TamperedError):
        store.vault.open(sessions[0], "portrait", "portrait-001")


@pytest.mark.fact(4)
def test_a_file_moved_to_another_session_is_refused(tmp_path: Path) -> None:
    store, one, two = _two_sessions(tmp_path)
    which = ("portrait", "portrait-001")
    os.replace(store.path(one, *which), store.path(two, *which))
    for session in (one, two):
        with pytest.raises(TamperedError):
            store.vault.open(session, *which)


@pytest.mark.fact(4)
def test_even_the_same_key_does_not_open_another_sessions_file(tmp_path: Path) -> None:
    """The session id is authenticated, not only implied by the key."""
    store, one, two = _two_sessions(tmp_path)
    which = ("portrait", "portrait-001")
    os.replace(store.path(one, *which), store.path(two, *which))
    with pytest.raises(TamperedError):
        store.vault.open(Session(two.id, one.data_key), *which)


@pytest.mark.fact(4)
def test_rows_that_point_at_each_others_files_are_refused(tmp_path: Path) -> None:
    store, one, _ = _two_sessions(tmp_path)
    ids = [store.path(one, "portrait", f"portrait-00{n}").name for n in (1, 2)]
    for file_id, name in zip(reversed(ids), ("portrait-001", "portrait-002"), strict=True):
        store.database.change(
            "UPDATE files SET file_id = ? WHERE session_id = ? AND kind = 'portrait' AND name = ?",
            (file_id, one.id, name),
        )
    for name in ("portrait-001", "portrait-002"):
        with pytest.raises(TamperedError):
            store.vault.open(one, "portrait", name)


@pytest.mark.fact(6)
def test_ten_thousand_writes_never_share_salt_and_prefix() -> None:
    headers = {stream.encrypt(KEY, b"", AAD)[:40] for _ in range(10_000)}
    assert len(headers) == 10_000
    assert len({header[1:33] for header in headers}) == 10_000


PATHS = [
    *("", ".", "..", "../x", "/etc/passwd", "a/b", "a\\b", "a\0b", "A", "é", "a\n", " a"),
    *("%2e%2e", "photo-01.part", "a" * 65, "x" * 4096),
]


@pytest.mark.fact(23)
def test_no_name_or_kind_leaves_the_session(tmp_path: Path) -> None:
    store = Store(tmp_path)
    session, _ = store.sessions.create()
    before = sorted(tmp_path.rglob("*"))
    for kind, name in [("photo", path) for path in PATHS] + [(path, "photo-01") for path in PATHS]:
        with pytest.raises(ValueError, match="kinds and names"):
            store.vault.put(session, kind, name, b"x")
        with pytest.raises(ValueError, match="kinds and names"):
            store.vault.open(session, kind, name)
        with pytest.raises(ValueError, match="kinds and names"):
            store.vault.delete(session, kind, name)
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.fact(23)
def test_a_symlink_in_place_of_a_file_is_not_followed(tmp_path: Path) -> None:
    store, one, _ = _two_sessions(tmp_path)
    path = store.path(one, "portrait", "portrait-001")
    elsewhere = tmp_path / "elsewhere"
    path.rename(elsewhere)  # even our own ciphertext
    path.symlink_to(elsewhere)
    with pytest.raises(TamperedError):
        store.vault.open(one, "portrait", "portrait-001")
    path.unlink()
    os.mkfifo(path)  # nor does a pipe hang the reader
    with pytest.raises(TamperedError):
        store.vault.open(one, "portrait", "portrait-001")


@pytest.mark.fact(23)
def test_a_symlink_in_place_of_the_sessions_folder_is_not_followed(tmp_path: Path) -> None:
    store, one, _ = _two_sessions(tmp_path)
    folder, elsewhere = tmp_path / "vault" / one.id, tmp_path / "elsewhere"
    folder.rename(elsewhere)
    folder.symlink_to(elsewhere, target_is_directory=True)
    before = sorted(elsewhere.iterdir())
    with pytest.raises(TamperedError):
        store.vault.open(one, "portrait", "portrait-001")
    with pytest.raises(TamperedError):
        store.vault.put(one, "portrait", "portrait-003", b"x")
    assert store.sessions.erase(one.id, "user")
    assert sorted(elsewhere.iterdir()) == before
    assert not folder.is_symlink()
