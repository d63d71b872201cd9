"""Frames become a file that moves: MP4, WebM, WebP or GIF, encoded in RAM, a frame at a time.

    frames ─► Film ─────► MP4 (AV1) or WebM (VP9)
         └──► Pictures ─► WebP, or a GIF in one palette for all frames

None of them has sound, a time or a name in it; all play again without end. H.264 is not offered:
the encoder that comes with PyAV is under the GPL, and its patents want a licence (docs/clips.md).

Source: AV1 in ISOBMFF 1.2; WebM Container Guidelines; GIF89a.
"""

from __future__ import annotations

import io
import os
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pipeline.compositing.warp import FPS, FRAMES, SHAPES
from pipeline.portraits.priority import as_everybody

Frame = NDArray[np.uint8]

_THREADS = 2
_MS = 1000 // FPS
_PALETTE_FRAMES = 8
_COLOURS = 255
_BAYER = np.array([[0, 8, 2, 10], [12, 4, 14, 6], [3, 11, 1, 9], [15, 7, 13, 5]], np.float32)
_DITHER = 12.0
"""Grey levels between the darkest and the lightest place of the pattern: a palette's step."""


@dataclass(frozen=True)
class Form:
    """A kind of file.

    media_type: as HTTP says it. short: pixels of a frame's shorter side. every: of the frames, one
    in so many is in it.
    """

    media_type: str
    short: int
    every: int = 1

    @property
    def frames(self) -> int:
        """How many frames it has."""
        return -(-FRAMES // self.every)

    def side(self, shape: str) -> int:
        """The longer side in pixels, in a shape of `warp.SHAPES`."""
        sides = SHAPES[shape]
        return self.short * max(sides) // min(sides)


FORMS: Mapping[str, Form] = {
    "mp4": Form("video/mp4", 720),
    "webm": Form("video/webm", 720),
    "webp": Form("image/webp", 480, every=2),
    "gif": Form("image/gif", 360, every=2),
}
"""By the end of the file's name. Pictures that move are larger than films, so they have fewer and
smaller frames."""

PREVIEW = Form("image/webp", 320, every=3)
"""For looking at."""


class Writer(Protocol):
    """Takes the frames of a form one by one, uint8 RGB [H, W, 3], all of the same even size."""

    def add(self, frame: Frame) -> None:
        """Take the next frame."""

    def finish(self) -> bytes:
        """The file, after the last frame."""


def writer(name: str, size: tuple[int, int]) -> Writer:
    """What writes a form of `FORMS` in frames of a size (height, width).

    Raises:
        KeyError: no such form.
    """
    form = FORMS[name]
    if name in _CODECS:
        return Film(name, size)
    return Pictures(form, palette=name == "gif")


_CODECS: Mapping[str, tuple[str, dict[str, str], dict[str, str]]] = {
    # The index before the frames, so that a player begins before all is there.
    "mp4": (
        "libsvtav1",
        {"preset": "10", "crf": "20"},
        {"moov_size": "8192", "fflags": "+bitexact"},
    ),
    "webm": (
        "libvpx-vp9",
        {"deadline": "realtime", "cpu-used": "8", "crf": "20", "b": "0", "row-mt": "1"},
        {"fflags": "+bitexact"},
    ),
}
"""Encoder, its options and those of the container. Constant quality."""


class Film:
    """Writes MP4 or WebM."""

    def __init__(self, name: str, size: tuple[int, int]) -> None:
        os.putenv("SVT_LOG", "1")  # its encoder else writes about itself on stderr
        import av  # FFmpeg takes a while to load, and most processes make no film

        codec, options, container = _CODECS[name]
        self._frame = av.VideoFrame.from_ndarray
        self._buffer = io.BytesIO()
        self._file = av.open(self._buffer, "w", format=name, options=container)
        self._stream: Any = self._file.add_stream(codec, rate=Fraction(FPS), options=options)
        context: Any = self._stream.codec_context
        context.height, context.width = size
        context.pix_fmt, context.thread_count = "yuv420p", _THREADS
        # As the conversion does it, and as every player takes what is not HD.
        context.colorspace, context.color_range = 5, 1
        with as_everybody():
            self._file.start_encoding()  # opens the encoder

    def add(self, frame: Frame) -> None:
        """Encode the next frame."""
        self._file.mux(self._stream.encode(self._frame(frame, format="rgb24")))

    def finish(self) -> bytes:
        """The file."""
        self._file.mux(self._stream.encode(None))
        self._file.close()
        return self._buffer.getvalue()


class Pictures:
    """Writes WebP or GIF. The last frame is shown for as long as is left of the whole."""

    def __init__(self, form: Form, *, palette: bool) -> None:
        self._form, self._palette = form, palette
        self._frames: list[Frame] = []

    def add(self, frame: Frame) -> None:
        """Keep the next frame."""
        self._frames.append(frame)

    def finish(self) -> bytes:
        """The file."""
        pictures = _in_one_palette(self._frames) if self._palette else self._pictures()
        shown = [_MS * self._form.every] * len(pictures)
        shown[-1] = _MS * FRAMES - sum(shown[:-1])
        options: dict[str, Any] = {"save_all": True, "append_images": pictures[1:], "loop": 0}
        if not self._palette:
            options |= {"quality": 80, "method": 1}
        buffer = io.BytesIO()
        kind = "GIF" if self._palette else "WEBP"
        pictures[0].save(buffer, kind, duration=shown, optimize=False, **options)
        return buffer.getvalue()

    def _pictures(self) -> list[Image.Image]:
        return [Image.fromarray(frame) for frame in self._frames]


def _in_one_palette(frames: list[Frame]) -> list[Image.Image]:
    """Frames in the same colours, dithered by a pattern that stands still: the wall does not
    flicker, and what does not change takes no bytes."""
    some = frames[:: max(1, len(frames) // _PALETTE_FRAMES)]
    palette = Image.fromarray(np.concatenate(some)).quantize(_COLOURS, Image.Quantize.MEDIANCUT)
    height, width = frames[0].shape[:2]
    pattern = np.tile(_BAYER, (-(-height // 4), -(-width // 4)))[:height, :width]
    offset = ((pattern + 0.5) / 16 - 0.5)[..., None] * _DITHER
    return [
        Image.fromarray(np.clip(np.rint(frame + offset), 0, 255).astype(np.uint8)).quantize(
            palette=palette, dither=Image.Dither.NONE
        )
        for frame in frames
    ]
