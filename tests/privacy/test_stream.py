"""The file format against its specification and against Tink itself."""

from __future__ import annotations

import io
import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from errors import TamperedError
from privacy import stream

KEY, AAD = bytes(range(32)), b"associated"
FIRST = stream.SEGMENT_BYTES - stream.HEADER_BYTES - stream.TAG_BYTES
NEXT = stream.SEGMENT_BYTES - stream.TAG_BYTES
SIZES = sorted(
    {0, 1, 15, 16, 17, 5_000_003}
    | {border + off for border in (FIRST, FIRST + NEXT) for off in (-1, 0, 1)}
)


@pytest.mark.parametrize("size", SIZES)
def test_what_was_encrypted_is_decrypted(size: int) -> None:
    plaintext = os.urandom(size)
    sealed = stream.encrypt(KEY, plaintext, AAD)
    assert type(sealed) is bytes
    assert len(sealed) == stream.sealed_size(size)
    assert sealed[0] == 40
    assert stream.decrypt(KEY, sealed, AAD) == plaintext


@settings(deadline=None, max_examples=50)
@given(st.binary(max_size=3000), st.binary(max_size=50))
def test_any_bytes_come_back(plaintext: bytes, aad: bytes) -> None:
    assert stream.decrypt(KEY, stream.encrypt(KEY, plaintext, aad), aad) == plaintext


def test_another_key_or_associated_data_opens_nothing() -> None:
    sealed = stream.encrypt(KEY, b"face", AAD)
    with pytest.raises(TamperedError):
        stream.decrypt(bytes(32), sealed, AAD)
    with pytest.raises(TamperedError):
        stream.decrypt(KEY, sealed, AAD + b"x")


def test_a_short_key_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        stream.encrypt(b"short", b"", b"")


def test_lists_of_parts_never_read_the_same() -> None:
    assert stream.associated_data("ab", "c") != stream.associated_data("a", "bc")
    assert stream.associated_data("é") == b"\0\0\0\2\xc3\xa9"


class Tink:
    """Google's implementation with our raw key as its only key."""

    def __init__(self, key: bytes) -> None:
        import tink
        from tink import cleartext_keyset_handle, streaming_aead
        from tink.proto import aes_gcm_hkdf_streaming_pb2, common_pb2, tink_pb2

        streaming_aead.register()
        value = aes_gcm_hkdf_streaming_pb2.AesGcmHkdfStreamingKey(
            version=0,
            key_value=key,
            params=aes_gcm_hkdf_streaming_pb2.AesGcmHkdfStreamingParams(
                ciphertext_segment_size=1 << 20,
                derived_key_size=32,
                hkdf_hash_type=common_pb2.SHA256,
            ),
        )
        keyset = tink_pb2.Keyset(primary_key_id=1)
        entry = keyset.key.add(key_id=1, status=tink_pb2.ENABLED, output_prefix_type=tink_pb2.RAW)
        entry.key_data.type_url = "type.googleapis.com/google.crypto.tink.AesGcmHkdfStreamingKey"
        entry.key_data.key_material_type = tink_pb2.KeyData.SYMMETRIC
        entry.key_data.value = value.SerializeToString()
        reader = tink.BinaryKeysetReader(keyset.SerializeToString())
        handle = cleartext_keyset_handle.read(reader)
        self._primitive = handle.primitive(streaming_aead.StreamingAead)

    def encrypt(self, plaintext: bytes, aad: bytes) -> bytes:
        class Kept(io.BytesIO):
            def close(self) -> None:
                self.kept = self.getvalue()
                super().close()

        target = Kept()
        with self._primitive.new_encrypting_stream(target, aad) as stream_out:
            stream_out.write(plaintext)
        return target.kept

    def decrypt(self, ciphertext: bytes, aad: bytes) -> bytes:
        with self._primitive.new_decrypting_stream(io.BytesIO(ciphertext), aad) as stream_in:
            return bytes(stream_in.read())


@pytest.fixture(scope="module")
def tink_key() -> Tink:
    return Tink(KEY)


@pytest.mark.fact(5)
@pytest.mark.parametrize("size", SIZES)
def test_tink_reads_ours_and_we_read_tinks(tink_key: Tink, size: int) -> None:
    plaintext = os.urandom(size)
    assert tink_key.decrypt(stream.encrypt(KEY, plaintext, AAD), AAD) == plaintext
    assert stream.decrypt(KEY, tink_key.encrypt(plaintext, AAD), AAD) == plaintext


@pytest.mark.fact(5)
def test_tink_and_we_agree_on_a_hundred_megabytes(tink_key: Tink) -> None:
    plaintext = os.urandom(1_000_003) * 100
    assert tink_key.decrypt(stream.encrypt(KEY, plaintext, AAD), AAD) == plaintext
    assert stream.decrypt(KEY, tink_key.encrypt(plaintext, AAD), AAD) == plaintext


@pytest.mark.fact(5)
@settings(deadline=None, max_examples=25)
@given(size=st.integers(0, 4_000_000), aad=st.binary(max_size=40))
def test_tink_and_we_agree_on_odd_sizes(tink_key: Tink, size: int, aad: bytes) -> None:
    plaintext = os.urandom(size)
    assert tink_key.decrypt(stream.encrypt(KEY, plaintext, aad), aad) == plaintext
    assert stream.decrypt(KEY, tink_key.encrypt(plaintext, aad), aad) == plaintext
