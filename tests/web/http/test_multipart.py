"""Files out of a body, however it is cut into chunks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest

from errors import BadPhoto
from web.http.multipart import IncomingFile, files_in

BODY = (
    b'--edge\r\nContent-Disposition: form-data; name="files"; filename="one.jpg"\r\n'
    b"Content-Type: image/jpeg\r\n\r\n\xff\xd8one\r\n--edg not the edge\r\n"
    b'--edge\r\nContent-Disposition: form-data; name="note"\r\n\r\nignored\r\n'
    b'--edge\r\nContent-Disposition: form-data; name="files"; filename="two.jpg"\r\n\r\n'
    b"\r\n--edge--\r\n"
)
ONE = b"\xff\xd8one\r\n--edg not the edge"


def parse(chunks: Sequence[bytes], *, file: int = 1000, body: int = 10_000) -> list[IncomingFile]:
    async def stream() -> AsyncIterator[bytes]:
        for chunk in chunks:
            yield chunk

    async def collect() -> list[IncomingFile]:
        kind = "multipart/form-data; boundary=edge"
        files = files_in(stream(), kind, max_file_bytes=file, max_body_bytes=body)
        return [file async for file in files]

    return asyncio.run(collect())


@pytest.mark.parametrize("size", [1, 2, 7, 64, len(BODY)])
def test_chunks_do_not_matter(size: int) -> None:
    chunks = [BODY[start : start + size] for start in range(0, len(BODY), size)]
    assert parse(chunks) == [
        IncomingFile("files", "one.jpg", ONE),
        IncomingFile("files", "two.jpg", b""),
    ]


def test_a_file_is_kept_one_byte_beyond_the_limit_and_no_further() -> None:
    first, _ = parse([BODY], file=4)
    assert first.data == ONE[:5]


def test_a_body_beyond_the_limit_is_refused() -> None:
    with pytest.raises(BadPhoto) as refusal:
        parse([BODY], body=100)
    assert refusal.value.code == "too_much"


def test_endless_headers_are_refused() -> None:
    with pytest.raises(BadPhoto):
        parse([b"--edge\r\nX-Long: " + b"a" * 9000])


def test_a_file_does_not_show_its_bytes_when_printed() -> None:
    assert "secret" not in repr(IncomingFile("files", "a", b"secret"))


@pytest.mark.parametrize("size", [1, 7, len(BODY)])
def test_a_file_that_does_not_come_in_one_piece_is_told_of_when_it_begins(size: int) -> None:
    chunks = [BODY[start : start + size] for start in range(0, len(BODY), size)]
    told: list[str] = []

    async def begins(field: str) -> None:
        told.append(field)

    async def stream() -> AsyncIterator[bytes]:
        for chunk in chunks:
            yield chunk

    async def collect() -> None:
        kind = "multipart/form-data; boundary=edge"
        async for file in files_in(
            stream(), kind, begins, max_file_bytes=10_000, max_body_bytes=10_000
        ):
            told.append(file.name)

    asyncio.run(collect())
    whole = size == len(BODY)
    assert told == (["one.jpg", "two.jpg"] if whole else ["files", "one.jpg", "files", "two.jpg"])
