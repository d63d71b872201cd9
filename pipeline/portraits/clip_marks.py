"""The mark of a portrait that moves: how it was made, in the words that its kind of file has.

    MP4, WebP, GIF   IPTC's digital source type as XMP, and Content Credentials where a signer is
    WebM             a Matroska tag; C2PA has no place for itself in this container

It is "composite", as of the portrait itself: a real photograph before a wall that no camera took.
It moves by an algorithm that bends that photograph, so it is no recording (`compositeCapture`,
`digitalCapture`), and no trained model made anything of it. A clip that a base made is
`trainedAlgorithmicMedia`, whatever its first frame was.
"""

from __future__ import annotations

import io
import struct
from typing import TYPE_CHECKING

from pipeline.portraits import bmff, gif
from pipeline.portraits.export import MARKS
from pipeline.portraits.provenance import SOURCE_TYPES, signed

if TYPE_CHECKING:
    from pipeline.orders import Way
    from pipeline.portraits.signing import Signer

TAG = "DIGITALSOURCETYPE"
"""The name of the tag in a WebM."""


def marked(file: bytes, name: str, signer: Signer | None, way: Way = "photo") -> bytes:
    """The same file with the mark, signed where there is a signer; no frame is touched.

    Args:
        file: of a form of `clip.FORMS`, without a mark. name: of the form. way: "painted" where a
            base made it.

    Raises:
        SigningFailed: from a key elsewhere.
    """
    source_type, packet = SOURCE_TYPES[way], MARKS[way]
    if name == "webm":
        return _tagged(file, source_type)
    told = {"mp4": bmff.with_xmp, "gif": gif.with_xmp, "webp": _webp_with_xmp}[name](file, packet)
    return signed(told, source_type, signer) if signer else told


_HAS_XMP = 4
_FLAGS_AT = 20


def _webp_with_xmp(file: bytes, packet: bytes) -> bytes:
    """One that moves has the extended header, whose flags say what else there is (RFC 9649)."""
    flags = bytes([file[_FLAGS_AT] | _HAS_XMP])
    chunk = b"XMP " + struct.pack("<I", len(packet)) + packet + bytes(len(packet) % 2)
    body = file[8:_FLAGS_AT] + flags + file[_FLAGS_AT + 1 :] + chunk
    return b"RIFF" + struct.pack("<I", len(body)) + body


def _tagged(file: bytes, source_type: str) -> bytes:
    """The same WebM with the tag, its frames as they were encoded."""
    import av

    buffer = io.BytesIO()
    # Else the container gets a random number, and a download could not be gone on with.
    exact = {"fflags": "+bitexact"}
    read = av.open(io.BytesIO(file), "r")
    written = av.open(buffer, "w", format="webm", options=exact)
    with read, written:
        film = read.streams.video[0]
        stream = written.add_stream_from_template(film)
        written.metadata[TAG] = source_type
        for packet in read.demux(film):
            if packet.dts is not None:  # the last one only says that there are no more
                packet.stream = stream
                written.mux(packet)
    return buffer.getvalue()
