"""What secrecy and erasure cost: vault, decoder and sweep, each beside the plain way.

All in a temporary folder of the real disk (`TMPDIR`), with every fsync that the product makes.
"""

from __future__ import annotations

import io
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import structlog
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from numpy.typing import NDArray
from PIL import Image

import settings as configuration
from benchmarks.measure import Measurement
from dev.make_selfies import selfies
from pipeline.assembly import TRAINING_PX as PHOTO_PX
from pipeline.compositing.segmenter import Segmenter
from pipeline.imaging import CutOut, Face
from pipeline.photos.album import Album, Keeping
from pipeline.photos.detection import Faces
from pipeline.photos.ingest import LONG_SIDE, Decoder
from pipeline.portraits.sheet import KEPT_TOGETHER
from privacy import stream
from privacy.clock import Clock
from privacy.database import Database
from privacy.keys import MasterKey
from privacy.sessions import Sessions
from privacy.sweeper import Sweeper
from privacy.vault import Vault

SIZES = {"200_kB": (200_000, 100), "2_MB": (2_000_000, 30), "20_MB": (20_000_000, 9)}
"""Bytes, and how often they are written."""

PHOTO, PORTRAIT, RECORD, ROW, ADAPTER = 900_000, 1_200_000, 1200, 400, 6_000_000
SESSION: tuple[dict[str, int], ...] = (
    *({"counter": 2, f"photo-{n}": PHOTO, f"record-{n}": RECORD} for n in range(1, 13)),
    {"adapter": ADAPTER},
    *(
        {f"portrait-{n - m}": PORTRAIT for m in range(KEPT_TOGETHER)} | {"sheet": n * ROW}
        for n in range(KEPT_TOGETHER, 101, KEPT_TOGETHER)
    ),
)
"""Names and bytes of the files of a whole session, those that the product writes together in one
dictionary; a name that comes again replaces the earlier file."""

DELETED, DELETED_BYTES = 120, 300_000
PHOTOS, WIDTH, HEIGHT = 20, 4000, 3000


class Parts:
    """privacy/ on a folder of its own, its clock `later` seconds ahead."""

    def __init__(self, folder: Path) -> None:
        self.later = 0.0
        self.plain = folder / "plain"  # for the plain way, on the same disk
        self.plain.mkdir()
        self.database = Database(folder / "likeness.db")
        self.vault_folder = folder / "vault"
        self.vault = Vault(self.vault_folder, self.database)
        self.sessions = Sessions(
            self.database,
            self.vault,
            MasterKey.ram(),
            Clock(self.database, lambda: time.time() + self.later),
            retention_s=24 * 3600,
            undelivered_s=48 * 3600,
        )
        self.sweeper = Sweeper(self.sessions, self.vault)


@contextmanager
def parts() -> Iterator[Parts]:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    with tempfile.TemporaryDirectory(prefix="likeness-bench-") as folder:
        opened = Parts(Path(folder))
        yield opened
        opened.database.close()


def vault_cipher() -> dict[str, Measurement]:
    """MB/s of the file format alone beside one raw AES-256-GCM call over the same bytes, in RAM.

    Ours: a fresh salt, HKDF, a tag for each MiB. The part of `vault_write` and `vault_read` that
    is encryption.
    """
    found = {}
    for name, how in SIZES.items():
        found[f"encrypt_{name}"], found[f"decrypt_{name}"] = _cipher_rates(*how)
    return found


def vault_write() -> dict[str, Measurement]:
    """MB/s of `Vault.put` beside raw AES-256-GCM and the same atomic file write.

    Ours: derive the file's key, encrypt in 1 MiB segments, write a new file, fsync, fsync of the
    folder, and commit the row that makes the file exist (SQLite, fully synced).
    Reference: one AESGCM call over all bytes, then write, fsync, rename, fsync of the folder.
    So the ratio holds what the row costs too, which shows most in small files. `vault_write` is
    what a visitor's whole session writes, file by file on the plain side, and together where the
    product does so on ours; the others are single files.
    """
    found = {"vault_write": _session_rates()[0]}
    return found | {f"vault_write_{name}": _write_rates(*how) for name, how in SIZES.items()}


def vault_read() -> dict[str, Measurement]:
    """MB/s of `Vault.open` beside reading a plain file and one raw AES-256-GCM call.

    Ours: look up the row, open without following links, check the size, read, derive the key,
    verify and decrypt every segment. Both read what the system still has in its cache.
    `vault_read` is a whole session's files, one after the other.
    """
    found = {"vault_read": _session_rates()[1]}
    return found | {f"vault_read_{name}": _read_rates(*how) for name, how in SIZES.items()}


def _whole(image: NDArray[np.uint8], face: Face) -> CutOut:
    """Everything is person: what cutting out costs is measured on its own."""
    return CutOut(image, np.full(image.shape[:2], 255, np.uint8))


def ingest_20() -> dict[str, Measurement]:
    """Seconds for 20 photos of 12 megapixels, one after the other, finding faces apart.

    Ours: decode in the limited process, receive the pixels, judge, crop, encode as PNG, encrypt,
    write durably. Reference, bare Pillow in this process: decode, reduce to the same `LONG_SIDE`
    (which lets the JPEG decoder skip work, as ours does), reduce to the kept size, encode as the
    same PNG; nothing is written. Detector and recogniser are the same for anybody: `_faces`.
    """
    models = configuration.load().models / "faces"
    faces = _TimedFaces(Faces(models))
    files = _twelve_megapixels(faces.faces, Segmenter(models))
    with parts() as opened, Decoder(max_bytes=20_000_000, max_pixels=50_000_000) as decoder:
        keeping = Keeping(PHOTOS, PHOTO_PX, PHOTO_PX)
        album = Album(opened.vault, decoder, faces, _whole, keeping)  # type: ignore[arg-type]
        warm_up, _ = opened.sessions.create()
        album.add(warm_up, files[0], "first")  # loads the models, starts the process
        session, _ = opened.sessions.create()
        faces.seconds = ours = reference = 0.0
        for number, data in enumerate(files):
            ours += _seconds(lambda: album.add(session, data, str(number)))  # noqa: B023
            reference += _seconds(lambda: _bare_pillow(data))  # noqa: B023
        kept = len(opened.vault.list(session, "photo"))
    assert kept == PHOTOS, f"only {kept} of the photos were good"
    return {
        "ingest_20": Measurement(ours - faces.seconds, "s", "ratio <= 1.5", reference),
        "ingest_20_faces": Measurement(faces.seconds, "s, on top", ""),
    }


def delete_all() -> dict[str, Measurement]:
    """Seconds until a session of 120 files of 300 kB is gone, durably, median of five.

    Ours: the key is overwritten and committed, files and folder go, rows go, the database file is
    rewritten. Reference: remove a folder with as many plain files, fsync of its parent.
    """
    ours, reference = [], []
    with parts() as opened:
        for _ in range(5):
            session, _ = opened.sessions.create()
            folder = opened.plain / "folder"
            folder.mkdir()
            for number in range(DELETED):
                data = os.urandom(DELETED_BYTES)
                opened.vault.put(session, "portrait", f"portrait-{number}", data)
                _write(folder, str(number), data)
            ours.append(_seconds(lambda: opened.sessions.erase(session.id, "user")))  # noqa: B023
            reference.append(_seconds(lambda: _remove(folder)))  # noqa: B023
    return {
        "delete_all": Measurement(
            statistics.median(ours), "s", "ours <= 0.2", statistics.median(reference)
        )
    }


def sweep() -> dict[str, Measurement]:
    """Seconds to sweep 1,000 and 10,000 overdue sessions of one file; linear is 10 times as long.

    Ours: the whole sweep. Reference: remove as many folders with a plain file, one final fsync.
    """
    return {
        "sweep_1000": _swept(1000, ""),
        "sweep_10000": _swept(10_000, "ours <= 10, linear"),
    }


def _cipher_rates(size: int, rounds: int) -> tuple[Measurement, Measurement]:
    key, nonce, data = os.urandom(32), os.urandom(12), os.urandom(size)
    cipher, sealed = AESGCM(key), stream.encrypt(key, data, b"aad")
    plainly_sealed = cipher.encrypt(nonce, data, None)
    times: tuple[list[float], ...] = ([], [], [], [])
    for _ in range(3 * rounds):
        times[0].append(_seconds(lambda: stream.encrypt(key, data, b"aad")))
        times[1].append(_seconds(lambda: cipher.encrypt(nonce, data, None)))
        times[2].append(_seconds(lambda: stream.decrypt(key, sealed, b"aad")))
        times[3].append(_seconds(lambda: cipher.decrypt(nonce, plainly_sealed, None)))
    return _rate(size, times[0], times[1]), _rate(size, times[2], times[3])


def _write_rates(size: int, rounds: int) -> Measurement:
    with parts() as opened:
        session, _ = opened.sessions.create()
        cipher, nonce = AESGCM(os.urandom(32)), os.urandom(12)
        ours, reference = [], []
        for number in range(rounds):
            name, data = f"portrait-{number}", os.urandom(size)
            ours.append(_seconds(lambda: opened.vault.put(session, "portrait", name, data)))  # noqa: B023
            reference.append(
                _seconds(lambda: _write(opened.plain, name, cipher.encrypt(nonce, data, None)))  # noqa: B023
            )
    return _rate(size, ours, reference)


def _read_rates(size: int, rounds: int) -> Measurement:
    with parts() as opened:
        session, _ = opened.sessions.create()
        cipher, nonce, data = AESGCM(os.urandom(32)), os.urandom(12), os.urandom(size)
        opened.vault.put(session, "portrait", "portrait-1", data)
        file = opened.plain / "file"
        file.write_bytes(cipher.encrypt(nonce, data, None))
        ours, reference = [], []
        for _ in range(2 * rounds):
            ours.append(_seconds(lambda: opened.vault.open(session, "portrait", "portrait-1")))
            reference.append(_seconds(lambda: cipher.decrypt(nonce, file.read_bytes(), None)))
    return _rate(size, ours, reference)


def _session_rates() -> tuple[Measurement, Measurement]:
    """Writing and then reading all of `SESSION`, each group of files by both ways in turn."""
    cipher, nonce = AESGCM(os.urandom(32)), os.urandom(12)
    seconds = {"put": 0.0, "write": 0.0, "open": 0.0, "read": 0.0}
    with parts() as opened:
        session, _ = opened.sessions.create()
        vault, plain = opened.vault, opened.plain
        for group in SESSION:
            files = [("file", name, os.urandom(size)) for name, size in group.items()]
            seconds["put"] += _seconds(lambda: vault.put_all(session, files))  # noqa: B023
            for _, name, data in files:
                seconds["write"] += _seconds(
                    lambda: _write(plain, name, cipher.encrypt(nonce, data, None))  # noqa: B023
                )
        sizes = {entry.name: entry.size for entry in vault.list(session)}
        for name in sizes:
            seconds["open"] += _seconds(lambda: vault.open(session, "file", name))  # noqa: B023
            seconds["read"] += _seconds(
                lambda: cipher.decrypt(nonce, (plain / name).read_bytes(), None)  # noqa: B023
            )
    written, kept = sum(sum(group.values()) for group in SESSION), sum(sizes.values())
    return (
        _rate(written, [seconds["put"]], [seconds["write"]]),
        _rate(kept, [seconds["open"]], [seconds["read"]]),
    )


def _rate(size: int, ours: list[float], reference: list[float]) -> Measurement:
    """MB/s out of the medians of seconds that were taken in turn."""
    fast, plain = statistics.median(ours), statistics.median(reference)
    return Measurement(size / fast / 1e6, "MB/s", "ratio >= 0.8", size / plain / 1e6)


def _swept(count: int, goal: str) -> Measurement:
    with parts() as opened:
        with _unsynced(opened.database), opened.database.transaction():
            for number in range(count):
                session, _ = opened.sessions.create()
                opened.vault.put(session, "photo", "photo-01", b"x" * 1000)
                (opened.plain / str(number)).mkdir()
                (opened.plain / str(number) / "file").write_bytes(b"x" * 1000)
        os.sync()
        opened.later = 49 * 3600.0
        ours = _seconds(opened.sweeper.sweep)
        assert os.listdir(opened.vault_folder) == []
        reference = _seconds(lambda: _remove(opened.plain))
    return Measurement(ours, "s", goal, reference)


@contextmanager
def _unsynced(database: Database) -> Iterator[None]:
    """Setting up ten thousand sessions, durable one by one, would take longer than all else."""
    fsync, os.fsync = os.fsync, lambda descriptor: None  # type: ignore[assignment]
    database.rows("PRAGMA synchronous = OFF")
    try:
        yield
    finally:
        os.fsync = fsync
        database.rows("PRAGMA synchronous = FULL")


def _write(folder: Path, name: str, data: bytes) -> None:
    """A new file, all or nothing, durably."""
    descriptor = os.open(folder / f"{name}.part", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(descriptor, "wb", buffering=0) as file:
        file.write(data)
        os.fsync(descriptor)
    os.rename(folder / f"{name}.part", folder / name)
    _sync(folder)


def _remove(folder: Path) -> None:
    shutil.rmtree(folder)
    _sync(folder.parent)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    os.fsync(descriptor)
    os.close(descriptor)


def _bare_pillow(data: bytes) -> bytes:
    buffer = io.BytesIO()
    with Image.open(io.BytesIO(data)) as image:
        image.thumbnail((LONG_SIDE, LONG_SIDE))
        rgb = image.convert("RGB")
    rgb.thumbnail((PHOTO_PX, PHOTO_PX))
    rgb.save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


def _twelve_megapixels(faces: Faces, segmenter: Segmenter) -> list[bytes]:
    """JPEGs of 4000 x 3000 pixels with a person and a camera's noise in each."""
    sample = sorted((configuration.ROOT / "tests" / "samples").glob("*.jpg"))[0]
    with Image.open(sample) as image:
        pictures = selfies(np.asarray(image.convert("RGB")), faces, segmenter.matte, count=PHOTOS)
    noise = np.random.default_rng(12).normal(0, 4, (HEIGHT, WIDTH, 3)).astype(np.int16)
    files = []
    for picture in pictures:
        person = cv2.resize(picture, (HEIGHT, HEIGHT), interpolation=cv2.INTER_CUBIC)
        side = (WIDTH - HEIGHT) // 2
        wide = cv2.copyMakeBorder(person, 0, 0, side, side, cv2.BORDER_REPLICATE)
        buffer = io.BytesIO()
        Image.fromarray(np.clip(wide + noise, 0, 255).astype(np.uint8)).save(
            buffer, "JPEG", quality=90
        )
        files.append(buffer.getvalue())
    return files


class _TimedFaces:
    """`Faces`, and the seconds spent in it."""

    def __init__(self, faces: Faces) -> None:
        self.faces, self.seconds = faces, 0.0

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self.faces, name)

        def timed(*arguments: object) -> object:
            started = time.perf_counter()
            try:
                return method(*arguments)
            finally:
                self.seconds += time.perf_counter() - started

        return timed


def _seconds(action: Callable[[], object]) -> float:
    started = time.perf_counter()
    action()
    return time.perf_counter() - started
