"""The file format: Tink's streaming AEAD "AES256-GCM-HKDF, 1 MiB segments", byte for byte.

    ciphertext = header | segment 0 | segment 1 | … | last segment
    header     = length of the header (1 byte: 40) | salt (32) | nonce prefix (7)
    segment    = AES-256-GCM(file key, nonce, plaintext part), its 16-byte tag at the end
    file key   = HKDF-SHA256(key, salt = salt, info = associated data)
    nonce      = nonce prefix | segment number (4 bytes, big-endian) | 1 if last else 0

The header counts as part of the first segment's 1 MiB. Salt and prefix are fresh for every file, so
that no nonce is used twice under one file key. Published at
https://developers.google.com/tink/streaming-aead/aes_gcm_hkdf_streaming

Everything happens in RAM and `decrypt` returns only after the last segment has been verified, so
nothing truncated is ever parsed. The cipher hides neither the length of the plaintext, nor that
somebody put back an older version of the same file under the same associated data.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from io import BytesIO

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from errors import TamperedError

KEY_BYTES = 32
SEGMENT_BYTES = 1 << 20  # of ciphertext, tag included
TAG_BYTES = 16
SALT_BYTES = KEY_BYTES
PREFIX_BYTES = 7
HEADER_BYTES = 1 + SALT_BYTES + PREFIX_BYTES


def encrypt(key: bytes, plaintext: bytes, aad: bytes) -> bytes:
    """Seal a whole plaintext under a 32-byte key, bound to its associated data."""
    header = bytes([HEADER_BYTES]) + os.urandom(SALT_BYTES + PREFIX_BYTES)
    cipher = _file_cipher(key, header, aad)
    sealed, source = _allocate(sealed_size(len(plaintext))), memoryview(plaintext)
    with sealed.getbuffer() as target:
        target[:HEADER_BYTES] = header
        for start, end, nonce in _segments(header, len(target)):
            part, source = source[: end - start - TAG_BYTES], source[end - start - TAG_BYTES :]
            cipher.encrypt_into(nonce, part, None, target[start:end])
    return sealed.getvalue()


def decrypt(key: bytes, ciphertext: bytes, aad: bytes) -> bytes:
    """Open what `encrypt` made with the same key and associated data.

    Raises:
        TamperedError: a byte differs, a segment is missing, moved, repeated or added, the key or
            the associated data is another. Which of these is not told.
    """
    source = memoryview(ciphertext)
    if len(source) < HEADER_BYTES + TAG_BYTES or source[0] != HEADER_BYTES:
        raise TamperedError
    header = bytes(source[:HEADER_BYTES])
    segments = list(_segments(header, len(source)))
    length = len(source) - HEADER_BYTES - TAG_BYTES * len(segments)
    if segments[-1][1] - segments[-1][0] < TAG_BYTES:
        raise TamperedError
    cipher = _file_cipher(key, header, aad)
    try:
        if len(segments) == 1:  # needs no buffer of ours
            ((start, end, nonce),) = segments
            return cipher.decrypt(nonce, source[start:end], None)
        opened, done = _allocate(length), 0
        with opened.getbuffer() as target:
            for start, end, nonce in segments:
                until = done + end - start - TAG_BYTES
                cipher.decrypt_into(nonce, source[start:end], None, target[done:until])
                done = until
    except InvalidTag:
        raise TamperedError from None
    return opened.getvalue()


def sealed_size(length: int) -> int:
    """Bytes of ciphertext for a plaintext of `length` bytes."""
    room = SEGMENT_BYTES - TAG_BYTES
    segments = max(1, -(-(HEADER_BYTES + length) // room))
    return HEADER_BYTES + length + TAG_BYTES * segments


def associated_data(*parts: str) -> bytes:
    """Each part after its length (4 bytes, big-endian), so that no two lists read the same."""
    encoded = [part.encode() for part in parts]
    return b"".join(struct.pack(">I", len(part)) + part for part in encoded)


def _segments(header: bytes, total: int) -> Iterator[tuple[int, int, bytes]]:
    """Start, end and nonce of each segment of a ciphertext of `total` bytes."""
    prefix = header[1 + SALT_BYTES :]
    start, number = HEADER_BYTES, 0
    while True:
        end = min(total, (number + 1) * SEGMENT_BYTES)
        last = end == total
        yield start, end, prefix + struct.pack(">I?", number, last)
        if last:
            return
        start, number = end, number + 1


def _file_cipher(key: bytes, header: bytes, aad: bytes) -> AESGCM:
    if len(key) != KEY_BYTES:
        raise ValueError("the key must have 32 bytes")
    salt = header[1 : 1 + SALT_BYTES]
    return AESGCM(HKDF(SHA256(), KEY_BYTES, salt=salt, info=aad).derive(key))


def _allocate(size: int) -> BytesIO:
    """A buffer of `size` bytes whose `getvalue` hands the bytes over without another copy.

    Measured: a copy of 10 MB into fresh memory costs several times its encryption.
    """
    return BytesIO(bytes(size))
