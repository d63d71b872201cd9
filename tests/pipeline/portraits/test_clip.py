"""Films and moving pictures, read back by decoders that others wrote."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path
from typing import Any

import av
import c2pa
import numpy as np
import pytest
from PIL import Image

from pipeline.compositing.warp import FRAMES
from pipeline.portraits.clip import FORMS, writer
from pipeline.portraits.clip_marks import TAG, marked
from pipeline.portraits.export import MARKS
from pipeline.portraits.provenance import SOURCE_TYPES
from settings import ROOT
from tests.support.signed import made_signer, read

HEIGHT, WIDTH = 128, 96
ON_NO_DISK = """
import resource, signal, sys
import numpy as np
from pipeline.portraits.clip import FORMS, writer
from pipeline.portraits.clip_marks import marked
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
try:
    open(sys.argv[1], "wb", buffering=0).write(b"x")
except OSError:
    print("no byte can be written")
for name in FORMS:
    file = writer(name, (64, 64))
    for grey in range(10, 90, 10):
        file.add(np.full((64, 64, 3), grey, np.uint8))
    print(name, len(marked(file.finish(), name, None)) > 300)
"""


def frames_of(image: Any) -> int:
    return int(image.n_frames)


def frame(number: int) -> np.ndarray:
    """A soft picture that goes round in a circle and is where it was after all frames."""
    turn = 2 * np.pi * number / FRAMES
    rows, columns = np.mgrid[:HEIGHT, :WIDTH].astype(float)
    rows, columns = rows + 6 * np.sin(turn), columns + 6 * np.cos(turn)
    planes = [np.sin(rows / 9) + np.cos(columns / 11), np.sin(columns / 7), np.cos(rows / 13)]
    return np.asarray(128 + 45 * np.stack(planes, axis=2), np.uint8)


@pytest.fixture(scope="module")
def files() -> dict[str, bytes]:
    made = {}
    for name, form in FORMS.items():
        file = writer(name, (HEIGHT, WIDTH))
        for number in range(0, FRAMES, form.every):
            file.add(frame(number))
        made[name] = file.finish()
    return made


def shown(name: str, file: bytes) -> tuple[list[np.ndarray], float]:
    """The frames, and how long all of them are shown, in seconds."""
    if FORMS[name].media_type.startswith("video"):
        with av.open(io.BytesIO(file)) as film:
            assert film.streams.video[0].average_rate == 25
            frames = [one.to_ndarray(format="rgb24") for one in film.decode(video=0)]
            assert film.duration is not None
            return frames, film.duration / 1e6
    pictures, seconds = [], 0.0
    with Image.open(io.BytesIO(file)) as image:
        assert image.info["loop"] == 0  # for ever
        for number in range(frames_of(image)):
            image.seek(number)
            pictures.append(np.asarray(image.convert("RGB")))
            seconds += image.info["duration"] / 1000
    return pictures, seconds


@pytest.mark.parametrize("name", FORMS)
def test_it_has_its_frames_lasts_three_seconds_and_goes_round_without_a_jump(
    files: dict[str, bytes], name: str
) -> None:
    frames, seconds = shown(name, files[name])
    assert len(frames) == FORMS[name].frames
    assert seconds == pytest.approx(3, abs=1e-3)
    assert {one.shape for one in frames} == {(HEIGHT, WIDTH, 3)}
    every = FORMS[name].every
    off = [np.abs(one - frame(at * every).astype(float)).mean() for at, one in enumerate(frames)]
    assert max(off) < 8  # the frames that were given, in their order
    steps = [
        np.abs(one.astype(float) - before).mean()
        for before, one in zip([frames[-1], *frames[:-1]], frames, strict=True)
    ]
    assert steps[0] <= 1.5 * max(steps[1:])


@pytest.mark.parametrize("name", ["mp4", "webp", "gif"])
def test_the_reference_reader_trusts_it_and_tells_a_changed_frame(
    files: dict[str, bytes], name: str, tmp_path: Path
) -> None:
    file = marked(files[name], name, made_signer(tmp_path))
    media_type, root = FORMS[name].media_type, tmp_path / "root.pem"
    state, manifest, failures = read(file, media_type, root)
    assert (state, failures) == ("Trusted", set())
    (action,) = manifest["assertions"][0]["data"]["actions"]
    assert action == {"action": "c2pa.created", "digitalSourceType": SOURCE_TYPES["photo"]}
    assert MARKS["photo"] in file
    before, after = (shown(name, one)[0] for one in (files[name], file))
    assert np.array_equal(before, after)
    middle = len(files[name]) // 2
    changed = file[:middle] + bytes([file[middle] ^ 1]) + file[middle + 1 :]
    state, _, failures = read(changed, media_type, root)
    assert state == "Invalid"
    assert failures & {"assertion.dataHash.mismatch", "assertion.bmffHash.mismatch"}


def test_a_webm_says_it_in_a_tag_since_c2pa_has_no_place_there(
    files: dict[str, bytes], tmp_path: Path
) -> None:
    file = marked(files["webm"], "webm", made_signer(tmp_path))
    assert file == marked(files["webm"], "webm", None)  # a broken download can be gone on with
    with av.open(io.BytesIO(file)) as film:
        assert film.metadata[TAG] == SOURCE_TYPES["photo"]
    assert np.array_equal(shown("webm", files["webm"])[0], shown("webm", file)[0])
    with pytest.raises(c2pa.C2paError):
        read(file, "video/webm", tmp_path / "root.pem")


def test_nothing_of_it_is_written_to_a_disk(tmp_path: Path) -> None:
    """In a process that cannot write a single byte into a file."""
    command = [sys.executable, "-c", ON_NO_DISK, str(tmp_path / "x")]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    told = ["no byte can be written", *(f"{name} True" for name in FORMS)]
    assert (ran.stdout.splitlines(), ran.returncode) == (told, 0), ran.stderr
