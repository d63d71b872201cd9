"""Write requirements.lock: every package that runs, exact, with the digests of its files on PyPI.

    python -m dev.lock > requirements.lock
    python -m dev.lock cluster > requirements-cluster.txt     with Ray installed beside it

The versions are those of this environment, which `requirements.txt` was installed into. The digests
come from PyPI's index, whatever this machine installs from: those of files for Python 3.11, on any
system. Left out are torch and its CUDA libraries: which build of them it is depends on the machine.
"""

from __future__ import annotations

import json
import sys
import urllib.request
from collections.abc import Iterator
from importlib.metadata import Distribution, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import (
    InvalidSdistFilename,
    InvalidWheelFilename,
    canonicalize_name,
    parse_sdist_filename,
    parse_wheel_filename,
)
from packaging.version import Version

ROOT = Path(__file__).resolve().parent.parent
BY_MACHINE = ("torch", "triton", "nvidia-", "cuda-")
"""How names begin of what is another build on another machine."""

CLUSTER = "ray==2.60.0"
"""What only a cluster needs (LIKENESS_CLUSTER)."""

_INDEX = "https://pypi.org/simple/{}/"
_FORMAT = "application/vnd.pypi.simple.v1+json"
_HEAD = """\
# Everything that requirements.txt brings, exact and by digest, but for torch, whose build depends
# on the machine. Written by `python -m dev.lock`; installed by tools/setup.sh.
"""

_CLUSTER_HEAD = """\
# What LIKENESS_CLUSTER needs beside requirements.lock, exact and by digest: Ray and what it brings.
# Written by `python -m dev.lock cluster`; installed with pip install --require-hashes -r this file.
"""


def asked_for() -> list[Requirement]:
    """The lines of requirements.txt."""
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    return [Requirement(line) for line in lines if line and not line.startswith("#")]


def closure(roots: list[Requirement]) -> dict[str, Distribution]:
    """What these need on this Python and system, by canonical name, and torch's needs."""
    found: dict[str, Distribution] = {}
    waiting = list(roots)
    while waiting:
        wanted = waiting.pop()
        name = canonicalize_name(wanted.name)
        if name.startswith(BY_MACHINE) and name != "torch":
            continue
        package = distribution(name)
        new = name not in found
        found[name] = package
        if new or wanted.extras:
            waiting += needed_by(package, wanted.extras)
    found.pop("torch", None)
    return found


def needed_by(package: Distribution, extras: set[str]) -> Iterator[Requirement]:
    """What a package needs here, with some of its extras."""
    for line in package.requires or ():
        needed = Requirement(line)
        places = [{"extra": extra} for extra in ("", *extras)]
        if needed.marker is None or any(needed.marker.evaluate(place) for place in places):
            yield needed


def digests(name: str, version: str) -> list[str]:
    """SHA-256 of each of a release's files, sorted, as PyPI tells them."""
    request = urllib.request.Request(_INDEX.format(name), headers={"Accept": _FORMAT})
    with urllib.request.urlopen(request, timeout=60) as answer:
        files = json.load(answer)["files"]
    return sorted(f["hashes"]["sha256"] for f in files if _fits(f["filename"], name, version))


def _fits(file: str, name: str, version: str) -> bool:
    """Whether a file is of this release, and for Python 3.11 where it is for one Python only."""
    try:
        if not file.endswith(".whl"):
            return parse_sdist_filename(file) == (name, Version(version))
        of, release, _, tags = parse_wheel_filename(file)
    except (InvalidSdistFilename, InvalidWheelFilename):  # an egg, an installer
        return False
    return (of, release) == (name, Version(version)) and any(
        tag.interpreter in ("cp311", "py3") or tag.abi == "abi3" for tag in tags
    )


def main(arguments: list[str]) -> int:
    cluster = arguments == ["cluster"]
    sys.stdout.write(_CLUSTER_HEAD if cluster else _HEAD)
    roots = [Requirement(CLUSTER)] if cluster else asked_for()
    for name, package in sorted(closure(roots).items()):
        known = digests(name, package.version)
        if not known:
            print(f"PyPI has no file of {name} {package.version}.", file=sys.stderr)
            return 1
        lines = [f"{name}=={package.version}", *(f"--hash=sha256:{digest}" for digest in known)]
        print(" \\\n    ".join(lines))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
