"""What front and worker say to each other, and what somebody between them can do about it."""

from __future__ import annotations

import os
import socket
import threading

import pytest

from errors import TamperedError
from pipeline.cluster.frames import Frame, Pipe
from pipeline.cluster.talk import MOST_BYTES, Talk

KEY = bytes(range(32))


def pair(job: str = "job") -> tuple[Talk, Talk]:
    return Talk(KEY, job, "front"), Talk(KEY, job, "worker")


def test_both_sides_hear_each_other() -> None:
    front, worker = pair()
    assert worker.hear(front.say({"do": 1}, [b"file"])) == ({"do": 1}, (b"file",))
    assert front.hear(worker.say({"is": 2})) == ({"is": 2}, ())
    assert worker.hear(front.say({"do": 3})) == ({"do": 3}, ())


def test_nothing_can_be_read_on_the_way() -> None:
    front, _ = pair()
    assert b"secret" not in b"".join(front.say({"styles": ["secret"]}))


def test_what_was_said_before_is_not_heard_again() -> None:
    front, worker = pair()
    said = front.say({"do": 1})
    worker.hear(said)
    with pytest.raises(TamperedError):
        worker.hear(said)


def test_what_is_left_out_is_noticed() -> None:
    front, worker = pair()
    front.say({"do": 1})
    with pytest.raises(TamperedError):
        worker.hear(front.say({"do": 2}))


@pytest.mark.parametrize("changed", ["words", "file", "one file less", "one file more", "order"])
def test_what_is_changed_is_noticed(changed: str) -> None:
    front, worker = pair()
    words, *files = front.say({"do": 1}, [b"one", b"two"])
    parts = {
        "words": [words[:-1] + bytes([words[-1] ^ 1]), *files],
        "file": [words, b"One", b"two"],
        "one file less": [words, b"one"],
        "one file more": [words, *files, b"three"],
        "order": [words, b"two", b"one"],
    }[changed]
    with pytest.raises(TamperedError):
        worker.hear(parts)


def test_nobody_hears_what_they_said_themselves() -> None:
    front, _ = pair()
    with pytest.raises(TamperedError):
        front.hear(front.say({"do": 1}))


def test_one_jobs_words_are_not_anothers() -> None:
    front, _ = pair("job 1")
    _, worker = pair("job 2")
    with pytest.raises(TamperedError):
        worker.hear(front.say({"do": 1}))


def pipes() -> tuple[Pipe, Pipe]:
    ours, theirs = socket.socketpair()
    return Pipe(ours.detach()), Pipe(theirs.detach())


def test_frames_pass_through_a_pipe() -> None:
    ours, theirs = pipes()
    frame = Frame("job", "1a2b", (b"", os.urandom(70_000), b"x"))
    sending = threading.Thread(target=ours.send_frame, args=(frame,))
    sending.start()
    assert theirs.receive_frame() == frame
    sending.join()
    assert theirs.receive_frame(0.01) is None
    ours.close()
    with pytest.raises((EOFError, OSError)):
        theirs.receive_frame()


@pytest.mark.parametrize(
    "line",
    [b"[]", b"{}", b"[1, 2, 0]", b'["hello", "", -1]', b'["hello", "", 5000]', b'["x", "", 0]',
     b'["hello", "", "", 0]', b"nothing", b'["hello", "' + b"a" * 65 + b'", 0]'],
)  # fmt: skip
def test_what_is_no_frame_is_refused(line: bytes) -> None:
    ours, theirs = pipes()
    ours._connection.send_bytes(line)
    with pytest.raises(ValueError, match=r"no frame|no head|Expecting|Extra"):
        theirs.receive_frame()


def test_words_without_end_are_not_unpacked() -> None:
    front, worker = pair()
    assert front.hear(worker.say({"is": "a" * 1_000_000}))[0] == {"is": "a" * 1_000_000}
    with pytest.raises(TamperedError):
        front.hear(worker.say({"is": "a" * (MOST_BYTES + 1)}))
