"""Fetch a base model from the model hub into a folder of its own.

    python -m tools.fetch_base sdxl --to models

`tools/bases/KEY.toml` says which files of which commit, and the SHA-256 of each.  A download that
broke off goes on where it stopped when the command is run again; files that are there and right are
not fetched again.  `HF_ENDPOINT` names another hub, `HF_TOKEN` who is asking.  Afterwards the base
loads without any network.

A manifest that says "unpinned" has no digests yet: `--pin` fetches what the hub has now and writes
its commit and digests into the manifest, for every later fetch.
"""

from __future__ import annotations

import argparse
import errno
import fnmatch
import os
import shutil
import sys
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

import httpx2
from huggingface_hub import HfApi, hf_hub_url
from huggingface_hub.errors import (
    EntryNotFoundError,
    GatedRepoError,
    HfHubHTTPError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.file_download import http_get
from huggingface_hub.utils import build_hf_headers  # type: ignore[attr-defined]

from pipeline.bases.folder import CHECKSUMS, INDEX, file_digest
from pipeline.bases.manifest import NAME, parse

BASES = Path(__file__).resolve().parent / "bases"
UNPINNED = "unpinned"
AGAIN = "Run the same command again: it goes on where it stopped."


class FetchFailed(Exception):
    """The message is one sentence, or two short ones, for the person who runs this."""


@dataclass(frozen=True)
class File:
    """A file of a repository.  `sha256` is None until somebody has pinned it; `size` in bytes."""

    path: str
    size: int
    sha256: str | None


@dataclass(frozen=True)
class Source:
    """Files of one commit of one repository, and where they go; `name` renames a single file."""

    repository: str
    revision: str
    take: tuple[str, ...]
    into: str = ""
    drop: str = ""
    name: str = ""
    files: tuple[File, ...] = ()

    @property
    def pinned(self) -> bool:
        return self.revision != UNPINNED

    def target(self, file: File) -> str:
        """Where a file goes, relative to the base's folder."""
        path = PurePosixPath(file.path)
        name = path.name.replace(self.drop, "") if self.drop else path.name
        return str(PurePosixPath(self.into) / path.with_name(self.name or name))


def sources(key: str, bases: Path) -> list[Source]:
    """What the manifest of a base says about where it comes from.

    Raises:
        FetchFailed: there is no such base, or its manifest is broken.
    """
    known = sorted(file.stem for file in bases.glob("*.toml"))
    if key not in known:
        raise FetchFailed(f"There is no base {key!r}. There are: {', '.join(known)}.")
    try:
        content = tomllib.loads((bases / f"{key}.toml").read_text("utf-8"))
        return [
            Source(**s | {"take": tuple(s["take"]), "files": tuple(map(_file, s.get("files", [])))})
            for s in content["sources"]
        ]
    except (tomllib.TOMLDecodeError, KeyError, TypeError, ValueError) as problem:
        raise FetchFailed(f"The manifest of {key} cannot be read: {problem}.") from problem


def _file(line: str) -> File:
    sha256, size, path = line.split(maxsplit=2)
    return File(path, int(size), sha256)


def fetch(key: str, models: Path, *, bases: Path = BASES, pin: bool = False) -> Path:
    """Bring every missing or altered file of a base into `models`/KEY; returns that folder.

    Raises:
        FetchFailed: no such base, not pinned, no network, no permission, a file with another
            digest, or no room.  What came so far is kept.
    """
    wanted = sources(key, bases)
    pinned = all(source.pinned and source.files for source in wanted)
    if pinned and pin:
        raise FetchFailed(f"{key} is pinned already. To pin it anew, undo that in its manifest.")
    if not pinned and not pin:
        raise FetchFailed(
            f"The manifest of {key} does not say yet which files are meant. Add --pin to fetch "
            "what the hub has now and to write its digests down."
        )
    folder = models / key
    with _sentences(f"{key} could not be fetched"):
        if pin:
            wanted = [_listed(source) for source in wanted]
        _require_room(wanted, folder)
        # The index goes last: without it, a folder is no base.
        everything = [(source, file) for source in wanted for file in source.files]
        everything.sort(key=lambda pair: pair[0].target(pair[1]) == INDEX)
        sums = {s.target(file): _bring(s, file, folder / s.target(file)) for s, file in everything}
        lines = [f"{sums[target]}  {target}\n" for target in sorted(sums)]
        if pin:
            _write_pins(bases / f"{key}.toml", wanted, sums)
        (folder / CHECKSUMS).write_text("".join(lines))
        shutil.copyfile(bases / f"{key}.toml", folder / NAME)
    return folder


def _listed(source: Source) -> Source:
    """The source with the commit that the hub has now, and what it lists of the files we take."""
    info = HfApi().model_info(source.repository, files_metadata=True)
    files = []
    for entry in info.siblings or []:
        if any(fnmatch.fnmatchcase(entry.rfilename, pattern) for pattern in source.take):
            if ".." in PurePosixPath(entry.rfilename).parts or entry.rfilename.startswith("/"):
                raise FetchFailed(f"{source.repository} lists a file outside of itself.")
            sha256 = entry.lfs.sha256 if entry.lfs else None
            files.append(File(entry.rfilename, int(entry.size or 0), sha256))
    missing = [p for p in source.take if not fnmatch.filter([f.path for f in files], p)]
    if missing or not info.sha:
        raise FetchFailed(f"{source.repository} has no file {missing[0] if missing else ''!r}.")
    return replace(source, revision=info.sha, files=tuple(files))


def _require_room(wanted: list[Source], folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    missing = 0
    for source in wanted:
        for file in source.files:
            target = folder / source.target(file)
            have = target if target.is_file() else _part(target)
            missing += max(0, file.size - (have.stat().st_size if have.is_file() else 0))
    free = shutil.disk_usage(folder).free
    if missing > free:
        raise FetchFailed(
            f"{missing / 1e9:.1f} GB are still to come and {free / 1e9:.1f} GB are free in "
            f"{folder.parent}."
        )


def _part(target: Path) -> Path:
    return target.with_name(target.name + ".part")


def _bring(source: Source, file: File, target: Path) -> str:
    """Fetch a file unless it is there and right; returns its SHA-256."""
    if file.sha256 and target.is_file() and file_digest(target) == file.sha256:
        return file.sha256
    target.parent.mkdir(parents=True, exist_ok=True)
    part = _part(target)
    resumed = part.is_file()
    sha256 = _download(source, file, part)
    if resumed and sha256 != file.sha256:  # the beginning may be of another commit
        part.unlink()
        sha256 = _download(source, file, part)
    if file.sha256 not in (None, sha256):
        part.unlink()
        raise FetchFailed(
            f"{file.path} of {source.repository} is not the file that the manifest means: its "
            "digest differs. It was deleted."
        )
    os.replace(part, target)
    return sha256


def _download(source: Source, file: File, part: Path) -> str:
    """Append what is missing of a file; returns the SHA-256 of the whole."""
    if part.is_file() and part.stat().st_size > file.size:
        part.unlink()
    with part.open("ab") as out:
        http_get(
            hf_hub_url(source.repository, file.path, revision=source.revision),
            out,
            resume_size=out.tell(),
            headers=build_hf_headers(),
            expected_size=file.size,
            displayed_filename=file.path,
        )
    return file_digest(part)


def _write_pins(manifest: Path, wanted: list[Source], sums: dict[str, str]) -> None:
    """Put commit and digests in the places of the manifest's `revision = "unpinned"`, in order."""
    first, *rest = manifest.read_text("utf-8").split(f'revision = "{UNPINNED}"\n')
    text = first
    for source, following in zip(wanted, rest, strict=True):
        lines = [f"{sums[source.target(f)]} {f.size} {f.path}" for f in source.files]
        quoted = "".join(f'    "{line.strip()}",\n' for line in lines)
        text += f'revision = "{source.revision}"\nfiles = [\n{quoted}]\n{following}'
    manifest.write_text(text, "utf-8")


@contextmanager
def _sentences(failed: str) -> Iterator[None]:
    """Whatever the hub, the network or the disk has to say, as a sentence."""
    try:
        yield
    except GatedRepoError as why:
        raise FetchFailed(
            f"{failed}: its publisher asks you to accept terms first. Do so at the model's page "
            "on the hub, and set HF_TOKEN."
        ) from why
    except (RepositoryNotFoundError, RevisionNotFoundError, EntryNotFoundError) as why:
        raise FetchFailed(f"{failed}: the hub does not have a file it needs any more.") from why
    except OfflineModeIsEnabled as why:
        raise FetchFailed(f"{failed}: HF_HUB_OFFLINE forbids the network.") from why
    except HfHubHTTPError as why:
        status = why.response.status_code if why.response is not None else "nothing"
        raise FetchFailed(f"{failed}: the hub answered {status}. {AGAIN}") from why
    except httpx2.HTTPError as why:
        raise FetchFailed(f"{failed}: the connection to the hub failed. {AGAIN}") from why
    except OSError as why:
        if why.errno in (errno.ENOSPC, errno.EFBIG, errno.EDQUOT):
            raise FetchFailed(f"{failed}: the disk is full. Make room. {AGAIN}") from why
        if why.errno is not None:
            raise FetchFailed(f"{failed}: {why.filename}: {why.strerror}.") from why
        raise FetchFailed(f"{failed}: a file came incomplete. {AGAIN}") from why


def main(arguments: list[str] | None = None) -> int:
    """Command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tools.fetch_base", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("key", metavar="KEY", help="a file in tools/bases, without .toml")
    parser.add_argument("--to", type=Path, default=Path("models"), metavar="FOLDER")
    parser.add_argument("--pin", action="store_true", help="write the digests down, the first time")
    parser.add_argument("--bases", type=Path, default=BASES, help=argparse.SUPPRESS)
    chosen = parser.parse_args(arguments)
    try:
        folder = fetch(chosen.key, chosen.to, bases=chosen.bases, pin=chosen.pin)
    except FetchFailed as problem:
        print(problem, file=sys.stderr)
        return 1
    moves = parse(chosen.bases / f"{chosen.key}.toml").clip
    use = (
        "It moves portraits (docs/gpu.md)." if moves else f"Start with LIKENESS_BASE={chosen.key}."
    )
    print(f"{chosen.key} is complete in {folder}. {use}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
