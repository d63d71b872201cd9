"""The file format under any change that Hypothesis can think of: bytes come back whole or not.

test_vault_files attacks chosen places; here the places, sizes and names are drawn.
"""

from __future__ import annotations

import random

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from errors import TamperedError
from privacy import stream

KEY = bytes(range(32))
HEAD, TAG, SEGMENT = stream.HEADER_BYTES, stream.TAG_BYTES, stream.SEGMENT_BYTES
FIRST, NEXT = SEGMENT - HEAD - TAG, SEGMENT - TAG  # plaintext that fits into them

# Lengths that end a segment, and one or two bytes beside.
BORDERS = [FIRST + n * NEXT + off for n in range(3) for off in (-2, -1, 0, 1, 2)]
LENGTHS = st.integers(0, 3000) | st.sampled_from(BORDERS) | st.integers(0, 3 * SEGMENT)
NAMES = st.lists(st.text("abc-019", min_size=1, max_size=6), min_size=4, max_size=4)


def plaintext(length: int) -> bytes:
    return random.Random(length).randbytes(length)


def sealed(length: int, *names: str) -> bytes:
    return stream.encrypt(KEY, plaintext(length), stream.associated_data(*names))


def refused(ciphertext: bytes, *names: str) -> None:
    with pytest.raises(TamperedError):
        stream.decrypt(KEY, ciphertext, stream.associated_data(*names))


def segments(ciphertext: bytes) -> list[bytes]:
    """The header with its segment, then each further segment."""
    return [ciphertext[at : at + SEGMENT] for at in range(0, len(ciphertext), SEGMENT)]


@pytest.mark.fact(1)
@settings(deadline=None, max_examples=80)
@given(LENGTHS, st.floats(0, 1, exclude_max=True), st.integers(1, 255))
@example(0, 0.0, 1)
@example(FIRST, 0.999999, 128)
def test_no_byte_anywhere_can_be_changed(length: int, where: float, change: int) -> None:
    spoilt = bytearray(sealed(length))
    spoilt[int(where * len(spoilt))] ^= change
    refused(bytes(spoilt))


@pytest.mark.slow
@pytest.mark.fact(2)
@settings(deadline=None, max_examples=80)
@given(LENGTHS, st.integers(0, 4 * SEGMENT) | st.sampled_from([SEGMENT, 2 * SEGMENT]))
@example(FIRST + NEXT, SEGMENT)
@example(FIRST + 1, SEGMENT)
def test_no_end_can_be_cut_off(length: int, kept: int) -> None:
    whole = sealed(length)
    assume(kept < len(whole))
    refused(whole[:kept])


@pytest.mark.slow
@pytest.mark.fact(2)
@settings(deadline=None, max_examples=40)
@given(LENGTHS, st.binary(min_size=1, max_size=40))
def test_nothing_can_be_appended(length: int, more: bytes) -> None:
    refused(sealed(length) + more)


@pytest.mark.slow
@pytest.mark.fact(3)
@settings(deadline=None, max_examples=40)
@given(
    st.integers(FIRST + 1, 4 * SEGMENT) | st.sampled_from([FIRST + NEXT, FIRST + 2 * NEXT]),
    st.lists(st.integers(0, 4), max_size=6),
)
@example(FIRST + 2 * NEXT, [0, 2, 1])
@example(FIRST + 2 * NEXT, [0, 1, 1, 2])
@example(FIRST + 2 * NEXT, [0, 2])
@example(FIRST + 2 * NEXT, [1, 0, 2])
def test_segments_open_in_their_own_order_only(length: int, order: list[int]) -> None:
    parts = segments(sealed(length))
    order = [number % len(parts) for number in order]
    assume(order != list(range(len(parts))))
    refused(b"".join(parts[number] for number in order))


@pytest.mark.slow
@pytest.mark.fact(3)
@settings(deadline=None, max_examples=20)
@given(st.integers(FIRST + 1, 3 * SEGMENT), st.integers(0, 2))
def test_no_segment_can_be_taken_from_another_file(length: int, number: int) -> None:
    ours, theirs = segments(sealed(length)), segments(sealed(length))
    number %= len(ours)
    refused(b"".join([*ours[:number], theirs[number], *ours[number + 1 :]]))


@pytest.mark.slow
@pytest.mark.fact(4)
@settings(deadline=None, max_examples=80)
@given(NAMES, NAMES)
@example(["v", "ab", "c", "d"], ["v", "a", "bc", "d"])
@example(["v", "s", "photo", "photo-01"], ["v", "s", "photo-01", "photo"])
def test_under_any_other_name_nothing_opens(written: list[str], asked: list[str]) -> None:
    assume(written != asked)
    refused(sealed(100, *written), *asked)


@pytest.mark.fact(1)
@settings(deadline=None, max_examples=60)
@given(st.binary(max_size=400) | st.binary(max_size=400).map(lambda rest: bytes([HEAD]) + rest))
def test_what_we_never_wrote_does_not_open(anything: bytes) -> None:
    refused(anything)
