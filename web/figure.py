"""What the browser draws a portrait with: the figure of a photo, its frames, walls, lights.

`web/static/editor/` does with these what `compositing.render` does at full size: the same steps
in the same order, on a picture of 640 pixels. Nothing here knows sessions.
"""

from __future__ import annotations

import base64
import gzip
import io
import json
import struct
from collections.abc import Mapping
from dataclasses import asdict, replace
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pipeline.compositing.colour import Floats, encoded, linear
from pipeline.compositing.composite import GRADES, development, graded, shoulder
from pipeline.compositing.framing import SHAPES, Refusal, Wish, head_share
from pipeline.compositing.look import LIGHT_NAMES, PhotoLook
from pipeline.compositing.relight import LIGHTS, key_colour
from pipeline.compositing.render import fade_of
from pipeline.compositing.studio import Sitter, framed_by, light_of, nearest, painted_wall
from pipeline.imaging import CutOut
from pipeline.portraits.style import Style

PREVIEW_PX, FULL_PX = 640, 2048
"""Longer side of the browser's picture and of the server's, if the photo has as much."""

HEADS = (0.28, 0.32, 0.36, 0.40, 0.45, 0.50, 0.55, 0.60, 0.66)
"""Head sizes on offer, as `framing.DISTANCES` have them: half body to face."""

HEAD = 0.45
"""The first one."""

KELVINS = (8900, 7950, 7150, 6500, 5950, 5500, 5100, 4750, 4450, 4200, 3950, 3750, 3550)
"""Colours of the key light on offer in kelvin, cool to warm, in even steps for the eye."""

SEED = 1
"""Of the wall's variant and of the grain."""

_SOURCE_PX, _FIELD_PX = 960, 192
_CURVE_STEPS = 1024
_SWATCH_PX = 96
_COLOURS_QUALITY, _WALL_QUALITY = 92, 92
_OFF = 0.08
"""Share by which a head may miss its wished size before the page says so."""


def figure(sitter: Sitter, *, clear: bool, strokes: int = 0) -> bytes:
    """Pack a photo for the browser, gzipped: length of the header, header, JPEG, planes.

    The header is JSON: size of colours and alpha, size of the fields, what lighting must know.
    Planes are uint8: alpha, then normals' x and y (0..255 for -1..1), face, edge, peak (0..1).
    clear: whether the clothes may be toned. strokes: how many took something away.
    """
    colours, alpha = _shrunk(sitter.cut_out)
    picture = jpeg(colours, _COLOURS_QUALITY)
    shape = sitter.shape
    height, width = shape.edge.shape
    scale = min(1.0, _FIELD_PX / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    normals = np.asarray(shape.normals / 2 + 0.5, np.float32)
    planes: list[Floats] = [normals[..., 0], normals[..., 1], shape.face, shape.edge, shape.peak]
    small = [cv2.resize(plane, size, interpolation=cv2.INTER_AREA) for plane in planes]
    balance = np.eye(3) if sitter.balance is None else sitter.balance
    header = json.dumps(
        {
            "size": [alpha.shape[1], alpha.shape[0]],
            "field": list(size),
            "jpeg": len(picture),
            "azimuth": shape.azimuth,
            "balance": balance.ravel().tolist(),
            "clear": clear,
            "strokes": strokes,
        }
    ).encode()
    fields = b"".join(_bytes(plane).tobytes() for plane in small)
    body = struct.pack("<I", len(header)) + header + picture + alpha.tobytes() + fields
    return gzip.compress(body, 4, mtime=0)


def frames(
    sitter: Sitter, shape: str, *, fade: bool, eyes: float | None = None
) -> list[dict[str, Any] | None]:
    """The frame of each head size, None where there is none: its size at the preview's, the matrix
    from there to the figure's colours, rows of the fade, and whether the head is as wished."""
    wish = Wish(shape, side=FULL_PX, fade=fade, eyes=eyes)
    return [_frame(sitter, replace(wish, head=head)) for head in HEADS]


def stage(styles: Mapping[str, Style]) -> dict[str, Any]:
    """What is alike for all photos: looks, grades, named lights, and what can be chosen."""
    looks = {key: style.photo for key, style in styles.items() if style.photo is not None}
    return {
        "looks": {
            key: {
                "grade": look.grade,
                "light": asdict(light_of(look)),
                "blur": look.depth_of_field,
                "fade": look.fade,
            }
            for key, look in looks.items()
        },
        "grades": {name: grade(name) for name in sorted({p.grade for p in looks.values()})},
        "lights": {name: asdict(LIGHTS[name]) for name in LIGHT_NAMES},
        "lamps": {f"{kelvin:g}": key_colour(kelvin).tolist() for kelvin in _kelvins(looks)},
        "heads": HEADS,
    }


@lru_cache(maxsize=160)
def wall(look: PhotoLook, shape: str, blur: float | None) -> bytes:
    """A look's wall at preview size in a shape, as JPEG, not yet graded.

    blur: depth of field in the place of the look's.
    """
    if blur is not None:
        look = replace(look, depth_of_field=blur)
    light = painted_wall(look, preview_size(shape), SEED)
    return jpeg(_bytes(encoded(shoulder(light))), _WALL_QUALITY)


@lru_cache(maxsize=100)
def swatch(look: PhotoLook) -> bytes:
    """A look's wall as a small WebP."""
    light = painted_wall(look, (_SWATCH_PX, _SWATCH_PX), 0)
    buffer = io.BytesIO()
    values = graded(shoulder(light), GRADES[look.grade])
    Image.fromarray(_bytes(values)).save(buffer, "WEBP", quality=80)
    return buffer.getvalue()


def preview_size(shape: str) -> tuple[int, int]:
    """Height and width of a preview."""
    ratio = SHAPES[shape].width / SHAPES[shape].height
    rows = PREVIEW_PX if ratio <= 1 else round(PREVIEW_PX / ratio)
    return rows, PREVIEW_PX if ratio >= 1 else round(PREVIEW_PX * ratio)


def _frame(sitter: Sitter, wish: Wish) -> dict[str, Any] | None:
    alpha = sitter.cut_out.alpha
    frame = nearest(alpha, framed_by(sitter, wish), wish)
    if isinstance(frame, Refusal):
        return None
    scale = min(1.0, PREVIEW_PX / max(frame.size))
    rows, columns = (round(side * scale) for side in frame.size)
    small = _small_size(alpha.shape)
    photo = _resized(small[::-1], alpha.shape[::-1])
    matrix = _resized(frame.size[::-1], (columns, rows)) @ _square(frame.affine) @ photo
    fade = None
    if frame.fade:
        end, length = fade_of(frame, alpha.shape)
        fade = [end * rows / frame.size[0], length * rows / frame.size[0]]
    wished = wish.share * SHAPES[wish.shape].head
    head = head_share(alpha, framed_by(sitter, wish), frame)
    return {
        "size": [columns, rows],
        "full": [frame.size[1], frame.size[0]],
        "matrix": np.linalg.inv(matrix)[:2].ravel().tolist(),
        "fade": fade,
        "as_wished": abs(head / wished - 1) < _OFF,
    }


def _resized(size: tuple[int, ...], to: tuple[int, ...]) -> NDArray[np.float64]:
    """Matrix [3, 3] from the pixels of a picture (width, height) to those of a resized one."""
    x, y = to[0] / size[0], to[1] / size[1]
    return np.array([[x, 0, x / 2 - 0.5], [0, y, y / 2 - 0.5], [0, 0, 1]])


def _square(affine: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.vstack([affine, [0, 0, 1]])


def _small_size(size: tuple[int, ...]) -> tuple[int, int]:
    scale = min(1.0, _SOURCE_PX / max(size))
    return round(size[0] * scale), round(size[1] * scale)


def _shrunk(cut_out: CutOut) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Colours and alpha at the figure's size; beyond the person the colours go on softly, so that
    a JPEG does not ring along the edge."""
    rows, columns = _small_size(cut_out.alpha.shape)
    cover = cut_out.alpha.astype(np.float32) / 255
    light = linear(cut_out.colours) * cover[..., None]
    light = cv2.resize(light, (columns, rows), interpolation=cv2.INTER_AREA)
    cover = cv2.resize(cover, (columns, rows), interpolation=cv2.INTER_AREA)
    tiny = (max(8, columns // 8), max(8, rows // 8))
    near = cv2.GaussianBlur(cv2.resize(light, tiny, interpolation=cv2.INTER_AREA), (0, 0), 3)
    weight = cv2.GaussianBlur(cv2.resize(cover, tiny, interpolation=cv2.INTER_AREA), (0, 0), 3)
    beyond = cv2.resize(near / np.maximum(weight, 1e-3)[..., None], (columns, rows))
    own = light / np.maximum(cover, 1e-3)[..., None]
    colours = np.where((cover > 0.02)[..., None], own, beyond).astype(np.float32)
    return _bytes(encoded(colours)), _bytes(cover)


def grade(name: str) -> dict[str, Any]:
    """A grade of `GRADES` as the browser has it: matrix of linear light, curve of encoded bytes."""
    matrix, curve = development(GRADES[name], _CURVE_STEPS)
    return {
        "matrix": matrix.ravel().tolist(),
        "curve": base64.b64encode(_bytes(curve).tobytes()).decode(),
    }


def _kelvins(looks: Mapping[str, PhotoLook]) -> list[float]:
    lights = [*(light_of(look) for look in looks.values()), *LIGHTS.values()]
    return sorted({*KELVINS, *(light.temperature_k for light in lights)})


def _bytes(values: Floats) -> NDArray[np.uint8]:
    return np.asarray(np.clip(np.rint(values * 255), 0, 255), np.uint8)


def jpeg(image: NDArray[np.uint8], quality: int = 90) -> bytes:
    """A picture, uint8 RGB [H, W, 3], to be looked at."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=quality, subsampling=0)
    return buffer.getvalue()
