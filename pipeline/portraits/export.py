"""A portrait made ready for its use: size, file format, caption, and the mark that says AI made it.

The mark is IPTC's "Digital Source Type" in an XMP packet, the only metadata that a finished file
carries (and 300 dpi where paper is meant), unless a signer signs the same statement (`provenance`).
It says how the picture came to be, never who is in it.
Bytes in, bytes out, in RAM; knows nothing of vault and web.
"""

from __future__ import annotations

import io
import struct
import unicodedata
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from errors import BadOrder
from pipeline.compositing.tone import TONES, toned
from pipeline.orders import Way
from pipeline.portraits.frames import (
    AS_MADE,
    CV_PX,
    SHAPES,
    USUAL_FACE,
    around,
    cv_frame,
    has_room,
    shaped,
)
from pipeline.portraits.lettering import can_draw, drawn
from pipeline.portraits.provenance import HEADER_END, SOURCE_TYPES, signed

if TYPE_CHECKING:
    from pipeline.portraits.signing import Signer

SIZES = ("original", "800", "400", "square-800", "square-400", "cv", "print")
"""As stored; long side 800 or 400 px; squares around the face (LinkedIn; Teams, Slack);
35 x 45 mm; for paper."""

TRANSPARENT = "transparent"
FORMATS = {
    "png": "image/png",
    TRANSPARENT: "image/png",
    "jpeg": "image/jpeg",
    "webp": "image/webp",
}
SUFFIXES = {"png": "png", TRANSPARENT: "png", "jpeg": "jpg", "webp": "webp"}
"""How files of each format end. The transparent one is a PNG without the wall."""

MOST_ENLARGED = 1.5
"""Factor by which a portrait of a photo is enlarged at most."""

NAME_CHARS = 40

CAPTION_CHARS = 60
"""The page promises them (`portraits.caption_hint`): a full name and a title. Longer ones would be
drawn very small, since a caption is made to fit the width."""


class Matte(NamedTuple):
    """Where the person is: uint8 [H, W], 255 = person. exact: the picture was composed by it."""

    person: NDArray[np.uint8]
    exact: bool


@dataclass(frozen=True)
class Masks:
    """How the person of a portrait, uint8 RGB [H, W, 3], is told from the wall.

    matte: where the person is. cut: the person without the wall, RGBA [H, W, 4].
    """

    matte: Callable[[NDArray[np.uint8]], Matte]
    cut: Callable[[NDArray[np.uint8]], NDArray[np.uint8]]


_SIDES = {"800": 800, "400": 400}
_SQUARES = {"square-800": 800, "square-400": 400}
_PAPER_DPI = {"cv": 300, "print": 300}
_QUALITY = 92
_EMPTY_PNG = b"\x89PNG\r\n\x1a\n".ljust(HEADER_END, b"\0")


def _mark(source_type: str) -> bytes:
    """A whole XMP packet, read-only, without padding, with an IPTC digital source type."""
    return (
        '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>'
        '<x:xmpmeta xmlns:x="adobe:ns:meta/">'
        '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        '<rdf:Description rdf:about=""'
        ' xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/"'
        f' Iptc4xmpExt:DigitalSourceType="{source_type}"/>'
        "</rdf:RDF></x:xmpmeta>"
        '<?xpacket end="r"?>'
    ).encode()


MARKS = {way: _mark(source_type) for way, source_type in SOURCE_TYPES.items()}
"""By the way of a portrait."""


@dataclass(frozen=True)
class Finish:
    """What a file for download should be like.

    size: of `SIZES`; format: of `FORMATS`; caption: drawn in the lower left corner, none if empty;
    watermark: a small "AI" in the lower right, if a model painted; marked: carries one of `MARKS`;
    name: of the person, for the file's name; names: what follows it, with {look} and {number};
    px: width and height in the place of a size, for a company's own; shape: of `SHAPES`, which
    sizes are then cut from; tone: of the backdrop, of `TONES`; signer: signs the mark, if it is
    there.

    Raises:
        BadOrder: an unknown size, format, shape or tone, a caption that is too long or cannot be
            drawn.
    """

    size: str = "original"
    format: str = "png"
    caption: str = ""
    watermark: bool = False
    marked: bool = True
    name: str = ""
    shape: str = AS_MADE
    tone: str = "look"
    signer: Signer | None = None
    names: str = "{number}-{look}"
    px: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        for key, value, known in (
            ("sizes", self.size, SIZES),
            ("formats", self.format, FORMATS),
            ("shapes", self.shape, SHAPES),
            ("tones", self.tone, TONES),
        ):
            if value not in known:
                raise BadOrder(f"finish.{key}", known=", ".join(known))
        if len(self.caption) > CAPTION_CHARS:
            raise BadOrder("finish.caption_long", most=CAPTION_CHARS)
        if strange := next((c for c in self.caption if not can_draw(c)), ""):
            key = "finish.letter" if strange.isprintable() else "finish.control_character"
            raise BadOrder(key, letter=strange)


def finish(
    png: bytes,
    how: Finish,
    face: Sequence[float] | None = None,
    way: Way = "painted",
    masks: Masks | None = None,
) -> bytes:
    """A stored portrait as a file of `how.format`.

    A PNG in its original size and shape, with nothing drawn on it, keeps the stored pixels bit for
    bit; so does the face before a backdrop of another tone.

    Args:
        face: left, top, width, height as shares of the picture, for shapes, "cv" and squares.
        way: how the portrait was made. A photograph before a wall is never called AI.
        masks: for another tone, and for `TRANSPARENT`, which carries no caption.
    """
    how = replace(how, watermark=False) if way == "photo" else how
    made = _finished(png, how, face, way, masks)
    return signed(made, SOURCE_TYPES[way], how.signer) if how.marked and how.signer else made


def _finished(
    png: bytes, how: Finish, face: Sequence[float] | None, way: Way, masks: Masks | None
) -> bytes:
    if _as_stored(how):
        return _marked_png(png, way) if how.marked else png
    with Image.open(io.BytesIO(png), formats=("PNG",)) as opened:
        image = opened.convert("RGB")
    image.info = {}
    frame, face = shaped(image.size, how.shape, face)

    def fitted(picture: Image.Image) -> Image.Image:
        return _sized(picture.crop(frame), how, face, way)

    if how.format == TRANSPARENT and masks is not None:
        return _encoded(fitted(Image.fromarray(masks.cut(np.asarray(image)))), how, way)
    matte = masks.matte(np.asarray(image)) if how.tone != "look" and masks is not None else None
    image = fitted(image)
    if matte is not None:  # as late as this: a tile has few pixels
        person = np.asarray(fitted(Image.fromarray(matte.person)))
        image = Image.fromarray(toned(np.asarray(image), person, how.tone, exact=matte.exact))
    if how.caption or how.watermark:
        image = drawn(image, how.caption, how.watermark)
    return _encoded(image, how, way)


def bytes_more(how: Finish, way: Way) -> int | None:
    """How many bytes longer `finish` makes a stored PNG; None where only making it tells."""
    if not _as_stored(replace(how, watermark=False) if way == "photo" else how):
        return None
    return len(finish(_EMPTY_PNG, how, way=way)) - len(_EMPTY_PNG)


def _as_stored(how: Finish) -> bool:
    changed = how.caption or how.watermark or how.px or how.shape != AS_MADE or how.tone != "look"
    return how.format == "png" and how.size == "original" and not changed


def can_give(size: str, px: tuple[int, int], face: Sequence[float] | None) -> bool:
    """Whether a portrait of a photo, `px` wide and high, has enough pixels for a size."""
    if size in _SQUARES:
        return can_fill((_SQUARES[size],) * 2, px)
    if size == "cv":
        _, top, _, bottom = cv_frame(*px, face or USUAL_FACE)
        return (bottom - top) * MOST_ENLARGED >= CV_PX[1]
    return True


def can_fill(
    wanted: tuple[int, int], px: tuple[int, int], face: Sequence[float] | None = None
) -> bool:
    """Whether a portrait of a photo, `px` wide and high, has the pixels for a width and height, and
    room for its face in that shape."""
    enough = min(px[0] / wanted[0], px[1] / wanted[1]) * MOST_ENLARGED >= 1
    return enough and (wanted[0] == wanted[1] or has_room(px, wanted, face or USUAL_FACE))


def clean_name(typed: str) -> str:
    """A name as a file may bear it: letters and digits of any language, joined by hyphens."""
    words = "".join(c if c.isalnum() else " " for c in unicodedata.normalize("NFC", typed)).split()
    return "-".join(words)[:NAME_CHARS].strip("-")


def _sized(image: Image.Image, how: Finish, face: Sequence[float], way: Way) -> Image.Image:
    size = how.size
    if wanted := how.px or ((_SQUARES[size],) * 2 if size in _SQUARES else None):
        image = image.crop(around(image.size, wanted, face))
        most = image.width * MOST_ENLARGED / wanted[0] if way != "painted" else 1.0
        target = tuple(round(side * min(1.0, most)) for side in wanted)
        return image.resize((target[0], target[1]), Image.Resampling.LANCZOS)
    if size == "cv":
        frame = cv_frame(image.width, image.height, face)
        return image.resize(CV_PX, Image.Resampling.LANCZOS, box=frame)
    side = _SIDES.get(size)
    if side is None or max(image.size) == side:
        return image
    scale = side / max(image.size)
    target = (round(image.width * scale), round(image.height * scale))
    return image.resize(target, Image.Resampling.LANCZOS)


def _encoded(image: Image.Image, how: Finish, way: Way) -> bytes:
    buffer = io.BytesIO()
    options: dict[str, Any] = {}
    if dots := _PAPER_DPI.get(how.size):
        options["dpi"] = (dots, dots)  # WebP has no place for it
    if how.format in ("png", TRANSPARENT):
        image.save(buffer, "PNG", compress_level=3, **options)
        return _marked_png(buffer.getvalue(), way) if how.marked else buffer.getvalue()
    if how.marked:
        options["xmp"] = MARKS[way]
    if how.format == "jpeg":
        options |= {"subsampling": "4:4:4"}  # red on grey keeps its edge
    image.save(buffer, how.format.upper(), quality=_QUALITY, **options)
    return buffer.getvalue()


def _marked_png(png: bytes, way: Way) -> bytes:
    """The same PNG with the mark in an iTXt chunk behind the header; pixels are not touched."""
    body = b"iTXt" + b"XML:com.adobe.xmp\0\0\0\0\0" + MARKS[way]
    chunk = struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
    return png[:HEADER_END] + chunk + png[HEADER_END:]
