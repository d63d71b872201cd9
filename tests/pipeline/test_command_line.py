"""`python -m pipeline`: the same job without a browser, as a real process.

What is only one sentence is asked of `main` in this process, but for one that is a process's.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

import settings as configuration
from pipeline import __main__ as command_line
from tests.support.this_process import Asked, in_this_process

pytestmark = pytest.mark.slow

ROOT = configuration.ROOT


class Run:
    """Starts the command line with settings of its own."""

    module: tuple[str, ...] = ("-m", "pipeline")

    def __init__(self, folder: Path, base: Path) -> None:
        self.scratch = folder / "scratch"
        self.temp = folder / "tmp"
        self.temp.mkdir()
        self.environment = {
            **{k: v for k, v in os.environ.items() if not k.startswith("LIKENESS_")},
            "LIKENESS_SCRATCH": str(self.scratch),
            "LIKENESS_BASE": str(base),
            "TMPDIR": str(self.temp),
            "OMP_NUM_THREADS": "1",
        }

    def start(self, *arguments: object) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, *self.module, *map(str, arguments)],
            cwd=ROOT,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def __call__(self, *arguments: object) -> subprocess.CompletedProcess[str]:
        process = self.start(*arguments)
        out, err = process.communicate(timeout=240)
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)

    def left_behind(self) -> list[Path]:
        places = (self.scratch, self.temp)
        return [p for place in places for p in place.rglob("*") if p.is_file()]


@pytest.fixture
def command(tmp_path: Path, tiny_base: Path) -> Run:
    return Run(tmp_path, tiny_base)


@pytest.fixture
def photos(tmp_path: Path, selfie_jpegs: list[bytes]) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for number, data in enumerate(selfie_jpegs[:5], start=1):
        (folder / f"selfie {number}.jpg").write_bytes(data)
    return folder


@pytest.fixture
def asked(command: Run, capsys: pytest.CaptureFixture[str]) -> Iterator[Asked]:
    own = {k: v for k, v in command.environment.items() if k.startswith("LIKENESS_")}
    with in_this_process(command_line.main, own, capsys) as ask:
        yield ask


def test_both_ways_meet_in_one_folder_with_a_true_report(
    command: Run, asked: Asked, photos: Path, tmp_path: Path
) -> None:
    """As a process of its own it is run in `attacks/test_main_job.py`."""
    (photos / "notes.jpg").write_text("not a picture")
    out, report = tmp_path / "out", tmp_path / "report.json"
    wanted = ("--way", "both", "--count", 2, "--seed", 3, "--json", report)
    ran = asked(photos, "--out", out, *wanted)
    assert ran.returncode == 0, ran.stderr

    made = sorted(out.rglob("*.png"))
    assert len(made) == 4
    for file in made:
        with Image.open(file) as image:
            image.load()
            assert min(image.size) >= 512

    result = json.loads(report.read_text())
    assert result["ways"] == ["photo", "painted"]
    assert (result["photo"]["headshots"], result["headshots"]) == (2, 2)
    assert result["photos"]["accepted"] == 5
    [rejected] = result["photos"]["rejected"]
    assert rejected["file"] == "notes.jpg"
    assert rejected["reason"]
    assert set(result["adapter"]) == {"rank", "steps", "bytes"}
    assert set(result["seconds"]) == {"ingest", "train", "generate", "total"}
    parts = sum(seconds for key, seconds in result["seconds"].items() if key != "total")
    assert result["seconds"]["total"] >= parts - 0.1
    assert set(result["likeness"]) == {"baseline", "median", "share_same_person"}
    assert result["again"]["tries"] >= 1  # random weights paint no face
    assert result["likeness"]["baseline"] > 0.5  # one person: her photos look like each other
    assert result["erased"] is True
    assert command.left_behind() == []


def test_photo_portraits_need_one_photo_no_training_and_no_torch(
    command: Run, photos: Path, tmp_path: Path
) -> None:
    for extra in sorted(photos.iterdir())[1:]:
        extra.unlink()
    command.module = (
        "-c",
        "import sys; from pipeline.__main__ import main; code = main(sys.argv[1:]); "
        "sys.exit(code or 40 * ('torch' in sys.modules))",
    )
    out, report = tmp_path / "out", tmp_path / "report.json"
    ran = command(photos, "--out", out, "--count", 5, "--json", report)
    assert ran.returncode == 0, ran.stderr
    assert len(list(out.rglob("*.png"))) == 5
    result = json.loads(report.read_text())
    assert result["ways"] == ["photo"]  # what a machine without a GPU does unless it is asked
    photo = result["photo"]
    assert photo["headshots"] == 5
    assert photo["likeness"]["median"] >= 0.9
    assert photo["likeness"]["share_same_person"] == 1
    assert 0.9 <= photo["texture"]["median"] <= 1.1
    assert photo["px"]["min"] >= 256
    assert not {"base", "adapter", "headshots", "likeness"} & set(result)
    assert command.left_behind() == []


def once_a_photo_is_there(command: Run, process: subprocess.Popen[str]) -> None:
    end = time.monotonic() + 60
    while not list(command.scratch.rglob("vault/*/*")) and time.monotonic() < end:
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)


def test_ctrl_c_erases_everything(command: Run, photos: Path, tmp_path: Path) -> None:
    process = command.start(photos, "--out", tmp_path / "out", "--way", "painted", "--count", 200)
    once_a_photo_is_there(command, process)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "erased" in err
    assert command.left_behind() == []


def test_a_killed_run_is_cleaned_up_by_the_next(
    command: Run, asked: Asked, photos: Path, tmp_path: Path
) -> None:
    process = command.start(photos, "--out", tmp_path / "out", "--way", "painted", "--count", 200)
    once_a_photo_is_there(command, process)
    process.kill()
    process.communicate()
    assert command.left_behind() != []
    ran = asked(photos, "--out", tmp_path / "out2", "--count", 1)
    assert ran.returncode == 0, ran.stderr
    assert command.left_behind() == []


def empty(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.mkdir()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--count", "0"], "1 to 200"),
        (["--way", "dressed"], "Other clothes need a large base model"),
        (["--count", "100000"], "1 to 200"),
    ],
)
def test_a_bad_order_is_one_sentence_at_once(
    asked: Asked, photos: Path, tmp_path: Path, arguments: list[str], words: str
) -> None:
    ran = asked(photos, "--out", tmp_path / "out", *arguments)
    assert_one_sentence(ran, words)


def assert_one_sentence(ran: subprocess.CompletedProcess[str], words: str) -> None:
    assert ran.returncode == 2, ran.stderr
    assert words in ran.stderr
    assert len(ran.stderr.strip().splitlines()) == 1
    assert "Traceback" not in ran.stderr


def test_a_bad_order_of_a_process_is_one_sentence_too(
    command: Run, photos: Path, tmp_path: Path
) -> None:
    ran = command(photos, "--out", tmp_path / "out", "--styles", "cyberpunk")
    assert_one_sentence(ran, "cyberpunk")


def test_an_empty_folder_is_a_sentence(asked: Asked, photos: Path, tmp_path: Path) -> None:
    empty(photos)
    assert_one_sentence(asked(photos, "--out", tmp_path / "out"), "no photos")


def test_a_missing_folder_is_a_sentence(asked: Asked, tmp_path: Path) -> None:
    assert_one_sentence(asked(tmp_path / "nothing", "--out", tmp_path / "out"), "not a folder")


def test_a_missing_base_is_a_sentence(
    asked: Asked, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIKENESS_BASE", "no-such-base")
    assert_one_sentence(asked(photos, "--out", tmp_path / "out"), "no base model")


def test_earlier_portraits_are_never_written_over(
    asked: Asked, photos: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "001-corporate.png").write_bytes(b"mine")
    assert_one_sentence(asked(photos, "--out", out), "already holds")
    assert (out / "001-corporate.png").read_bytes() == b"mine"


def test_photos_that_all_fail_are_told_one_by_one(
    command: Run, asked: Asked, photos: Path, tmp_path: Path
) -> None:
    empty(photos)
    (photos / "a.jpg").write_bytes(b"")
    (photos / "b.jpg").write_text("hello")
    ran = asked(photos, "--out", tmp_path / "out", "--way", "painted")
    assert ran.returncode == 2
    lines = ran.stderr.strip().splitlines()
    assert len(lines) == 3
    assert lines[0].startswith("a.jpg: ")
    assert lines[1].startswith("b.jpg: ")
    assert "good photos" in lines[2]
    assert command.left_behind() == []
