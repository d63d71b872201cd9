"""What secrecy costs: the vault beside the plain way to encrypt, write and read."""

from __future__ import annotations

import os
import statistics

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from benchmarks.measure import Measurement
from benchmarks.parts import parts, seconds, write
from pipeline.portraits.sheet import KEPT_TOGETHER
from privacy import stream

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


def _cipher_rates(size: int, rounds: int) -> tuple[Measurement, Measurement]:
    key, nonce, data = os.urandom(32), os.urandom(12), os.urandom(size)
    cipher, sealed = AESGCM(key), stream.encrypt(key, data, b"aad")
    plainly_sealed = cipher.encrypt(nonce, data, None)
    times: tuple[list[float], ...] = ([], [], [], [])
    for _ in range(3 * rounds):
        times[0].append(seconds(lambda: stream.encrypt(key, data, b"aad")))
        times[1].append(seconds(lambda: cipher.encrypt(nonce, data, None)))
        times[2].append(seconds(lambda: stream.decrypt(key, sealed, b"aad")))
        times[3].append(seconds(lambda: cipher.decrypt(nonce, plainly_sealed, None)))
    return _rate(size, times[0], times[1]), _rate(size, times[2], times[3])


def _write_rates(size: int, rounds: int) -> Measurement:
    with parts() as opened:
        session, _ = opened.sessions.create()
        cipher, nonce = AESGCM(os.urandom(32)), os.urandom(12)
        ours, reference = [], []
        for number in range(rounds):
            name, data = f"portrait-{number}", os.urandom(size)
            ours.append(seconds(lambda: opened.vault.put(session, "portrait", name, data)))  # noqa: B023
            reference.append(
                seconds(lambda: write(opened.plain, name, cipher.encrypt(nonce, data, None)))  # noqa: B023
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
            ours.append(seconds(lambda: opened.vault.open(session, "portrait", "portrait-1")))
            reference.append(seconds(lambda: cipher.decrypt(nonce, file.read_bytes(), None)))
    return _rate(size, ours, reference)


def _session_rates() -> tuple[Measurement, Measurement]:
    """Writing and then reading all of `SESSION`, each group of files by both ways in turn."""
    cipher, nonce = AESGCM(os.urandom(32)), os.urandom(12)
    taken = {"put": 0.0, "write": 0.0, "open": 0.0, "read": 0.0}
    with parts() as opened:
        session, _ = opened.sessions.create()
        vault, plain = opened.vault, opened.plain
        for group in SESSION:
            files = [("file", name, os.urandom(size)) for name, size in group.items()]
            taken["put"] += seconds(lambda: vault.put_all(session, files))  # noqa: B023
            for _, name, data in files:
                taken["write"] += seconds(
                    lambda: write(plain, name, cipher.encrypt(nonce, data, None))  # noqa: B023
                )
        sizes = {entry.name: entry.size for entry in vault.list(session)}
        for name in sizes:
            taken["open"] += seconds(lambda: vault.open(session, "file", name))  # noqa: B023
            taken["read"] += seconds(
                lambda: cipher.decrypt(nonce, (plain / name).read_bytes(), None)  # noqa: B023
            )
    written, kept = sum(sum(group.values()) for group in SESSION), sum(sizes.values())
    return (
        _rate(written, [taken["put"]], [taken["write"]]),
        _rate(kept, [taken["open"]], [taken["read"]]),
    )


def _rate(size: int, ours: list[float], reference: list[float]) -> Measurement:
    """MB/s out of the medians of seconds that were taken in turn."""
    fast, plain = statistics.median(ours), statistics.median(reference)
    return Measurement(size / fast / 1e6, "MB/s", "ratio >= 0.8", size / plain / 1e6)
