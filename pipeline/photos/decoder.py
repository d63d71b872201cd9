"""The program that opens photos: run by `ingest.py` as a process of its own, with hard limits.

    python -I decoder.py <max pixels> <long side> <id of the parent process>

A file from a stranger is parsed here and nowhere else, because image libraries are written in C
and have had their share of exploitable faults. The first process imports the libraries, gives up
its rights and then only waits; it never reads a byte of a photo. For each photo it forks, and the
fork reads the file from the pipe, writes the pixels back and ends. So nothing of one visitor's
photo is left in memory when the next one's is opened, and a crash costs one photo. A fork that a
photo takes over can open nothing, start nothing and reach nobody (`sandbox.py`), and the next photo
is sent only after it has ended: the first process says so where a fork cannot.

Request on standard input:   8 bytes format ("JPEG", "PNG", "WEBP" or "HEIF", padded with NUL),
                             u32 length, the file.
Reply on standard output:    8 bytes code ("ok", or why not: see `REFUSALS`, padded with NUL),
                             u32 width, u32 height, then width * height * 3 bytes of sRGB.
                             Numbers are little-endian; width and height are 0 unless "ok".
On standard error:           `ENDED` and what the fork took of the processor, once it has ended.
                             Only the first process holds it. If a fork died badly, the first
                             process ends too, with `OUT_OF_TIME` where time was the reason.

Only pixels come out, so whatever else was in the file (place, camera, profile, comments, more
pictures) is gone by construction. Imports nothing of the project but `colours`, `jpeg`, `nclx`,
`sandbox` and `scans`; needs no file once it waits.
"""

from __future__ import annotations

import ctypes
import io
import os
import resource
import select
import signal
import struct
import sys
import warnings
from pathlib import Path
from typing import BinaryIO

import pillow_heif
from PIL import (
    Image,
    JpegImagePlugin,
    MpoImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

if __name__ == "__main__":  # `-I` knows no folder of the project; last, so that it shadows nothing
    sys.path.append(str(Path(__file__).resolve().parents[2]))
from pipeline.photos import colours, jpeg, nclx, sandbox, scans

REQUEST = struct.Struct("<8sI")
REPLY = struct.Struct("<8sII")
ENDED = struct.Struct("<cI")
"""A full stop, and milliseconds of processor time."""

OUT_OF_TIME = 24
"""Exit code of the first process when a fork took `CPU_SECONDS`."""

TOO_MANY_PIXELS, TOO_MANY_SCANS, ANIMATED, UNREADABLE = "pixels", "scans", "animated", "broken"
REFUSALS = (TOO_MANY_PIXELS, TOO_MANY_SCANS, ANIMATED, UNREADABLE)

CPU_SECONDS = 6
"""Processor time for one photo. The slowest honest one measured, a 64 MP RGBA PNG, took 3.5 s."""

BASE_BYTES = 128 << 20
BYTES_PER_PIXEL = 14
"""Address space of a fork: the libraries (58 MB) and an allowance for each permitted pixel.

Most that 64 MP took above the libraries, in MB: JPEG 44, progressive 4:4:4 JPEG 411, RGB PNG 345,
RGBA PNG 555, palette PNG 615 (9.6 a pixel), HEIC 443, of ten bits 473. WebP takes up
to 17.5 a pixel.
"""

WEBP_SHARE = 0.75
"""Of the pixels of other formats. No camera writes WebP, and its decoder takes the most memory."""

TEXT_BYTES = 16 << 20
"""What a text in a PNG may unpack to. Editors keep their history there, megabytes of it."""

_ENOUGH = 0.83
"""A JPEG is decoded at 1/2, 1/4 or 1/8 where that leaves this share of the long side or more."""

_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What undoes each EXIF orientation (tag 0x0112)."""

_LOADED_EARLY = (MpoImagePlugin, TiffImagePlugin, WebPImagePlugin)
"""What Pillow would import while opening a file (TIFF for EXIF), when no file can be read."""


class Refused(Exception):
    """The photo is readable but not welcome; the argument is one of `REFUSALS`."""


def main() -> None:
    """Wait for photos until standard input is closed or a fork dies badly."""
    max_pixels, long_side, parent = (int(argument) for argument in sys.argv[1:])
    sandbox.end_with(parent)
    sealed = sandbox.supported()
    _prepare_libraries(max_pixels)
    reply_to = _private_output()
    give_up_rights(max_pixels)
    waiting = select.poll()
    waiting.register(0, select.POLLIN)
    own = os.getpid()
    while waiting.poll()[0][1] & select.POLLIN:
        fork = os.fork()
        if fork == 0:
            shut_in(own, sealed)
            _serve_one(reply_to, max_pixels, long_side)
        _, status, used = os.wait4(fork, 0)
        if status != 0:  # the reply may be cut short, so the pipe cannot be used any more
            overdue = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGXCPU
            os._exit(OUT_OF_TIME if overdue else 1)
        os.write(2, ENDED.pack(b".", round(1000 * (used.ru_utime + used.ru_stime))))


def _prepare_libraries(max_pixels: int) -> None:
    """Set the limits of the libraries, and load what they would load at first use."""
    Image.preinit()
    Image.MAX_IMAGE_PIXELS = max_pixels
    PngImagePlugin.MAX_TEXT_CHUNK = TEXT_BYTES  # of all together Pillow takes 64 MB
    warnings.simplefilter("ignore")  # corrupt EXIF and the like; nobody reads them
    warnings.simplefilter("error", Image.DecompressionBombWarning)
    pillow_heif.options.DECODE_THREADS = 1
    pillow_heif.register_heif_opener(thumbnails=False)


def _private_output() -> int:
    """A copy of standard output for replies; 1 then leads nowhere, should a library print."""
    reply_to = os.dup(1)
    nowhere = os.open(os.devnull, os.O_RDWR)
    os.dup2(nowhere, 1)
    os.close(nowhere)
    return reply_to


def give_up_rights(max_pixels: int) -> None:
    """No file, no socket, no core dump, no new privileges, bounded memory; forks inherit it."""
    memory = BASE_BYTES + BYTES_PER_PIXEL * max_pixels
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        set_dumpable, set_no_new_privileges = 4, 38  # <linux/prctl.h>
        libc = ctypes.CDLL(None)
        libc.prctl(set_dumpable, 0, 0, 0, 0)
        libc.prctl(set_no_new_privileges, 1, 0, 0, 0)
    sandbox.shut_files()
    # Last: the descriptors already open are all there will ever be.
    resource.setrlimit(resource.RLIMIT_NOFILE, (4, 4))


def shut_in(parent: int, sealed: bool) -> None:
    """In the fork, before it reads: no descriptor but what it needs, and none to come; the walls.

    Ends the fork where a wall that this kernel has does not stand.
    """
    try:
        os.dup2(1, 2)  # nowhere: that it has ended is not for itself to say
        sandbox.end_with(parent)
        # Asked to end, and a second later made to.
        resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS + 1))
        resource.setrlimit(resource.RLIMIT_NOFILE, (0, 0))
        if sealed:
            sandbox.seal()
    except OSError:
        os._exit(1)


def _serve_one(reply_to: int, max_pixels: int, long_side: int) -> None:
    """In the fork: read one request, write one reply, end. Never returns."""
    with open(0, "rb", closefd=False) as source:
        name, length = REQUEST.unpack(_exactly(source, REQUEST.size))
        data = _exactly(source, length)
    code, width, height, pixels = "ok", 0, 0, b""
    try:
        image = decode(data, name.rstrip(b"\0").decode(), max_pixels, long_side)
        pixels = image.tobytes()
        width, height = image.size
    except Refused as refusal:
        code = str(refusal)
    except Exception:  # the edge: whatever the parsers throw at a damaged file, MemoryError too
        code = UNREADABLE
    with open(reply_to, "wb", closefd=False) as reply:
        reply.write(REPLY.pack(code.encode(), width, height))
        reply.write(pixels)
    os._exit(0)


def _exactly(source: BinaryIO, length: int) -> bytes:
    data = source.read(length)
    if len(data) != length:
        os._exit(1)  # the server went away
    return data


def decode(data: bytes, name: str, max_pixels: int, long_side: int) -> Image.Image:
    """Open a file as the format `name` and nothing else; returns mode RGB, sRGB, upright.

    The longer side has at most `long_side` pixels; smaller pictures keep their size.

    Raises:
        Refused: too many pixels or scans, or more than a still.
        Exception: anything Pillow and its plugins raise on a damaged file.
    """
    if name == "JPEG" and scans.scans_of(data) > scans.MOST:
        raise Refused(TOO_MANY_SCANS)
    try:
        image: Image.Image = Image.open(io.BytesIO(data), formats=(name,))
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise Refused(TOO_MANY_PIXELS) from None
    if image.width * image.height > most_pixels(max_pixels, name):
        raise Refused(TOO_MANY_PIXELS)
    if name in ("PNG", "WEBP") and getattr(image, "is_animated", False):
        raise Refused(ANIMATED)
    orientation = _orientation(image)
    profile = image.info.get("icc_profile") or nclx.profile(image.info.get("nclx_profile"))
    image = _reduced(image, data, long_side)
    image = colours.on_white(image)
    image = colours.to_srgb(image, profile)
    return image.transpose(_UPRIGHT[orientation]) if orientation in _UPRIGHT else image


def most_pixels(max_pixels: int, name: str) -> int:
    """How many pixels a photo of the format `name` may have, where most may have `max_pixels`."""
    return int(max_pixels * WEBP_SHARE) if name == "WEBP" else max_pixels


def _orientation(image: Image.Image) -> int:
    """The EXIF orientation, 1 to 8; 1 where there is none or it is damaged, as browsers do.

    What XMP or a PNG's texts say of it counts for nothing with browsers; Pillow would take it.
    """
    exif = Image.Exif()
    try:
        if image.format == "PNG" and "exif" not in image.info:
            image.load()  # it may stand after the pixels
        exif.load(image.info.get("exif", b""))
        return int(exif.get(0x0112, 1))
    except (SyntaxError, ValueError, TypeError, struct.error, OSError):
        return 1


def _reduced(image: Image.Image, data: bytes, long_side: int) -> Image.Image:
    """Decode the file, as small as will do, in a mode that can be resampled."""
    if isinstance(image, JpegImagePlugin.JpegImageFile):
        least = min(1.0, max(1, int(long_side * _ENOUGH)) / max(image.size))
        jpeg.load(
            image, data, (max(1, int(image.width * least)), max(1, int(image.height * least)))
        )
    else:
        image.load()
    dots = image.mode in ("1", "L", "P") and image.getcolors(2) is not None
    if image.mode.startswith("I"):
        image = image.point(lambda value: value * (1 / 256)).convert("L")  # 16 bits a sample
    elif image.mode == "1":
        image = image.convert("L")
    elif image.mode == "P" or "transparency" in image.info:
        image = image.convert("RGBA")
    scale = long_side / max(image.size)
    if scale >= 1:
        return image
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    if dots:  # a scan in two tones, which must not look like a photo of many
        return image.resize(size, Image.Resampling.NEAREST)
    return image.resize(size, Image.Resampling.BICUBIC, reducing_gap=2.0)


if __name__ == "__main__":
    main()
